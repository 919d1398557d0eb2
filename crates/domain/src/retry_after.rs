//! `Retry-After` (RFC 9110, 10.2.3) in every form that receivers send: seconds, also with a
//! fraction, and dates.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use crate::timestamp::Timestamp;

/// The maximum wait that is honoured.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The wait, at most [`LONGEST_RETRY_AFTER`]; zero if the date has passed; `None` if the value is
/// neither seconds nor a date.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = seconds(value).or_else(|| date(value).map(|then| then.since(now)))?;
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// Digits with an optional fraction.
fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // Too many digits mean a very long time, not an error.
    let seconds: f64 = value.parse().ok()?;
    Some(Duration::from_secs_f64(
        seconds.min(LONGEST_RETRY_AFTER.as_secs_f64()),
    ))
}

/// A date in one of HTTP's three forms, or in the forms of mail (RFC 2822: other zones, one-digit
/// days) or RFC 3339.
fn date(value: &str) -> Option<Timestamp> {
    // Not in any standard, but sent in practice.
    let zoned = value.strip_suffix("UTC").map(|rest| format!("{rest}GMT"));
    let value = zoned.as_deref().unwrap_or(value);
    if let Ok(then) = httpdate::parse_http_date(value) {
        return Some(OffsetDateTime::from(then).into());
    }
    OffsetDateTime::parse(value, &Rfc2822)
        .or_else(|_| OffsetDateTime::parse(value, &Rfc3339))
        .ok()
        .map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_is_met() {
        let now = Timestamp::parse("1994-11-06T08:49:37Z").unwrap();
        let day = LONGEST_RETRY_AFTER.as_secs_f64();
        for (value, seconds) in [
            ("120", Some(120.0)),
            (" 0 ", Some(0.0)),
            ("\t30", Some(30.0)),
            ("30.5", Some(30.5)),
            ("0030", Some(30.0)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(120.0)),
            ("Sunday, 06-Nov-94 08:51:37 GMT", Some(120.0)),
            ("Sun Nov  6 08:51:37 1994", Some(120.0)),
            ("Sun, 06 Nov 1994 08:51:37 UTC", Some(120.0)),
            ("Sun, 06 Nov 1994 08:51:37 +0000", Some(120.0)),
            ("Sun, 06 Nov 1994 09:51:37 +0100", Some(120.0)),
            ("Sun, 6 Nov 1994 08:51:37 GMT", Some(120.0)),
            ("06 Nov 1994 08:51:37 GMT", Some(120.0)),
            ("1994-11-06T08:51:37Z", Some(120.0)),
            ("1994-11-06T09:51:37.5+01:00", Some(120.5)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0.0)),
            ("1900-01-01T00:00:00Z", Some(0.0)),
            ("86401", Some(day)),
            ("99999999999999999999999", Some(day)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(day)),
            ("", None),
            ("-1", None),
            ("-0.5", None),
            ("1e9", None),
            ("inf", None),
            ("NaN", None),
            ("30.", None),
            (".5", None),
            ("1.2.3", None),
            ("30s", None),
            ("30, 60", None),
            ("soon", None),
            ("UTC", None),
            ("Sun, 06 Nov 1994 25:51:37 GMT", None),
        ] {
            assert_eq!(
                retry_after(value, now).map(|wait| wait.as_secs_f64()),
                seconds,
                "{value:?}"
            );
        }
    }
}
