//! Pages of AWS's lists. Page tokens are not trusted: they may be refused, repeat a page, or never
//! end.

use std::collections::HashSet;

use tableferry_domain::aws::failure::{AwsFailure, FailureClass};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    First,
    /// The page of this token.
    Of(String),
}

impl Page {
    /// The token for the request.
    #[must_use]
    pub fn token(&self) -> Option<String> {
        match self {
            Self::First => None,
            Self::Of(token) => Some(token.clone()),
        }
    }
}

/// Why a list cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// A token was returned before; it leads back to a page that has been read.
    LeadsBack,
    /// The list has more pages than the maximum.
    TooLong,
}

/// Iterates over the pages of a list.
#[derive(Debug)]
pub struct Pages {
    next: Option<Page>,
    tokens: HashSet<String>,
    read: usize,
    max_read: usize,
    restarts: u32,
    max_restarts: u32,
}

impl Pages {
    /// Starts with this page, with maximum numbers of restarts and pages.
    #[must_use]
    pub fn beginning_with(page: Page, max_restarts: u32, max_read: usize) -> Self {
        Self {
            next: Some(page),
            tokens: HashSet::new(),
            read: 0,
            max_read,
            restarts: 0,
            max_restarts,
        }
    }

    /// The next page; `None` at the end.
    #[must_use]
    pub fn next_page(&mut self) -> Option<Page> {
        self.next.take()
    }

    /// Whether the list was restarted.
    #[must_use]
    pub fn have_restarted(&self) -> bool {
        self.restarts > 0
    }

    /// Continues with the page of this token, if there is one.
    pub fn follow(&mut self, token: Option<String>) -> Result<(), Unusable> {
        self.read += 1;
        let Some(token) = token else { return Ok(()) };
        if !self.tokens.insert(token.clone()) {
            return Err(Unusable::LeadsBack);
        }
        if self.read >= self.max_read {
            return Err(Unusable::TooLong);
        }
        self.next = Some(Page::Of(token));
        Ok(())
    }

    /// Restarts the list if AWS refused the token of this page, as it does with old tokens. Returns
    /// other failures, and any failure after the last restart.
    pub fn begin_again(&mut self, page: &Page, failure: AwsFailure) -> Result<(), AwsFailure> {
        if !is_token_refused(page, &failure) || self.restarts >= self.max_restarts {
            return Err(failure);
        }
        self.restarts += 1;
        self.tokens.clear();
        self.next = Some(Page::First);
        Ok(())
    }
}

/// Whether AWS refuses the token of this page rather than the list.
#[must_use]
pub fn is_token_refused(page: &Page, failure: &AwsFailure) -> bool {
    *page != Page::First && failure.class == FailureClass::Refused
}
