//! Searches AWS's lists for the export that carries a client token, when a start may have been
//! accepted without our hearing of it and must not be repeated any more.
//!
//! First among the exports of the table, where it is nearly always found, then among all of the
//! account: a table that was deleted or made anew hides its earlier exports. What a record here
//! bears already, and what AWS began long before the token was made, is not looked at. Nothing is
//! assumed of the order of a list; a page token that AWS refuses begins the list again. A search
//! can be long, so the lease is renewed before each call, and a throttled call is made again after
//! a pause.

use std::collections::HashSet;

use super::export_step::Stepper;
use crate::aws::SearchScope;
use crate::aws::pages::{Page, Pages, Unusable};
use crate::domain::arn::ExportArn;
use crate::domain::aws_failure::{AwsFailure, FailureClass};
use crate::domain::description::ExportDescription;
use crate::domain::ids::ClientToken;
use crate::domain::step::Claimed;
use crate::domain::timing::{
    SEARCH_PAGES, SEARCH_PAUSE, SEARCH_PAUSE_SPREAD, SEARCH_RESTARTS, SEARCH_SKEW, SEARCH_THROTTLES,
};

impl Stepper {
    /// The export that carries the token; `None` if AWS's lists do not show it, which proves
    /// nothing.
    pub(super) async fn search(
        &self,
        claimed: &Claimed,
        token: &ClientToken,
    ) -> Result<Option<ExportDescription>, AwsFailure> {
        match self.search_in(SearchScope::Table, claimed, token).await {
            Ok(None) => self.search_in(SearchScope::Account, claimed, token).await,
            // The table may be gone, or its list may be of no use.
            Err(failure) if failure.class == FailureClass::Refused => {
                self.search_in(SearchScope::Account, claimed, token).await
            }
            found => found,
        }
    }

    async fn search_in(
        &self,
        scope: SearchScope,
        claimed: &Claimed,
        token: &ClientToken,
    ) -> Result<Option<ExportDescription>, AwsFailure> {
        let table = &claimed.export.request.table_arn;
        let oldest = claimed
            .export
            .origin
            .token_made_at()
            .unwrap_or(claimed.export.created_at)
            .minus(SEARCH_SKEW);
        let mut pages = Pages::beginning_with(Page::First, SEARCH_RESTARTS, SEARCH_PAGES);
        let mut described = HashSet::new();
        // An export that is listed and cannot be described may be the one.
        let mut not_described = None;
        while let Some(page) = pages.next_page() {
            let listed = self
                .patiently(claimed, || self.aws.list_page(table, scope, page.token()))
                .await;
            let (arns, next) = match listed {
                Ok(listed) => listed,
                Err(failure) => {
                    pages.begin_again(&page, failure)?;
                    continue;
                }
            };
            let young = arns
                .iter()
                .filter(|arn| arn.began().is_none_or(|at| at >= oldest))
                .map(|arn| arn.as_str().to_owned());
            let new: Vec<String> = young.filter(|arn| described.insert(arn.clone())).collect();
            let unknown = self
                .store
                .unknown_arns(&new)
                .await
                .map_err(|_| interrupted("the database did not answer"))?;
            for arn in unknown.into_iter().map(ExportArn::known) {
                match self
                    .patiently(claimed, || self.aws.describe(table, &arn))
                    .await
                {
                    Ok(found) if found.client_token.as_ref() == Some(token) => {
                        return Ok(Some(found));
                    }
                    Ok(_) => {}
                    Err(failure)
                        if failure.class == FailureClass::Unknown
                            || failure.class == FailureClass::Throttled =>
                    {
                        return Err(failure);
                    }
                    Err(failure) => not_described = Some(failure),
                }
            }
            pages.follow(next).map_err(unusable)?;
        }
        not_described.map_or(Ok(None), Err)
    }

    /// Makes a call of a search: only while the claim is ours, and again when AWS throttles it.
    async fn patiently<T, F>(
        &self,
        claimed: &Claimed,
        call: impl Fn() -> F,
    ) -> Result<T, AwsFailure>
    where
        F: Future<Output = Result<T, AwsFailure>>,
    {
        let mut throttled = 0;
        loop {
            if !self.store.renew(claimed).await.unwrap_or(false) {
                return Err(interrupted("another worker has the export"));
            }
            match call().await {
                Err(failure)
                    if failure.class == FailureClass::Throttled && throttled < SEARCH_THROTTLES =>
                {
                    throttled += 1;
                    tokio::time::sleep(
                        self.chance
                            .jitter()
                            .spread(SEARCH_PAUSE, SEARCH_PAUSE_SPREAD),
                    )
                    .await;
                }
                answer => return answer,
            }
        }
    }
}

/// A list of which not all can be read.
fn unusable(why: Unusable) -> AwsFailure {
    let message = match why {
        Unusable::LeadsBack => "ListExports leads back to a page that was read",
        Unusable::TooLong => "ListExports has more pages than a search reads",
    };
    AwsFailure {
        class: FailureClass::Refused,
        code: "ListUnusable".to_owned(),
        message: message.to_owned(),
    }
}

fn interrupted(why: &str) -> AwsFailure {
    AwsFailure {
        class: FailureClass::Unknown,
        code: "SearchInterrupted".to_owned(),
        message: why.to_owned(),
    }
}
