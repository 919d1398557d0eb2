//! Records of API keys: everything except the key itself.

use uuid::Uuid;

use super::secret::ApiKeySecret;
use super::{CallerName, Grant};
use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    pub id: Uuid,
    /// The first digits of the key, by which its record is found.
    pub lookup: String,
    /// Unique, also among revoked keys.
    pub name: KeyName,
    pub grant: Grant,
    /// Sustained requests per second, if not the default.
    pub rate_per_s: Option<f64>,
    pub created_at: Timestamp,
    /// The caller who created it; `None` if the command line did.
    pub created_by: Option<CallerName>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

/// The parameters of a new key.
#[derive(Debug, Clone, PartialEq)]
pub struct NewApiKey {
    pub name: KeyName,
    pub grant: Grant,
    /// Requests a second in the long run, if it is not what all have.
    pub rate_per_s: Option<f64>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    #[must_use]
    pub fn new(
        id: Uuid,
        secret: &ApiKeySecret,
        new: NewApiKey,
        created_by: Option<CallerName>,
        now: Timestamp,
    ) -> Self {
        let NewApiKey {
            name,
            grant,
            rate_per_s,
            expires_at,
        } = new;
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

    /// Why the key is not valid, if it is not.
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

/// The name of a key: 1 to 100 letters, digits and `- _ . @`, which are safe in logs and shells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// A name from the database; not validated again.
    #[must_use]
    pub fn from_db(text: String) -> Self {
        Self(text)
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
        if (1..=100).contains(&text.len()) && text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 100 letters, digits and - _ . @"))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bounds of a key's rate, in requests per second.
pub const RATES_PER_S: std::ops::RangeInclusive<f64> = 0.01..=100_000.0;

pub fn rate_per_s(rate: f64) -> Result<f64, Invalid> {
    if RATES_PER_S.contains(&rate) {
        Ok(rate)
    } else {
        Err(Invalid::new(format!(
            "must be a number of requests per second from {} to {}",
            RATES_PER_S.start(),
            RATES_PER_S.end()
        )))
    }
}
