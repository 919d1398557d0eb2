//! Identifiers, one type per kind, so that one cannot be used in place of another.

use std::fmt;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// The id of an export in this service: a UUIDv7, so that ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExportId(pub Uuid);

impl fmt::Display for ExportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a webhook delivery. Receivers see it as `webhook-id`, the same on every attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub Uuid);

impl DeliveryId {
    /// The time in the UUIDv7, which is when the delivery was written.
    #[must_use]
    pub fn made_at(&self) -> Option<Timestamp> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        let at = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        OffsetDateTime::from_unix_timestamp_nanos(at)
            .ok()
            .map(Timestamp::from)
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "msg_{}", self.0.simple())
    }
}

/// The ClientToken of ExportTableToPointInTime. AWS answers a repeated token with the same export
/// for 8 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken(String);

impl ClientToken {
    /// A new token.
    #[must_use]
    pub fn from_uuid(id: Uuid) -> Self {
        Self(id.to_string())
    }

    /// A token from AWS or the database; not validated.
    #[must_use]
    pub fn from_trusted(text: String) -> Self {
        Self(text)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
