//! Scopes: kinds of calls that a caller may make.

use utoipa::ToSchema;

use crate::invalid::Invalid;

/// A kind of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, ToSchema)]
pub enum Scope {
    /// See exports, their events, files and deliveries.
    #[serde(rename = "exports:read")]
    ExportsRead,
    /// Ask for exports, cancel, retry, verify, adopt and forget them.
    #[serde(rename = "exports:write")]
    ExportsWrite,
    /// Manage webhook endpoints, see what was delivered, and send it again.
    #[serde(rename = "webhooks:manage")]
    WebhooksManage,
    /// Everything, API keys included.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [
        Self::ExportsRead,
        Self::ExportsWrite,
        Self::WebhooksManage,
        Self::Admin,
    ];

    /// The scope as callers and the database see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExportsRead => "exports:read",
            Self::ExportsWrite => "exports:write",
            Self::WebhooksManage => "webhooks:manage",
            Self::Admin => "admin",
        }
    }

    /// From that word.
    ///
    /// # Errors
    /// There is no such scope.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| {
            Invalid::new(format!(
                "must be one of {}",
                Self::ALL.map(Self::as_str).join(", ")
            ))
        })
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// These scopes.
    #[must_use]
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set itself names this scope.
    #[must_use]
    pub fn holds(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether calls of this scope are allowed: by itself or by `admin`.
    #[must_use]
    pub fn allow(self, scope: Scope) -> bool {
        self.holds(scope) || self.holds(Scope::Admin)
    }

    /// The scopes of the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.holds(*scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_allows_everything_and_nothing_else_more_than_itself() {
        for held in Scope::ALL {
            for asked in Scope::ALL {
                assert_eq!(
                    Scopes::of([held]).allow(asked),
                    held == asked || held == Scope::Admin
                );
            }
            assert_eq!(Scope::parse(held.as_str()), Ok(held));
        }
        assert!(Scope::parse("exports").is_err());
    }
}
