//! Callers and what they may do.

pub mod allow;
pub mod api_key;
pub mod scope;
pub mod secret;

use std::fmt;
use std::sync::Arc;

use allow::AllowList;
use scope::{Scope, Scopes};

use crate::invalid::Invalid;

/// The name of a caller in records and logs: `api_key:<name>` or `oidc:<subject>`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallerName(Arc<str>);

impl CallerName {
    /// The caller with this API key.
    #[must_use]
    pub fn for_api_key(name: &str) -> Self {
        Self(format!("api_key:{name}").into())
    }

    /// The subject of an OIDC token.
    #[must_use]
    pub fn for_subject(subject: &str) -> Self {
        Self(format!("oidc:{subject}").into())
    }

    /// A name from the database.
    #[must_use]
    pub fn from_db(text: &str) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a caller may do: scopes, limited to some tables and buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    scopes: Scopes,
    allow: AllowList,
}

impl Grant {
    /// Everything; used without authentication.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            scopes: Scopes::from_scopes([Scope::Admin]),
            allow: AllowList::default(),
        }
    }

    /// These scopes for the tables and buckets of the list. Fails without a scope, or if a list is
    /// combined with a scope that it cannot limit: an endpoint receives events of all tables, and
    /// an admin creates keys.
    pub fn new(scopes: Scopes, allow: AllowList) -> Result<Self, Invalid> {
        if scopes.is_empty() {
            return Err(Invalid::new("must name at least one scope"));
        }
        let unbounded = [Scope::WebhooksManage, Scope::Admin]
            .into_iter()
            .find(|scope| scopes.holds(*scope));
        match unbounded {
            Some(scope) if !allow.is_everything() => Err(Invalid::new(format!(
                "must not combine {} with table_arns or s3_buckets, because that scope is not limited to them",
                scope.as_str()
            ))),
            _ => Ok(Self { scopes, allow }),
        }
    }

    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// The tables and buckets that the scopes apply to.
    #[must_use]
    pub fn allow(&self) -> &AllowList {
        &self.allow
    }
}

/// An authenticated caller, or any caller without authentication.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// `None` without authentication.
    pub name: Option<CallerName>,
    pub grant: Grant,
    /// Sustained requests per second, if the caller has an own rate.
    pub rate_per_s: Option<f64>,
}

impl Caller {
    /// Any caller, without authentication.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: None,
            grant: Grant::everything(),
            rate_per_s: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_beyond_a_list_does_not_go_with_one() {
        let list = AllowList::parse(
            &["arn:aws:dynamodb:*:123456789012:table/Orders*".to_owned()],
            &[],
        )
        .unwrap();
        assert!(
            Grant::new(
                Scopes::from_scopes([Scope::ExportsRead, Scope::ExportsWrite]),
                list.clone()
            )
            .is_ok()
        );
        for scope in [Scope::WebhooksManage, Scope::Admin] {
            assert!(Grant::new(Scopes::from_scopes([scope]), AllowList::default()).is_ok());
            let sentence = Grant::new(
                Scopes::from_scopes([scope, Scope::ExportsRead]),
                list.clone(),
            )
            .unwrap_err()
            .to_string();
            assert!(sentence.contains(scope.as_str()), "{sentence}");
        }
        assert!(Grant::new(Scopes::from_scopes([]), AllowList::default()).is_err());
    }
}
