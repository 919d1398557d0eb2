//! `POST /v1/exports/discover`: what AWS remembers, what of it is known here, and adoption of the
//! rest.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{RawQuery, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::adopting::{Adoption, NotAdopted, adopt_one, of_aws};
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::fields::{Errors, Fields, kind};
use crate::api::guard::Calling;
use crate::api::page_token;
use crate::api::problem::{FieldError, Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::aws::TurnKind;
use crate::aws::pages::{Page, Pages, is_token_refused};
use crate::domain::arn::{ExportArn, TableArn, is_account_id, is_region};
use crate::domain::aws_failure::FailureClass;
use crate::domain::description::ExportSummary;
use crate::domain::invalid::Invalid;

/// How many exports one answer lists at most; AWS lists 25 a call.
const MOST_LISTED: usize = 1000;

/// How many exports may be named for adoption.
const MOST_NAMED: usize = 100;

/// How long one answer may take, or a call of AWS longer.
const TIME: Duration = Duration::from_secs(20);

/// Where to look, and what to adopt.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoverExports {
    /// The table whose exports are listed; or else `account_id` and `region`.
    #[schema(
        max_length = 1024,
        pattern = "^arn:aws(-[a-z]{1,8}){0,3}:dynamodb:[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}$",
        example = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders"
    )]
    pub table_arn: Option<String>,
    /// The account whose exports are listed, of all its tables, also of those that were deleted
    /// since.
    #[schema(pattern = "^[0-9]{12}$")]
    pub account_id: Option<String>,
    /// The region whose exports are listed.
    #[schema(pattern = "^[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$")]
    pub region: Option<String>,
    /// `true` adopts every export that is listed and not known; a list of ARNs (at most 100) adopts
    /// these; `false` adopts none.
    #[schema(value_type = Option<AdoptChoice>)]
    pub adopt: Option<Value>,
    /// `next_page_token` of the answer before, with the same place.
    #[schema(pattern = "^[A-Za-z0-9_-]{11,}$")]
    pub page_token: Option<String>,
}

/// Everything that is listed, or the exports of these ARNs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AdoptChoice {
    /// All, or none.
    All(bool),
    /// These.
    These(Vec<String>),
}

/// What AWS remembers of exports.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Discovered {
    /// Exports in the order in which AWS lists them. An export can appear in two answers.
    pub exports: Vec<DiscoveredExport>,
    /// How many were adopted by this call.
    pub adopted: u64,
    /// Those that were to be adopted and were not, with the reason.
    pub not_adopted: Vec<NotAdoptedExport>,
    /// For the rest, when one answer did not hold all; null when there is nothing more.
    #[schema(required)]
    pub next_page_token: Option<String>,
    /// Why AWS's list could not be read to its end, and what to do; null when it was, or
    /// `next_page_token` leads on.
    #[schema(required)]
    pub incomplete_reason: Option<String>,
}

/// An export that AWS remembers.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscoveredExport {
    /// Its name at AWS.
    pub arn: String,
    /// What AWS says of it: `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    #[schema(example = "COMPLETED")]
    pub export_status: String,
    /// `FULL_EXPORT` or `INCREMENTAL_EXPORT`.
    #[schema(example = "FULL_EXPORT")]
    pub export_type: String,
    /// Its id here, once it is known.
    #[schema(required)]
    pub known_id: Option<Uuid>,
}

/// An export that was not adopted.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotAdoptedExport {
    /// Its name at AWS.
    pub arn: String,
    /// Why not.
    pub detail: String,
}

problems! {
    /// What can go wrong.
    DiscoverProblems: MalformedJson, InvalidParameter, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, RefusedByAws, Internal, Unavailable, AwsUnavailable
}

/// List what AWS remembers, and adopt it
///
/// AWS remembers exports for 90 days. An answer holds at most 1,000 exports and takes some 20
/// seconds at most; `next_page_token` asks for the rest. AWS is asked slowly enough not to disturb
/// the exports that run: some 80 exports can be adopted by one call.
#[utoipa::path(
    post,
    path = "/v1/exports/discover",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    request_body(content = DiscoverExports, description = "A table, or an account and a region", example = json!({
        "table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/Orders", "adopt": false,
    })),
    responses((status = 200, description = "What AWS remembers, and what was adopted of it", body = Discovered), DiscoverProblems)
)]
pub async fn discover_exports(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    calling: Calling,
    JsonObject(body): JsonObject,
) -> Result<Json<Discovered>, Problem> {
    Query::of(query.as_deref()).finish()?;
    let wish = read(&body)?;
    if let Some(table) = &wish.place.table {
        calling.check_table("/table_arn", table)?;
    }
    for (_, table) in &wish.named {
        calling.check_table("/adopt", table)?;
    }
    let mut search = Search {
        state: &state,
        calling: &calling,
        wish,
        began: Instant::now(),
        found: Discovered::default(),
    };
    search.adopt_named().await?;
    search.list().await?;
    Ok(Json(search.found))
}

