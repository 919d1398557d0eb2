//! Searches AWS for an export by its client token, when a start may have been accepted without our hearing of it and must not be
//! repeated any more.
//!
//! First among the exports of the table, where it is nearly always found, then among all of the account: a table that was deleted
//! or made anew hides its earlier exports. What a record here bears already, and what is older than the token, is not looked at. A
//! search can be long, so the claim is renewed before each call, and a throttled call is made again after a pause.

use std::time::Duration;

use super::export_step::Stepper;
use crate::aws::SearchScope;
use crate::domain::arn::ExportArn;
use crate::domain::aws_failure::{AwsFailure, FailureClass};
use crate::domain::description::ExportDescription;
use crate::domain::ids::ClientToken;
use crate::domain::step::Claimed;

/// Clocks differ: exports that AWS began this long before a token was made are looked at too.
const SKEW: Duration = Duration::from_secs(600);

/// The pause after a throttled call.
const THROTTLED_PAUSE: Duration = Duration::from_secs(2);

/// How many throttled calls in a row end a search; it is made again later.
const MOST_THROTTLED: u32 = 30;

impl Stepper {
    /// The export that carries the token; `None` says that AWS certainly knows none.
    pub(super) async fn search(&self, claimed: &Claimed, token: &ClientToken) -> Result<Option<ExportDescription>, AwsFailure> {
        match self.search_in(SearchScope::Table, claimed, token).await {
            Ok(None) => self.search_in(SearchScope::Account, claimed, token).await,
            // The table may be gone.
            Err(failure) if failure.class == FailureClass::Refused => self.search_in(SearchScope::Account, claimed, token).await,
            found => found,
        }
    }

    async fn search_in(&self, scope: SearchScope, claimed: &Claimed, token: &ClientToken) -> Result<Option<ExportDescription>, AwsFailure> {
        let table = &claimed.export.request.table_arn;
        let oldest = claimed.export.origin.token_made_at().unwrap_or(claimed.export.created_at).minus(SKEW);
        let mut next_token = None;
        loop {
            let (arns, next) = self.patiently(claimed, || self.aws.list_page(table, scope, next_token.clone())).await?;
            let young: Vec<String> =
                arns.iter().filter(|arn| arn.began().is_none_or(|at| at >= oldest)).map(|arn| arn.as_str().to_owned()).collect();
            // Lists are ordered by ARN, the youngest first, so a page that ends in an old one is the last that matters.
            let ends_old = arns.last().and_then(ExportArn::began).is_some_and(|at| at < oldest);
            let unknown = self.store.unknown_arns(&young).await.map_err(|_| interrupted("the database did not answer"))?;
            for arn in unknown.into_iter().map(ExportArn::known) {
                // Also when AWS does not find what it just listed: then nothing is certain, and the search is made again.
                let found = self.patiently(claimed, || self.aws.describe(table, &arn)).await?;
                if found.client_token.as_ref() == Some(token) {
                    return Ok(Some(found));
                }
            }
            next_token = next;
            if next_token.is_none() || ends_old {
                return Ok(None);
            }
        }
    }

    /// Makes a call of a search: only while the claim is ours, and again when AWS throttles it.
    async fn patiently<T, F>(&self, claimed: &Claimed, call: impl Fn() -> F) -> Result<T, AwsFailure>
    where
        F: Future<Output = Result<T, AwsFailure>>,
    {
        let mut throttled = 0;
        loop {
            if !self.store.renew(claimed).await.unwrap_or(false) {
                return Err(interrupted("another worker has the export"));
            }
            match call().await {
                Err(failure) if failure.class == FailureClass::Throttled && throttled < MOST_THROTTLED => {
                    throttled += 1;
                    tokio::time::sleep(self.chance.jitter().spread(THROTTLED_PAUSE, 0.5)).await;
                }
                answer => return answer,
            }
        }
    }
}

fn interrupted(why: &str) -> AwsFailure {
    AwsFailure { class: FailureClass::Unknown, code: "SearchInterrupted".to_owned(), message: why.to_owned() }
}
