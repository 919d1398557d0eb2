//! Identifiers. Each kind is its own type, so that one cannot stand in for another.

use std::fmt;

use time::OffsetDateTime;
use uuid::Uuid;

use super::timestamp::Timestamp;

/// Names an export in this service: a UUIDv7, so that ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExportId(pub Uuid);

impl fmt::Display for ExportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one webhook delivery. Receivers see it as `webhook-id`, the same on every attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub Uuid);

impl DeliveryId {
    /// When it was made, which is when the delivery was written: it is a UUIDv7.
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

/// The ClientToken of ExportTableToPointInTime: AWS answers the same token with the same export for
/// 8 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken(String);

impl ClientToken {
    /// A fresh token for a request that no call was made for yet.
    #[must_use]
    pub fn from_uuid(id: Uuid) -> Self {
        Self(id.to_string())
    }

    /// A token that AWS or the database gave back.
    #[must_use]
    pub fn known(text: String) -> Self {
        Self(text)
    }

    /// The token as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
