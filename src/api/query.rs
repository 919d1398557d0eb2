//! Reads a URL's query. Every error is reported at once; unknown and repeated parameters are
//! rejected.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::problem::{FieldError, Problem, ProblemType};
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;

/// A query that is being read.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Query {
    /// From the raw text after `?`.
    #[must_use]
    pub fn from_raw(raw: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
        Self {
            pairs,
            known: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// A parameter that may be given once.
    pub fn one<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        self.known.push(name);
        let mut given = self
            .pairs
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str());
        let value = given.next()?;
        let parsed = if given.next().is_some() {
            Err(Invalid::new("is given more than once"))
        } else {
            clean(value).and_then(parse)
        };
        parsed
            .map_err(|e| {
                self.errors
                    .push(FieldError::new(format!("#query/{name}"), &e))
            })
            .ok()
    }

    /// A whole number within this range.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
        self.one(name, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            let (minimum, maximum) = (range.start(), range.end());
            number.ok_or_else(|| {
                Invalid::new(format!(
                    "must be a whole number from {minimum} to {maximum}"
                ))
            })
        })
    }

    /// A parameter that may be given many times.
    pub fn many<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Vec<T> {
        self.known.push(name);
        let given = self
            .pairs
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| clean(value).and_then(&parse));
        let (good, bad): (Vec<_>, Vec<_>) = given.partition(Result::is_ok);
        self.errors.extend(
            bad.into_iter()
                .filter_map(Result::err)
                .map(|e| FieldError::new(format!("#query/{name}"), &e)),
        );
        good.into_iter().filter_map(Result::ok).collect()
    }

    /// Reports that a parameter is invalid.
    pub fn refuse(&mut self, name: &'static str, invalid: &Invalid) {
        self.errors
            .push(FieldError::new(format!("#query/{name}"), invalid));
    }

    /// Ends reading, and rejects the query if any parameter is invalid or unknown.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in self
            .pairs
            .iter()
            .filter(|(name, _)| !self.known.contains(&name.as_str()))
        {
            let known = if self.known.is_empty() {
                "there are none".to_owned()
            } else {
                format!("known are {}", self.known.join(", "))
            };
            self.errors.push(FieldError::new(
                format!("#query/{name}"),
                &Invalid::new(format!("is not a known parameter; {known}")),
            ));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::with_errors(
                ProblemType::InvalidParameter,
                self.errors,
            ))
        }
    }
}

/// The query of an operation that has no parameters: rejects every one.
///
/// Handlers read the path first, then the query, then the body: a request with an invalid query is
/// rejected before its body is read. So this extractor, or one that reads the parameters, is named
/// before the body.
#[derive(Debug, Clone, Copy)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::from_raw(parts.uri.query()).finish().map(|()| Self)
    }
}

fn clean(value: &str) -> Result<&str, Invalid> {
    if value.contains('\0') {
        Err(Invalid::new("must not contain NUL characters"))
    } else {
        Ok(value)
    }
}

/// The length of a date and a time to the second, after which an offset may follow.
const BEFORE_OFFSET: usize = "2026-04-02T11:30:13".len();

/// A time. A `+` that was not escaped arrives as a space, so a space before the offset is read as
/// `+`: a valid time has none there.
pub fn time(text: &str) -> Result<Timestamp, Invalid> {
    match text.rsplit_once(' ') {
        Some((time, offset)) if time.len() >= BEFORE_OFFSET => {
            Timestamp::parse(&format!("{time}+{offset}"))
        }
        _ => Timestamp::parse(text),
    }
}

/// `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, Invalid> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::new("must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every offset that RFC 3339 can write, however a client writes it.
    #[test]
    fn a_time_means_the_same_however_its_offset_came() {
        for minutes in -1439..=1439_i32 {
            let (sign, hours, rest) = (
                if minutes < 0 { '-' } else { '+' },
                minutes.abs() / 60,
                minutes.abs() % 60,
            );
            for time_of_day in ["2026-11-28T10:00:00", "2026-11-28T10:00:00.25"] {
                let right =
                    Timestamp::parse(&format!("{time_of_day}{sign}{hours:02}:{rest:02}")).unwrap();
                for offset in [
                    format!("{sign}{hours:02}:{rest:02}"),
                    format!("{sign}{hours:02}{rest:02}"),
                ] {
                    let text = format!("{time_of_day}{offset}");
                    assert_eq!(Timestamp::parse(&text), Ok(right), "{text}");
                    // As typed, with the sign unescaped, and as a careful client sends it.
                    for raw in [
                        format!("at={text}"),
                        format!("at={}", text.replace('+', "%2B")),
                    ] {
                        let mut query = Query::from_raw(Some(&raw));
                        assert_eq!(query.one("at", time), Some(right), "{raw}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_no_time_is_none_still() {
        for text in [
            "",
            " ",
            "2026-11-28 10:00",
            "2026-11-28T10:00:00",
            "2026-11-28T10:00:00 ",
            "2026-11-28T10:00:00 Z",
            "2026-11-28T10:00:00 +02:00",
            "2026-11-28T10:00:00  02:00",
            "2026-11-28T10:00:00 02:00:00",
            "2026-11-28T10:00:00 200",
            "2026-11-28T10:00:00 24:00",
            "2026-11-28T10:00:00 2460",
            "2026-11-28T10:00 02:00",
            "2026-11-28T10:00:00 é2:00",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
