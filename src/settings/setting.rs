//! One setting: its key, its default, the values that are allowed and the text of the error for
//! all others. [`rows!`] declares the settings of a section, one row each.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::source::{Form, Row, SettingsError, Source};

/// Declares a constant per setting, and `ROWS` with all of them.
macro_rules! rows {
    ($($(#[$attribute:meta])* $name:ident: $kind:ty = $setting:expr;)+) => {
        $($(#[$attribute])* const $name: $kind = $setting;)+

        pub(super) const ROWS: &[crate::settings::source::Row] = &[$($name.row()),+];
    };
}

pub(super) use rows;

/// A setting that may be absent.
#[derive(Debug, Clone, Copy)]
pub struct Setting<K> {
    row: Row,
    kind: K,
}

/// A setting with a default value.
#[derive(Debug, Clone, Copy)]
pub struct WithDefault<K> {
    setting: Setting<K>,
    default: &'static str,
}

impl<K> Setting<K> {
    pub const fn new(key: &'static str, kind: K) -> Self {
        Self {
            row: Row {
                key,
                default: None,
                form: Form::Scalar,
            },
            kind,
        }
    }

    /// The file may hold a list.
    pub const fn list(mut self) -> Self {
        self.row.form = Form::List;
        self
    }

    /// The file may hold a table or a list of tables.
    pub const fn json(mut self) -> Self {
        self.row.form = Form::Json;
        self
    }

    /// The value if it is not set, as the environment would hold it.
    pub const fn default(mut self, text: &'static str) -> WithDefault<K> {
        self.row.default = Some(text);
        WithDefault {
            setting: self,
            default: text,
        }
    }

    pub const fn row(&self) -> Row {
        self.row
    }

    /// An error of this setting; `expected` says what a right value is.
    pub fn bad_value(&self, expected: impl Into<String>) -> SettingsError {
        SettingsError::BadValue {
            key: self.row.key,
            expected: expected.into(),
        }
    }
}

impl<K: Kind> Setting<K> {
    pub fn read(&self, source: &Source) -> Result<Option<K::Value>, SettingsError> {
        source
            .get(self.row.key)
            .map(|text| self.parse(text))
            .transpose()
    }

    fn parse(&self, text: &str) -> Result<K::Value, SettingsError> {
        self.kind
            .parse(text)
            .map_err(|expected| self.bad_value(expected))
    }
}

impl<K> WithDefault<K> {
    pub const fn row(&self) -> Row {
        self.setting.row
    }

    pub fn bad_value(&self, expected: impl Into<String>) -> SettingsError {
        self.setting.bad_value(expected)
    }
}

impl<K: Kind> WithDefault<K> {
    pub fn read(&self, source: &Source) -> Result<K::Value, SettingsError> {
        let text = source.get(self.setting.row.key).unwrap_or(self.default);
        self.setting.parse(text)
    }
}

/// The values that a setting may have.
pub trait Kind {
    type Value;

    /// The error says what a right value is and does not repeat the text.
    fn parse(&self, text: &str) -> Result<Self::Value, String>;
}

/// Any text.
#[derive(Debug, Clone, Copy)]
pub struct Text;

impl Kind for Text {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// Any text; it is never shown.
#[derive(Debug, Clone, Copy)]
pub struct Secret;

impl Kind for Secret {
    type Value = SecretString;

    fn parse(&self, text: &str) -> Result<SecretString, String> {
        Ok(SecretString::from(text))
    }
}

/// The path of a file.
#[derive(Debug, Clone, Copy)]
pub struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;

    fn parse(&self, text: &str) -> Result<PathBuf, String> {
        Ok(text.into())
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Boolean;

impl Kind for Boolean {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, String> {
        OneOf(&[("true", true), ("false", false)]).parse(text)
    }
}

/// One of these words.
#[derive(Debug, Clone, Copy)]
pub struct OneOf<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy> Kind for OneOf<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        let found = self.0.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
            format!("must be {}", words.join(" or "))
        })
    }
}

/// A whole number from `min` to `max`.
#[derive(Debug, Clone, Copy)]
pub struct Whole<N> {
    pub min: N,
    pub max: N,
}

impl<N: FromStr + PartialOrd + Display + Copy> Kind for Whole<N> {
    type Value = N;

    fn parse(&self, text: &str) -> Result<N, String> {
        let Self { min, max } = self;
        text.parse()
            .ok()
            .filter(|number| (min..=max).contains(&number))
            .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
    }
}

/// A number from `min` to 100000.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    pub min: f64,
}

impl Kind for Number {
    type Value = f64;

    fn parse(&self, text: &str) -> Result<f64, String> {
        let Self { min } = self;
        text.parse()
            .ok()
            .filter(|number| (*min..=100_000.0).contains(number))
            .ok_or_else(|| format!("must be a number from {min} to 100000"))
    }
}

/// A time in milliseconds, from one to a day.
#[derive(Debug, Clone, Copy)]
pub struct Milliseconds;

impl Kind for Milliseconds {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        match text.parse() {
            Ok(ms @ 1..=86_400_000) => Ok(Duration::from_millis(ms)),
            _ => {
                Err("must be a whole number of milliseconds from 1 to 86400000 (a day)".to_owned())
            }
        }
    }
}

/// A time in seconds, from one to an hour.
#[derive(Debug, Clone, Copy)]
pub struct Seconds;

impl Kind for Seconds {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        match text.parse() {
            Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
            _ => Err("must be a whole number of seconds from 1 to 3600".to_owned()),
        }
    }
}

/// A time in days, or `None` for `forever`.
#[derive(Debug, Clone, Copy)]
pub struct DaysOrForever;

impl Kind for DaysOrForever {
    type Value = Option<Duration>;

    fn parse(&self, text: &str) -> Result<Option<Duration>, String> {
        if text == "forever" {
            return Ok(None);
        }
        match text.parse() {
            Ok(days @ 1..=36_500) => Ok(Some(Duration::from_secs(days * 24 * 3600))),
            _ => Err("must be a whole number of days from 1 to 36500, or forever".to_owned()),
        }
    }
}

/// Texts separated by commas.
#[derive(Debug, Clone, Copy)]
pub struct Entries;

impl Kind for Entries {
    type Value = Vec<String>;

    fn parse(&self, text: &str) -> Result<Vec<String>, String> {
        let entries: Vec<_> = text
            .split(',')
            .map(|entry| entry.trim().to_owned())
            .collect();
        if entries.iter().any(String::is_empty) {
            return Err("must be a comma-separated list without empty entries".to_owned());
        }
        Ok(entries)
    }
}

/// What a parser of another module accepts; its errors must not repeat the text.
#[derive(Debug, Clone, Copy)]
pub struct Parsed<T, E>(pub fn(&str) -> Result<T, E>);

impl<T, E: Display> Kind for Parsed<T, E> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        (self.0)(text).map_err(|error| error.to_string())
    }
}
