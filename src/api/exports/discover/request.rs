//! The body of `POST /v1/exports/discover`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::fields::{self, Field, body, wrong_type};
use crate::api::page_token;
use crate::api::problem::Problem;
use crate::aws::pages::Page;
use crate::domain::aws::arn::{ExportArn, TableArn, is_account_id, is_region};
use crate::domain::invalid::Invalid;

/// The maximum number of exports that a request may name for adoption.
const MAX_NAMED: usize = 100;

body! {
    /// Which exports to list and to adopt.
    #[derive(Default)]
    pub struct DiscoverExports, read as DiscoverExportsFields {
        /// The table whose exports are listed. Either this or `account_id` and `region` is
        /// required.
        #[schema(
            max_length = 1024,
            pattern = "^arn:aws(-[a-z]{1,8}){0,3}:dynamodb:[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}$",
            example = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders"
        )]
        pub table_arn: Option<String>,
        /// The account whose exports are listed: those of all its tables, including deleted ones.
        #[schema(pattern = "^[0-9]{12}$")]
        pub account_id: Option<String>,
        /// The region whose exports are listed.
        #[schema(pattern = "^[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$")]
        pub region: Option<String>,
        /// `true` adopts every listed export that has no record here. A list of ARNs (at most 100)
        /// adopts these. `false` adopts none.
        pub adopt: Option<AdoptChoice>,
        /// `next_page_token` of the previous response, with the same table, or account and region.
        #[schema(pattern = "^[A-Za-z0-9_-]{11,}$")]
        pub page_token: Option<String>,
    }
}

/// Which exports to adopt: all, none, or those with the given ARNs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AdoptChoice {
    /// All or none.
    All(bool),
    /// The ARNs of the exports.
    These(Vec<String>),
}

/// The table, or account and region, whose exports are listed.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) table: Option<TableArn>,
}

impl Place {
    /// Eight bytes that bind a page token to this place.
    pub(super) fn mark(&self) -> [u8; 8] {
        page_token::mark(&format!("{self:?}"))
    }

    fn holds(&self, table: &TableArn) -> bool {
        match &self.table {
            Some(own) => own == table,
            None => table.account_id() == self.account_id && table.region() == self.region,
        }
    }
}

/// What the caller requests.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) place: Place,
    pub(super) all: bool,
    pub(super) named: Vec<(ExportArn, TableArn)>,
    /// The page to start with.
    pub(super) page: Page,
}

/// Reads the body, and reports every field that is invalid.
pub(super) fn read(body: &Map<String, Value>) -> Result<Wanted, Problem> {
    fields::read::<DiscoverExports, _>(body, |body| {
        let place = read_place(&body);
        let (all, named) = read_adopt(&body.adopt, place.as_ref());
        let page = body
            .page_token
            .text(|text| read_token(text, place.as_ref()));
        Some(Wanted {
            place: place?,
            all,
            named,
            page: page.unwrap_or(Page::First),
        })
    })
}

fn read_place(body: &DiscoverExportsFields<'_>) -> Option<Place> {
    let by_account = body.account_id.is_set() || body.region.is_set();
    if by_account && !body.table_arn.is_set() {
        let account_id = body.account_id.required_text(account_id);
        let region = body.region.required_text(region);
        return Some(Place {
            account_id: account_id?,
            region: region?,
            table: None,
        });
    }
    let table = body.table_arn.text(TableArn::parse);
    for field in [&body.account_id, &body.region] {
        if field.is_set() {
            field.refuse(&Invalid::new(
                "is not allowed with table_arn, which names both",
            ));
        }
    }
    if !body.table_arn.is_set() {
        body.table_arn.refuse(&Invalid::new(
            "is required, unless account_id and region are given",
        ));
    }
    let table = table?;
    Some(Place {
        account_id: table.account_id().to_owned(),
        region: table.region().to_owned(),
        table: Some(table),
    })
}

fn account_id(text: &str) -> Result<String, Invalid> {
    if is_account_id(text) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new("must be the 12 digits of an account"))
    }
}

fn region(text: &str) -> Result<String, Invalid> {
    if is_region(text) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new("must be a region such as us-east-1"))
    }
}

/// Whether every listed export is adopted, and the exports that the caller names.
fn read_adopt(
    field: &Field<'_, Option<AdoptChoice>>,
    place: Option<&Place>,
) -> (bool, Vec<(ExportArn, TableArn)>) {
    let named = match field.value() {
        None => return (false, Vec::new()),
        Some(Value::Bool(all)) => return (*all, Vec::new()),
        Some(Value::Array(named)) if named.len() <= MAX_NAMED => named,
        Some(Value::Array(_)) => {
            field.refuse(&Invalid::new(format!(
                "must name at most {MAX_NAMED} exports"
            )));
            return (false, Vec::new());
        }
        Some(other) => {
            field.refuse(&wrong_type("true, false or a list of export ARNs", other));
            return (false, Vec::new());
        }
    };
    let mut arns: Vec<(ExportArn, TableArn)> = Vec::new();
    for (index, one) in named.iter().enumerate() {
        match read_arn(one, place) {
            Ok((arn, table)) if arns.iter().all(|(other, _)| *other != arn) => {
                arns.push((arn, table));
            }
            Ok(_) => {}
            Err(invalid) => field.refuse_at(&format!("/{index}"), &invalid),
        }
    }
    (false, arns)
}

fn read_arn(value: &Value, place: Option<&Place>) -> Result<(ExportArn, TableArn), Invalid> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong_type("a string", value))?;
    let (arn, table) = ExportArn::parse(text)?;
    if place.is_some_and(|place| !place.holds(&table)) {
        return Err(Invalid::new(
            "is not an export of the given table, or of the given account and region",
        ));
    }
    Ok((arn, table))
}

fn read_token(text: &str, place: Option<&Place>) -> Result<Page, Invalid> {
    let wrong = || {
        Invalid::new(
            "must be a next_page_token of this operation, used with the same table, or account and region",
        )
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
