//! The two headers that tell a caller its rate limit (draft-ietf-httpapi-ratelimit-headers).

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::rate_limiter::RateLimitStatus;

/// How many requests are left, and when all are back.
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// How many requests a caller may send in which time.
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds both headers.
pub(super) fn add(status: &RateLimitStatus, headers: &mut HeaderMap) {
    let (burst, window_s) = (
        status.burst.floor(),
        (status.burst / status.rate_per_s).ceil(),
    );
    let (left, full_s) = (status.left.floor(), status.full_in.as_secs_f64().ceil());
    let policy = HeaderValue::try_from(format!("\"default\";q={burst};w={window_s}"));
    let limit = HeaderValue::try_from(format!("\"default\";r={left};t={full_s}"));
    if let (Ok(policy), Ok(limit)) = (policy, limit) {
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, limit);
    }
}