/// Where exports are looked for.
#[derive(Debug, Clone)]
struct Place {
    account_id: String,
    region: String,
    table: Option<TableArn>,
}

impl Place {
    /// Eight bytes that tie a page token to its place.
    fn mark(&self) -> [u8; 8] {
        page_token::mark(&format!("{self:?}"))
    }

    fn holds(&self, table: &TableArn) -> bool {
        match &self.table {
            Some(own) => own == table,
            None => table.account_id() == self.account_id && table.region() == self.region,
        }
    }
}

/// What a caller wants.
#[derive(Debug)]
struct Wish {
    place: Place,
    all: bool,
    named: Vec<(ExportArn, TableArn)>,
    /// The page to begin with.
    page: Page,
}

/// A search under way.
struct Search<'a> {
    state: &'a ApiState,
    calling: &'a Calling,
    wish: Wish,
    began: Instant,
    found: Discovered,
}

impl Search<'_> {
    /// Waits for a turn to call AWS. Whether it came before the time was over.
    async fn turn(&self) -> bool {
        let Place {
            account_id, region, ..
        } = &self.wish.place;
        let left = TIME.saturating_sub(self.began.elapsed());
        !left.is_zero()
            && self
                .state
                .aws
                .turns
                .wait(
                    TurnKind::Look,
                    account_id,
                    region,
                    || self.state.chance.now(),
                    left,
                )
                .await
    }

    /// Adopts the exports that were named, whether AWS lists them or not: it describes those of
    /// deleted tables too.
    async fn adopt_named(&mut self) -> Result<(), Problem> {
        let named = std::mem::take(&mut self.wish.named);
        let arns: Vec<_> = named
            .iter()
            .map(|(arn, _)| arn.as_str().to_owned())
            .collect();
        let known = self.state.store.known_arns(&arns).await?;
        for (arn, table) in named
            .iter()
            .filter(|(arn, _)| !known.contains_key(arn.as_str()))
        {
            if !self.turn().await {
                self.leave(arn.as_str(), "the time for one call is over; send it again");
                continue;
            }
            self.adopt(arn, table).await?;
        }
        Ok(())
    }

    /// Adopts one export. Its id here, if it has one now; whether AWS can be asked more.
    async fn adopt(
        &mut self,
        arn: &ExportArn,
        table: &TableArn,
    ) -> Result<(Option<Uuid>, bool), Problem> {
        match adopt_one(self.state, self.calling, table, arn).await {
            Ok(Adoption::Adopted(export)) => {
                self.found.adopted += 1;
                Ok((Some(export.id.0), true))
            }
            Ok(Adoption::Known(export)) => Ok((Some(export.id.0), true)),
            Err(NotAdopted::Store(error)) => Err(error.into()),
            Err(NotAdopted::Forbidden(problem)) => {
                // Of what nobody named nothing is said.
                if !self.wish.all {
                    self.leave(arn.as_str(), &problem.in_words());
                }
                Ok((None, true))
            }
            Err(NotAdopted::Unusable(invalid)) => {
                self.leave(arn.as_str(), &invalid.to_string());
                Ok((None, true))
            }
            Err(NotAdopted::Aws(failure)) => {
                self.leave(arn.as_str(), &failure.to_string());
                Ok((None, failure.class != FailureClass::Throttled))
            }
        }
    }

    fn leave(&mut self, arn: &str, detail: &str) {
        self.found.not_adopted.push(NotAdoptedExport {
            arn: arn.to_owned(),
            detail: detail.to_owned(),
        });
    }

    /// Lists page by page. What cannot be listed in time, or is refused later, is left to the next
    /// call.
    async fn list(&mut self) -> Result<(), Problem> {
        let Place {
            account_id,
            region,
            table,
        } = self.wish.place.clone();
        // The time bounds how many are read.
        let mut pages = Pages::beginning_with(self.wish.page.clone(), 1, usize::MAX);
        while let Some(page) = pages.next_page() {
            if self.found.exports.len() + 25 > MOST_LISTED || !self.turn().await {
                self.leave_rest(&pages, &page);
                return Ok(());
            }
            let (summaries, next) = match self
                .state
                .aws
                .list_summaries(&account_id, &region, table.as_ref(), page.token())
                .await
            {
                Ok(listed) => listed,
                Err(failure) => {
                    match pages.begin_again(&page, failure) {
                        Ok(()) => continue,
                        Err(failure) if is_token_refused(&page, &failure) => {
                            self.end_early(&format!("AWS rejected its page token ({failure})"))
                        }
                        Err(failure) if self.found.exports.is_empty() => {
                            return Err(of_aws(&failure, "list the exports"));
                        }
                        Err(_) => self.leave_rest(&pages, &page),
                    }
                    return Ok(());
                }
            };
            if !self.take(summaries).await? {
                self.leave_rest(&pages, &page);
                return Ok(());
            }
            if pages.follow(next).is_err() {
                self.end_early("AWS returned a page token that leads back to a page already read");
                return Ok(());
            }
        }
        Ok(())
    }

    /// Leaves this page, and what comes after it, to the next call.
    fn leave_rest(&mut self, pages: &Pages, page: &Page) {
        // The list was begun again, and the token that would lead on may be rejected like the one
        // before: without an end.
        if pages.have_restarted() && !self.wish.all {
            self.end_early("AWS rejected a page token, and the list is longer than one answer");
            return;
        }
        let mut token = self.wish.place.mark().to_vec();
        token.extend(page.token().unwrap_or_default().as_bytes());
        self.found.next_page_token = Some(URL_SAFE_NO_PAD.encode(token));
    }

    /// Ends a list of which AWS does not give the rest.
    fn end_early(&mut self, why: &str) {
        let listed = self.found.exports.len();
        let instead = if self.wish.place.table.is_none() {
            "list table by table (table_arn), or "
        } else {
            ""
        };
        self.found.incomplete_reason = Some(format!(
            "{why}; {listed} exports were listed. To reach the others, {instead}name them in adopt, or import them by their ARNs"
        ));
    }

    /// Takes a page over, and adopts what is wished of it. Whether all of it was worked off.
    async fn take(&mut self, summaries: Vec<ExportSummary>) -> Result<bool, Problem> {
        let arns: Vec<_> = summaries
            .iter()
            .map(|summary| summary.arn.as_str().to_owned())
            .collect();
        let mut known = self.state.store.known_arns(&arns).await?;
        let mut whole = true;
        let allow = self.calling.0.grant.allow();
        // Of an account, an API key that holds for some tables sees the exports of these.
        let theirs = |summary: &ExportSummary| {
            allow.is_everything()
                || ExportArn::parse(summary.arn.as_str())
                    .is_ok_and(|(_, table)| allow.table(table.as_str()))
        };
        for summary in summaries.into_iter().filter(theirs) {
            // Listed before: the list was begun again.
            if self
                .found
                .exports
                .iter()
                .any(|listed| listed.arn == summary.arn.as_str())
            {
                continue;
            }
            let place = known.remove(summary.arn.as_str());
            if place
                .as_ref()
                .is_some_and(|known| !allow.bucket(&known.s3_bucket))
            {
                continue;
            }
            let mut known_id = place.map(|known| known.id.0);
            if self.wish.all && known_id.is_none() && whole {
                // What AWS lists has a table; what has none cannot be adopted.
                if let Ok((arn, table)) = ExportArn::parse(summary.arn.as_str()) {
                    whole = self.turn().await;
                    if whole {
                        (known_id, whole) = self.adopt(&arn, &table).await?;
                    }
                }
            }
            // AWS lists no buckets: to whom only some belong, an export is shown once its bucket is
            // known.
            if known_id.is_none() && !allow.buckets().is_empty() {
                continue;
            }
            let ExportSummary { arn, status, kind } = summary;
            self.found.exports.push(DiscoveredExport {
                arn: arn.as_str().to_owned(),
                export_status: status,
                export_type: kind,
                known_id,
            });
        }
        Ok(whole)
    }
}

