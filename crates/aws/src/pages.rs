//! The pages of a list of AWS, one after the other. Their tokens are not trusted: they may be
//! refused, lead back, or have no end.

use std::collections::HashSet;

use tableferry_domain::aws_failure::{AwsFailure, FailureClass};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// The first one.
    First,
    /// That of this token.
    Of(String),
}

impl Page {
    /// The token that asks for it.
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
    /// A token was given out before: it leads back to a page that was read.
    LeadsBack,
    /// There are more pages than may be read.
    TooLong,
}

/// Which page of a list is next.
#[derive(Debug)]
pub struct Pages {
    next: Option<Page>,
    tokens: HashSet<String>,
    read: usize,
    most_read: usize,
    restarts: u32,
    most_restarts: u32,
}

impl Pages {
    /// Begins with this page. The list is begun again so often at most, and so many pages are read
    /// at most.
    #[must_use]
    pub fn beginning_with(page: Page, most_restarts: u32, most_read: usize) -> Self {
        Self {
            next: Some(page),
            tokens: HashSet::new(),
            read: 0,
            most_read,
            restarts: 0,
            most_restarts,
        }
    }

    /// The next page; `None` at the end.
    #[must_use]
    pub fn next_page(&mut self) -> Option<Page> {
        self.next.take()
    }

    /// Whether the list was begun again.
    #[must_use]
    pub fn have_restarted(&self) -> bool {
        self.restarts > 0
    }

    /// A page was read: goes on with the page of this token, if there is one.
    ///
    /// # Errors
    /// The token leads back, or there are too many pages.
    pub fn follow(&mut self, token: Option<String>) -> Result<(), Unusable> {
        self.read += 1;
        let Some(token) = token else { return Ok(()) };
        if !self.tokens.insert(token.clone()) {
            return Err(Unusable::LeadsBack);
        }
        if self.read >= self.most_read {
            return Err(Unusable::TooLong);
        }
        self.next = Some(Page::Of(token));
        Ok(())
    }

    /// Begins the list again if AWS refuses the token of this page, as it does with old ones above
    /// all.
    ///
    /// # Errors
    /// The failure, if it is another one or the list was begun again as often as it may.
    pub fn begin_again(&mut self, page: &Page, failure: AwsFailure) -> Result<(), AwsFailure> {
        if !is_token_refused(page, &failure) || self.restarts >= self.most_restarts {
            return Err(failure);
        }
        self.restarts += 1;
        self.tokens.clear();
        self.next = Some(Page::First);
        Ok(())
    }
}

/// Whether AWS refuses the token of this page, and not the list.
#[must_use]
pub fn is_token_refused(page: &Page, failure: &AwsFailure) -> bool {
    *page != Page::First && failure.class == FailureClass::Refused
}
