//! Scopes: groups of calls that a caller may make.

use crate::invalid::Invalid;

/// A group of operations that an API key may permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    pub const ALL: [Self; 4] = [
        Self::ExportsRead,
        Self::ExportsWrite,
        Self::WebhooksManage,
        Self::Admin,
    ];

    /// The value in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExportsRead => "exports:read",
            Self::ExportsWrite => "exports:write",
            Self::WebhooksManage => "webhooks:manage",
            Self::Admin => "admin",
        }
    }

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    #[must_use]
    pub fn from_scopes(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set itself contains this scope.
    #[must_use]
    pub fn holds(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether calls with this scope are allowed, by the scope itself or by `admin`.
    #[must_use]
    pub fn allow(self, scope: Scope) -> bool {
        self.holds(scope) || self.holds(Scope::Admin)
    }

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
                    Scopes::from_scopes([held]).allow(asked),
                    held == asked || held == Scope::Admin
                );
            }
            assert_eq!(Scope::parse(held.as_str()), Ok(held));
        }
        assert!(Scope::parse("exports").is_err());
    }
}