/// Reads the body.
fn read(body: &Map<String, Value>) -> Result<Wish, Problem> {
    let mut errors = Errors::new();
    let mut fields = Fields::of(body, "");
    let given = |name| body.get(name).is_some_and(|value| !value.is_null());
    let by_table = given("table_arn");
    let by_account = given("account_id") || given("region");
    let table = fields.text("table_arn", &mut errors, TableArn::parse);
    let account = |text: &str| {
        if is_account_id(text) {
            Ok(text.to_owned())
        } else {
            Err(Invalid::new("must be the 12 digits of an account"))
        }
    };
    let region = |text: &str| {
        if is_region(text) {
            Ok(text.to_owned())
        } else {
            Err(Invalid::new("must be a region such as us-east-1"))
        }
    };
    let place = if by_account && !by_table {
        let account_id = fields.required_text("account_id", &mut errors, account);
        let region = fields.required_text("region", &mut errors, region);
        account_id.zip(region).map(|(account_id, region)| Place {
            account_id,
            region,
            table: None,
        })
    } else {
        for name in ["account_id", "region"] {
            if fields.value(name).is_some() {
                errors.push(FieldError::new(
                    fields.pointer(name),
                    &Invalid::new("is not allowed with table_arn, which names both"),
                ));
            }
        }
        if !by_table {
            errors.push(FieldError::new(
                "/table_arn",
                &Invalid::new("is required, unless account_id and region are given"),
            ));
        }
        table.map(|table| Place {
            account_id: table.account_id().to_owned(),
            region: table.region().to_owned(),
            table: Some(table),
        })
    };
    let (all, named) = read_adopt(&mut fields, &mut errors, place.as_ref());
    let page = fields.text("page_token", &mut errors, |text| {
        read_token(text, place.as_ref())
    });
    fields.finish(&mut errors);
    match place.filter(|_| errors.is_empty()) {
        Some(place) => Ok(Wish {
            place,
            all,
            named,
            page: page.unwrap_or(Page::First),
        }),
        None => Err(Problem::with_errors(ProblemType::ValidationFailed, errors)),
    }
}

