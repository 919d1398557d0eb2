//! Searches AWS's lists for the export with a client token, when AWS may have accepted a start
//! whose answer we did not receive and the start must not be repeated.
//!
//! The exports of the table are searched first, where the export nearly always is, then all exports
//! of the account: a table that was deleted or recreated hides its earlier exports. Exports that
//! have a record here, and exports that AWS began long before the token was made, are not
//! described. The search relies on no order of the lists; if AWS refuses a page token, the list is
//! read again from the beginning. A search can be long, so it renews the lease before each call,
//! and repeats a throttled call after a pause.

use std::collections::HashSet;

use super::export_step::Stepper;
use crate::aws::SearchScope;
use crate::aws::pages::{Page, Pages, Unusable};
use crate::domain::aws::arn::ExportArn;
use crate::domain::aws::description::ExportDescription;
use crate::domain::aws::failure::{AwsFailure, FailureClass};
use crate::domain::ids::ClientToken;
use crate::domain::lifecycle::outcome::Claimed;
use crate::domain::lifecycle::timing::{
    SEARCH_PAGES, SEARCH_PAUSE, SEARCH_PAUSE_SPREAD, SEARCH_RESTARTS, SEARCH_SKEW, SEARCH_THROTTLES,
};

impl Stepper {
    /// `None` if AWS's lists do not show the export, which does not prove that there is none.
    pub(super) async fn search(
        &self,
        claimed: &Claimed,
        token: &ClientToken,
    ) -> Result<Option<ExportDescription>, AwsFailure> {
        match self.search_in(SearchScope::Table, claimed, token).await {
            Ok(None) => self.search_in(SearchScope::Account, claimed, token).await,
            // The table may be deleted, or its list unusable.
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
        // A listed export that cannot be described may be the one.
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
            for arn in unknown.into_iter().map(ExportArn::from_trusted) {
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

    /// Makes a call while the claim is ours, and repeats it when AWS throttles.
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
                return Err(interrupted("another worker has claimed the export"));
            }
            match call().await {
                Err(failure)
                    if failure.class == FailureClass::Throttled && throttled < SEARCH_THROTTLES =>
                {
                    throttled += 1;
                    tokio::time::sleep(
                        self.clock
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

fn unusable(why: Unusable) -> AwsFailure {
    let message = match why {
        Unusable::LeadsBack => "ListExports returned a page token that it had returned before",
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
