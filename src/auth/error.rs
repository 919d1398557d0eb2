//! Why a caller is not authenticated.

use std::time::Duration;

use crate::store::StoreError;
use crate::telemetry::reasons::AuthFailureReason;

/// The texts are the details of the problems that callers get.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There is no `Authorization: Bearer …`.
    #[error("send an API key as Authorization: Bearer tferry_…")]
    Missing,
    /// Neither an API key nor a JWT, or a JWT where no issuer is configured.
    #[error("the credential is not a valid API key; check that it was copied completely")]
    Malformed,
    #[error("no API key matches these credentials")]
    Unknown,
    #[error("the API key is expired")]
    Expired,
    #[error("the API key is revoked")]
    Revoked,
    #[error("the token was rejected: {0}")]
    Token(&'static str),
    /// Many credentials from this address were refused, and too many of such addresses wait for
    /// their check.
    #[error(
        "too many invalid credentials came from this address, and too many requests are waiting to be checked; try again later"
    )]
    TooMany { retry_after: Duration },
    #[error(
        "the token cannot be checked, because its issuer's keys cannot be fetched at the moment"
    )]
    IssuerAway,
    #[error("the database does not answer")]
    Store(#[from] StoreError),
}

impl AuthError {
    #[must_use]
    pub fn reason(&self) -> AuthFailureReason {
        match self {
            Self::Missing => AuthFailureReason::Missing,
            Self::Malformed => AuthFailureReason::Malformed,
            Self::Unknown => AuthFailureReason::Unknown,
            Self::Expired => AuthFailureReason::Expired,
            Self::Revoked => AuthFailureReason::Revoked,
            Self::Token(_) => AuthFailureReason::Token,
            Self::TooMany { .. } => AuthFailureReason::TooMany,
            Self::IssuerAway => AuthFailureReason::IssuerAway,
            Self::Store(_) => AuthFailureReason::DatabaseAway,
        }
    }

    /// Whether the credentials were checked and are bad.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Malformed | Self::Unknown | Self::Expired | Self::Revoked | Self::Token(_)
        )
    }
}