fn read_adopt(
    fields: &mut Fields<'_>,
    errors: &mut Errors,
    place: Option<&Place>,
) -> (bool, Vec<(ExportArn, TableArn)>) {
    let at = fields.pointer("adopt");
    let named = match fields.value("adopt") {
        None => return (false, Vec::new()),
        Some(Value::Bool(all)) => return (*all, Vec::new()),
        Some(Value::Array(named)) if named.len() <= MOST_NAMED => named,
        Some(Value::Array(_)) => {
            errors.push(FieldError::new(
                at,
                &Invalid::new(format!("must name at most {MOST_NAMED} exports")),
            ));
            return (false, Vec::new());
        }
        Some(other) => {
            errors.push(FieldError::new(
                at,
                &Invalid::new(format!(
                    "must be true, false or a list of export ARNs, not {}",
                    kind(other)
                )),
            ));
            return (false, Vec::new());
        }
    };
    let mut arns: Vec<(ExportArn, TableArn)> = Vec::new();
    for (number, one) in named.iter().enumerate() {
        let parsed = one
            .as_str()
            .ok_or_else(|| Invalid::new(format!("must be a string, not {}", kind(one))))
            .and_then(ExportArn::parse);
        let parsed = parsed.and_then(|(arn, table)| match place {
            Some(place) if !place.holds(&table) => Err(Invalid::new(
                "is not an export of the table, or account and region, that is looked at",
            )),
            _ => Ok((arn, table)),
        });
        match parsed {
            Ok((arn, table)) if arns.iter().all(|(other, _)| *other != arn) => {
                arns.push((arn, table))
            }
            Ok(_) => {}
            Err(e) => errors.push(FieldError::new(format!("{at}/{number}"), &e)),
        }
    }
    (false, arns)
}

fn read_token(text: &str, place: Option<&Place>) -> Result<Page, Invalid> {
    let wrong = || {
        Invalid::new("must be a next_page_token of this call, used with the same place as before")
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
    let (mark, page) = bytes.split_at_checked(8).ok_or_else(wrong)?;
    let fits = place.is_none_or(|place| place.mark() == mark);
    if !fits {
        return Err(wrong());
    }
    let token = String::from_utf8(page.to_vec()).map_err(|_| wrong())?;
    Ok(if token.is_empty() {
        Page::First
    } else {
        Page::Of(token)
    })
}
