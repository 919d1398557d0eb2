//! Who calls, and what they may do.

pub mod allow;
pub mod api_key;
pub mod scope;
pub mod secret;

use std::fmt;
use std::sync::Arc;

use allow::AllowList;
use scope::{Scope, Scopes};

use super::invalid::Invalid;

/// Names a caller in records and logs: `api_key:<name>`, or `oidc:<subject>`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallerName(Arc<str>);

impl CallerName {
    /// Who bears the key of this name.
    #[must_use]
    pub fn of_api_key(name: &str) -> Self {
        Self(format!("api_key:{name}").into())
    }

    /// Whom an OIDC issuer calls so.
    #[must_use]
    pub fn of_subject(subject: &str) -> Self {
        Self(format!("oidc:{subject}").into())
    }

    /// A name as it was stored.
    #[must_use]
    pub fn known(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole name.
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

/// What a caller may do: scopes, and which tables and buckets they hold for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    scopes: Scopes,
    allow: AllowList,
}

impl Grant {
    /// Everything: where nobody must say who they are.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            scopes: Scopes::of([Scope::Admin]),
            allow: AllowList::default(),
        }
    }

    /// These scopes on what the list allows.
    ///
    /// # Errors
    /// There is no scope, or one that cannot be bounded by a list: an endpoint hears of the exports
    /// of all tables, and an admin makes keys.
    pub fn new(scopes: Scopes, allow: AllowList) -> Result<Self, Invalid> {
        if scopes.is_empty() {
            return Err(Invalid::new("must name one scope at least"));
        }
        let unbounded = [Scope::WebhooksManage, Scope::Admin]
            .into_iter()
            .find(|scope| scopes.holds(*scope));
        match unbounded {
            Some(scope) if !allow.is_everything() => Err(Invalid::new(format!(
                "must not hold {} together with table_arns or s3_buckets, since it reaches beyond them",
                scope.as_str()
            ))),
            _ => Ok(Self { scopes, allow }),
        }
    }

    /// The scopes.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// Which tables and buckets they hold for.
    #[must_use]
    pub fn allow(&self) -> &AllowList {
        &self.allow
    }
}

/// Somebody who has said who they are, or who need not.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Their name; nothing where nobody must say it.
    pub name: Option<CallerName>,
    /// What they may do.
    pub grant: Grant,
    /// How many requests a second they may send in the long run, if it is their own number.
    pub rate_per_s: Option<f64>,
}

impl Caller {
    /// Anybody, where nobody must say who they are.
    #[must_use]
    pub fn anybody() -> Self {
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
                Scopes::of([Scope::ExportsRead, Scope::ExportsWrite]),
                list.clone()
            )
            .is_ok()
        );
        for scope in [Scope::WebhooksManage, Scope::Admin] {
            assert!(Grant::new(Scopes::of([scope]), AllowList::default()).is_ok());
            let sentence = Grant::new(Scopes::of([scope, Scope::ExportsRead]), list.clone())
                .unwrap_err()
                .to_string();
            assert!(sentence.contains(scope.as_str()), "{sentence}");
        }
        assert!(Grant::new(Scopes::of([]), AllowList::default()).is_err());
    }
}
