//! API keys as they are kept: everything but the key itself.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::scope::Scope;
use super::secret::ApiKeySecret;
use super::{CallerName, Grant};
use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// A key's record.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its id.
    pub id: Uuid,
    /// What finds it: the first digits of the key itself.
    pub lookup: String,
    /// What it is called; no other key ever has the same name.
    pub name: KeyName,
    /// What its bearer may do.
    pub grant: Grant,
    /// Requests a second in the long run, if it is not what all have.
    pub rate_per_s: Option<f64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it; nothing if it was made by the command line.
    pub created_by: Option<CallerName>,
    /// When it stops to work.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// What somebody says of a new key.
#[derive(Debug, Clone, PartialEq)]
pub struct NewApiKey {
    /// What it is called.
    pub name: KeyName,
    /// What its bearer may do.
    pub grant: Grant,
    /// Requests a second in the long run, if it is not what all have.
    pub rate_per_s: Option<f64>,
    /// When it stops to work.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// The record of a new key.
    #[must_use]
    pub fn new(
        id: Uuid,
        secret: &ApiKeySecret,
        said: NewApiKey,
        created_by: Option<CallerName>,
        now: Timestamp,
    ) -> Self {
        let NewApiKey {
            name,
            grant,
            rate_per_s,
            expires_at,
        } = said;
        let lookup = secret.lookup().to_owned();
        Self {
            id,
            lookup,
            name,
            grant,
            rate_per_s,
            created_at: now,
            created_by,
            expires_at,
            revoked_at: None,
            last_used_at: None,
        }
    }

    /// Why it does not let its bearer in; nothing if it does.
    #[must_use]
    pub fn refusal(&self, now: Timestamp) -> Option<&'static str> {
        if self.revoked_at.is_some() {
            Some("revoked")
        } else if self.expires_at.is_some_and(|at| at <= now) {
            Some("expired")
        } else {
            None
        }
    }
}

/// The name of a key: 1 to 100 characters that stand well in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// A name that the database holds: not judged again.
    #[must_use]
    pub fn known(text: String) -> Self {
        Self(text)
    }

    /// Reads a name.
    ///
    /// # Errors
    /// It is empty, too long, or has characters that do not stand well in logs and shells.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
        if (1..=100).contains(&text.len()) && text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 100 letters, digits and - _ . @"))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The lowest and highest rate of a key, in requests a second.
pub const RATES_PER_S: std::ops::RangeInclusive<f64> = 0.01..=100_000.0;

/// Reads the rate of a key.
///
/// # Errors
/// It is out of bounds.
pub fn rate_per_s(rate: f64) -> Result<f64, Invalid> {
    if RATES_PER_S.contains(&rate) {
        Ok(rate)
    } else {
        Err(Invalid::new(format!(
            "must be a number of requests a second from {} to {}",
            RATES_PER_S.start(),
            RATES_PER_S.end()
        )))
    }
}

/// An API key, without the key itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyView {
    /// Its id.
    pub id: Uuid,
    /// What it is called, in `created_by` and in logs too.
    #[schema(example = "orders-team")]
    pub name: String,
    /// How the key itself begins.
    #[schema(example = "tferry_5f3a9c0d1b2e")]
    pub prefix: String,
    /// What its bearer may do.
    pub scopes: Vec<Scope>,
    /// Patterns of the tables that it holds for; empty is all tables.
    #[schema(example = json!(["arn:aws:dynamodb:*:123456789012:table/orders-*"]))]
    pub table_arns: Vec<String>,
    /// Patterns of the buckets that it holds for; empty is all buckets.
    #[schema(example = json!(["orders-exports"]))]
    pub s3_buckets: Vec<String>,
    /// Requests a second in the long run; null is what the service gives everybody.
    #[schema(required)]
    pub rate_limit_per_s: Option<f64>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who made it; null if it was made by the command line, or by anybody.
    #[schema(required)]
    pub created_by: Option<String>,
    /// When it stops to work; null is never.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; null while it works.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute; null if never.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

impl From<&ApiKey> for ApiKeyView {
    fn from(key: &ApiKey) -> Self {
        let texts = |patterns: &[super::allow::Pattern]| {
            patterns
                .iter()
                .map(|pattern| pattern.as_str().to_owned())
                .collect()
        };
        Self {
            id: key.id,
            name: key.name.as_str().to_owned(),
            prefix: format!("{}{}", super::secret::PREFIX, key.lookup),
            scopes: key.grant.scopes().iter().collect(),
            table_arns: texts(key.grant.allow().tables()),
            s3_buckets: texts(key.grant.allow().buckets()),
            rate_limit_per_s: key.rate_per_s,
            created_at: key.created_at,
            created_by: key.created_by.as_ref().map(|name| name.as_str().to_owned()),
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}
