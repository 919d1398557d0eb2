//! Lists the exports of a table, or of an account and region, and adopts them.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::request::{Place, Wanted};
use super::{Discovered, DiscoveredExport, NotAdoptedExport};
use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::exports::adopting::{Adoption, NotAdopted, adopt_one, of_aws};
use crate::api::problem::Problem;
use crate::aws::TurnKind;
use crate::aws::pages::{Page, Pages, is_token_refused};
use crate::domain::aws::arn::{ExportArn, TableArn};
use crate::domain::aws::description::ExportSummary;
use crate::domain::aws::failure::FailureClass;

/// The maximum number of exports in one response. AWS lists 25 per call.
const MAX_LISTED: usize = 1000;

/// The time for one response. The last call of AWS may exceed it.
const TIME: Duration = Duration::from_secs(20);

/// A running search.
pub(super) struct Search<'a> {
    state: &'a ApiState,
    caller: &'a RequestCaller,
    wanted: Wanted,
    began: Instant,
    pub(super) found: Discovered,
}

impl<'a> Search<'a> {
    pub(super) fn new(state: &'a ApiState, caller: &'a RequestCaller, wanted: Wanted) -> Self {
        Self {
            state,
            caller,
            wanted,
            began: Instant::now(),
            found: Discovered::default(),
        }
    }

    /// Waits for a turn to call AWS. Returns false if the time ran out first.
    async fn turn(&self) -> bool {
        let Place {
            account_id, region, ..
        } = &self.wanted.place;
        let left = TIME.saturating_sub(self.began.elapsed());
        !left.is_zero()
            && self
                .state
                .aws
                .turns
                .wait(
                    TurnKind::Lookup,
                    account_id,
                    region,
                    || self.state.clock.now(),
                    left,
                )
                .await
    }

    /// Adopts the exports that the caller named, whether AWS lists them or not: AWS describes those
    /// of deleted tables too.
    pub(super) async fn adopt_named(&mut self) -> Result<(), Problem> {
        let named = std::mem::take(&mut self.wanted.named);
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
                self.leave(
                    arn.as_str(),
                    "the time for one request ran out; send it again",
                );
                continue;
            }
            self.adopt(arn, table).await?;
        }
        Ok(())
    }

    /// Adopts one export. Returns the id of its record, if it has one now, and whether AWS may be
    /// called again.
    async fn adopt(
        &mut self,
        arn: &ExportArn,
        table: &TableArn,
    ) -> Result<(Option<Uuid>, bool), Problem> {
        match adopt_one(self.state, self.caller, table, arn).await {
            Ok(Adoption::Adopted(export)) => {
                self.found.adopted += 1;
                Ok((Some(export.id.0), true))
            }
            Ok(Adoption::Known(export)) => Ok((Some(export.id.0), true)),
            Err(NotAdopted::Store(error)) => Err(error.into()),
            Err(NotAdopted::Forbidden(problem)) => {
                // The caller did not name it, so it may not learn that it exists.
                if !self.wanted.all {
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

    /// Lists page by page. What cannot be listed in time, or fails later, is left to the next
    /// request.
    pub(super) async fn list(&mut self) -> Result<(), Problem> {
        let Place {
            account_id,
            region,
            table,
        } = self.wanted.place.clone();
        // The time limits the number of pages.
        let mut pages = Pages::beginning_with(self.wanted.page.clone(), 1, usize::MAX);
        while let Some(page) = pages.next_page() {
            if self.found.exports.len() + 25 > MAX_LISTED || !self.turn().await {
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
            if !self.add_page(summaries).await? {
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

    /// Leaves this page and the following ones to the next request.
    fn leave_rest(&mut self, pages: &Pages, page: &Page) {
        // The list was restarted, and the next token may be rejected like the previous one, without
        // an end.
        if pages.have_restarted() && !self.wanted.all {
            self.end_early("AWS rejected a page token, and the list is longer than one answer");
            return;
        }
        let mut token = self.wanted.place.mark().to_vec();
        token.extend(page.token().unwrap_or_default().as_bytes());
        self.found.next_page_token = Some(URL_SAFE_NO_PAD.encode(token));
    }

    /// Ends a list that AWS does not continue.
    fn end_early(&mut self, why: &str) {
        let listed = self.found.exports.len();
        let instead = if self.wanted.place.table.is_none() {
            "list table by table (table_arn), or "
        } else {
            ""
        };
        self.found.incomplete_reason = Some(format!(
            "{why}; {listed} exports were listed. To reach the others, {instead}name them in adopt, or import them by their ARNs"
        ));
    }

    /// Adds a page to the response and adopts what the caller requested. Returns false if some of
    /// it is left.
    async fn add_page(&mut self, summaries: Vec<ExportSummary>) -> Result<bool, Problem> {
        let arns: Vec<_> = summaries
            .iter()
            .map(|summary| summary.arn.as_str().to_owned())
            .collect();
        let mut known = self.state.store.known_arns(&arns).await?;
        let mut whole = true;
        let allow = self.caller.allow();
        // An API key that is restricted to some tables sees only the exports of these.
        let allowed = |summary: &ExportSummary| {
            allow.is_everything()
                || ExportArn::parse(summary.arn.as_str())
                    .is_ok_and(|(_, table)| allow.table(table.as_str()))
        };
        for summary in summaries.into_iter().filter(allowed) {
            // Listed already: the list was restarted.
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
            if self.wanted.all && known_id.is_none() && whole {
                // An export without a table cannot be adopted; AWS lists none.
                if let Ok((arn, table)) = ExportArn::parse(summary.arn.as_str()) {
                    whole = self.turn().await;
                    if whole {
                        (known_id, whole) = self.adopt(&arn, &table).await?;
                    }
                }
            }
            // AWS lists no buckets. A caller that is restricted to some buckets sees an export only
            // if its bucket is known.
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
