//! Points in time: read from RFC 3339 with any offset, written in UTC with `Z`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::ser::Error as _;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::invalid::Invalid;

/// Maximum length of the text in bytes.
const LONGEST: usize = "9999-12-31T23:59:59.999999999Z".len();

/// A point in time in UTC with microseconds, the precision of Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Reads RFC 3339 text with any offset, in UTC between the years 0 and 9999. The offset may
    /// lack its colon, as many languages write it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(
                "must be a time in RFC 3339 form with an offset, such as 2026-04-02T11:30:13Z or 2026-04-02T11:30:13+01:00",
            )
        };
        let parsed = OffsetDateTime::parse(&with_colon(text), &Rfc3339).map_err(|_| wrong())?;
        let utc = parsed.checked_to_offset(UtcOffset::UTC).ok_or_else(wrong)?;
        if !(1..=9999).contains(&utc.year()) {
            return Err(wrong());
        }
        Ok(Self::from(utc))
    }

    /// From seconds since the Unix epoch, as AWS sends times. `None` if out of range.
    #[must_use]
    pub fn from_unix_seconds(seconds: f64) -> Option<Self> {
        let micros = (seconds * 1e6).round();
        if !micros.is_finite() || micros.abs() > 2.5e17 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
        OffsetDateTime::from_unix_timestamp_nanos(micros as i128 * 1000)
            .ok()
            .map(Self::from)
    }

    /// Whole seconds since the Unix epoch; fractions are dropped.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// The time without its fraction of a second; AWS compares export times in seconds.
    #[must_use]
    pub fn whole_seconds(self) -> Self {
        Self(self.0.replace_nanosecond(0).unwrap_or(self.0))
    }

    /// The time since `earlier`; zero if this is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).try_into().unwrap_or(Duration::ZERO)
    }

    /// This time plus `by`; the latest time if that is out of range.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_add(by))
    }

    /// This time minus `by`; the earliest time if that is out of range.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_sub(by))
    }

    /// Writes the text into `buffer`, without an allocation: a page of a list has hundreds of
    /// times.
    fn write(self, space: &mut [u8; LONGEST]) -> Option<&str> {
        let mut left = space.as_mut_slice();
        // The returned length does not count all digits of a fraction.
        self.0.format_into(&mut left, &Rfc3339).ok()?;
        let bytes = LONGEST - left.len();
        std::str::from_utf8(&space[..bytes]).ok()
    }
}

/// The text with a colon in its offset if it ends in `±hhmm`.
fn with_colon(text: &str) -> Cow<'_, str> {
    let offset = text
        .len()
        .checked_sub("+hhmm".len())
        .and_then(|at| text.split_at_checked(at));
    match offset {
        Some((time, offset))
            if offset.starts_with(['+', '-'])
                && offset.bytes().skip(1).all(|b| b.is_ascii_digit()) =>
        {
            let (hours, minutes) = offset.split_at("+hh".len());
            Cow::Owned(format!("{time}{hours}:{minutes}"))
        }
        _ => Cow::Borrowed(text),
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(t: OffsetDateTime) -> Self {
        let utc = t.to_offset(UtcOffset::UTC);
        Self(utc.replace_microsecond(utc.microsecond()).unwrap_or(utc))
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(t: Timestamp) -> Self {
        t.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; LONGEST]).ok_or(fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut space = [0; LONGEST];
        let text = self
            .write(&mut space)
            .ok_or_else(|| S::Error::custom("a time that has no RFC 3339 form"))?;
        serializer.serialize_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_comes_back_in_utc() {
        assert_eq!(
            Timestamp::parse("2023-04-02T11:30:13+01:00")
                .unwrap()
                .to_string(),
            "2023-04-02T10:30:13Z"
        );
        for text in [
            "2023-04-02T11:30:13.5Z",
            "2023-04-02T11:30:13.012Z",
            "2023-04-02T11:30:13.000001Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        // Without the colon, as Python's %z writes it.
        assert_eq!(
            Timestamp::parse("2023-04-02T11:30:13+0100")
                .unwrap()
                .to_string(),
            "2023-04-02T10:30:13Z"
        );
        assert_eq!(
            Timestamp::parse("2023-04-02T11:30:13.5-0130")
                .unwrap()
                .to_string(),
            "2023-04-02T13:00:13.5Z"
        );
        let finest = Timestamp::parse("2023-04-02T11:30:13Z")
            .unwrap()
            .plus(Duration::from_nanos(123_456_789));
        assert_eq!(finest.to_string(), "2023-04-02T11:30:13.123456789Z");
    }

    #[test]
    fn absurd_times_are_refused_not_panicked_on() {
        for text in [
            "",
            "yesterday",
            "2023-04-02",
            "2023-04-02T11:30:13",
            "2023-04-02T11:30:13+01",
            "2023-04-02T11:30:13+2400",
            "2023-0400",
            "+0000",
            "ü0000",
            "0000-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let t = Timestamp::parse("9999-12-31T23:59:59Z").unwrap();
        assert_eq!(
            t.plus(Duration::MAX).since(t.plus(Duration::MAX)),
            Duration::ZERO
        );
        assert!(Timestamp::from_unix_seconds(f64::NAN).is_none());
    }
}
