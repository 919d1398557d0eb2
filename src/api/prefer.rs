//! `Prefer: wait=N` (RFC 7240): how long a caller wants to wait for an export to end.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::ApiState;

/// The header that names the applied preference.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Only the wait, for handlers that may wait: the whole headers would keep the connection's read
/// buffer alive.
#[derive(Debug, Clone, Copy)]
pub struct Wait(pub Option<Duration>);

impl FromRequestParts<ApiState> for Wait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Infallible> {
        Ok(Self(wait(&parts.headers, state.admission.longest_wait())))
    }
}

/// How long the caller wants to wait, at most `longest`. Unknown and malformed preferences are
/// ignored, as RFC 7240 asks.
#[must_use]
pub fn wait(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut waits = preferences.filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse::<u64>().ok()?;
        name.trim().eq_ignore_ascii_case("wait").then_some(seconds)
    });
    waits
        .next()
        .map(|seconds| Duration::from_secs(seconds).min(longest))
}

/// How long a response is delayed for a wait. Long waits end a second early, so that the response
/// arrives before a proxy's time-out of the same length: HAProxy times out after 50 s in Debian's
/// configuration, which is the default maximum wait.
#[must_use]
pub fn held_for(wait: Duration) -> Duration {
    if wait > Duration::from_secs(10) {
        wait - Duration::from_secs(1)
    } else {
        wait
    }
}

/// The value of `Preference-Applied` for a wait.
#[must_use]
pub fn applied(wait: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("wait={}", wait.as_secs()))
        .unwrap_or(HeaderValue::from_static("wait"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_end_a_little_early() {
        for (wait, held) in [(0, 0), (1, 1), (10, 10), (11, 10), (50, 49), (3600, 3599)] {
            assert_eq!(
                held_for(Duration::from_secs(wait)),
                Duration::from_secs(held),
                "{wait}"
            );
        }
    }

    #[test]
    fn reads_wait_among_other_preferences() {
        for (value, seconds) in [
            ("wait=10", Some(10)),
            ("respond-async, wait=10", Some(10)),
            ("Wait = \"5\"; foo=bar", Some(5)),
            ("wait=99999", Some(50)),
            ("wait=soon", None),
            ("return=minimal", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", HeaderValue::from_static(value));
            assert_eq!(
                wait(&headers, Duration::from_secs(50)).map(|d| d.as_secs()),
                seconds,
                "{value}"
            );
        }
    }
}
