//! Durations as Terraform writes them: `60m`, `1h30m`, `90s`.

use std::time::Duration;

use crate::invalid::Invalid;

/// `timeouts.create`: the maximum time from an export's acceptance by this service to its end, with
/// the caller's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTimeout {
    text: String,
    duration: Duration,
}

/// The maximum: AWS forgets an export after 90 days.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

impl CreateTimeout {
    /// Reads whole numbers with the units `h`, `m`, `s` or `ms`, in total from a second to 90 days.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let duration = parse_duration(text).ok_or_else(|| {
            Invalid::new(
                "must be a duration such as \"60m\", \"1h30m\" or \"90s\" (units h, m, s, ms)",
            )
        })?;
        if duration < Duration::from_secs(1) || duration > LONGEST {
            return Err(Invalid::new(
                "must be at least 1s and at most 2160h (90 days, when AWS forgets an export)",
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            duration,
        })
    }

    /// A time-out from the database; not validated again.
    #[must_use]
    pub fn from_db(text: String, duration: Duration) -> Self {
        Self { text, duration }
    }

    /// The caller's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

impl Default for CreateTimeout {
    /// Terraform's default: one hour.
    fn default() -> Self {
        Self {
            text: "60m".to_owned(),
            duration: Duration::from_secs(3600),
        }
    }
}

/// Reads the lifetime of a presigned URL: from five seconds to twelve hours.
pub fn parse_presign(text: &str) -> Result<Duration, Invalid> {
    let (min, max) = (Duration::from_secs(5), Duration::from_secs(12 * 3600));
    parse_duration(text)
        .filter(|duration| (min..=max).contains(duration))
        .ok_or_else(|| {
            Invalid::new(
                "must be a duration from 5s to 12h, such as 15m or 1h30m (units h, m, s, ms)",
            )
        })
}

/// Reads whole numbers with the units `h`, `m`, `s` or `ms`; `None` for other forms.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    let mut rest = text;
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
        let unit_ms = match &rest[..letters] {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        rest = &rest[letters..];
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms)?)?;
    }
    Some(Duration::from_millis(total_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_terraform_durations() {
        for (text, seconds) in [
            ("60m", 3600),
            ("1h30m", 5400),
            ("90s", 90),
            ("2000ms", 2),
            ("1h0m0s", 3600),
        ] {
            assert_eq!(
                CreateTimeout::parse(text).unwrap().duration(),
                Duration::from_secs(seconds),
                "{text}"
            );
        }
    }

    #[test]
    fn presigned_urls_live_five_seconds_to_twelve_hours() {
        assert_eq!(parse_presign("15m").unwrap(), Duration::from_secs(900));
        for text in ["4s", "13h", "", "15", "forever"] {
            assert!(parse_presign(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one() {
        for text in [
            "",
            "60",
            "m",
            "1.5h",
            "-1h",
            "1d",
            "0s",
            "999ms",
            "2161h",
            "99999999999999999999h",
            "18446744073709551615h",
            "1h é",
        ] {
            assert!(CreateTimeout::parse(text).is_err(), "{text}");
        }
    }
}
