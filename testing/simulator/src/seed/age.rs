//! Ages in seed files: `90s`, `15m`, `12h`, `30d`.

use serde::{Deserialize, Serialize};
use time::Duration;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age(pub Duration);

/// A text that is not a valid age.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not an age: a whole number and s, m, h or d, such as 30d")]
pub struct BadAge(String);

impl TryFrom<String> for Age {
    type Error = BadAge;

    fn try_from(text: String) -> Result<Self, BadAge> {
        let read = || {
            let unit = text.chars().last()?;
            let count: i64 = text
                .strip_suffix(unit)?
                .parse()
                .ok()
                .filter(|count| *count >= 0)?;
            let seconds = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return None,
            };
            Some(Self(Duration::seconds(count.checked_mul(seconds)?)))
        };
        read().ok_or_else(|| BadAge(text.clone()))
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        format!("{}s", age.0.whole_seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_by_unit() {
        let read = |text: &str| Age::try_from(text.to_owned()).map(|age| age.0);
        assert_eq!(read("90s").unwrap(), Duration::seconds(90));
        assert_eq!(read("15m").unwrap(), Duration::minutes(15));
        assert_eq!(read("12h").unwrap(), Duration::hours(12));
        assert_eq!(read("30d").unwrap(), Duration::days(30));
        for bad in ["", "d", "-1d", "1w", "1.5d", "99999999999999999d"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
