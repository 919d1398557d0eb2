//! Where settings come from: the environment, and a TOML file for what the environment does not
//! set.
//!
//! In the file a key is the variable's name, or that name in lower case without `TABLEFERRY_`. An
//! unknown key is an error, in the file and in the environment, so that a misspelt setting is never
//! silently ignored.

use std::collections::BTreeMap;

/// What is known of a setting without its type.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub key: &'static str,
    /// As the environment would hold it. `None` if the setting has no default, or if another
    /// module owns it.
    pub default: Option<&'static str>,
    pub form: Form,
}

/// How the TOML file may hold a value. The environment always holds text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A string, a number or a boolean.
    Scalar,
    /// Also a list; the environment separates the entries by commas.
    List,
    /// Also a table or a list of tables; the environment holds JSON.
    Json,
}

/// Why settings cannot be used. No message repeats a value, since a value may be a secret in the
/// wrong place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("{place} sets {key}, which is not a setting; the settings are {}", known.join(", "))]
    UnknownKey {
        /// The environment or the file.
        place: &'static str,
        key: String,
        /// Every key there is.
        known: Vec<&'static str>,
    },
    #[error("{key} {expected}")]
    BadValue { key: &'static str, expected: String },
    /// The file is not TOML, or a value in it has the wrong form.
    #[error("the settings file cannot be read: {0}")]
    File(String),
}

/// The values that `PGSSLMODE` may have.
const SSL_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// The variables of OpenTelemetry that name a collector for traces.
const COLLECTOR: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// Variables that belong to other programs of this project.
const FOREIGN_PREFIXES: [&str; 2] = ["TABLEFERRY_SIMULATOR_", "TABLEFERRY_TEST_"];

/// Variables of the command line client.
const CLIENT_VARIABLES: [&str; 2] = ["TABLEFERRY_SERVER", "TABLEFERRY_API_KEY"];

fn belongs_to_another_program(name: &str) -> bool {
    FOREIGN_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || CLIENT_VARIABLES.contains(&name)
}

/// The values that are set, as text.
#[derive(Debug, Default)]
pub struct Source {
    values: BTreeMap<&'static str, String>,
    /// OpenTelemetry's own variables name a collector and do not disable the SDK.
    pub sends_traces: bool,
}

impl Source {
    /// Reads the values of these settings. The environment takes precedence over the file.
    pub fn read(
        rows: &[Row],
        variables: impl IntoIterator<Item = (String, String)>,
        file: Option<&str>,
    ) -> Result<Self, SettingsError> {
        let (mut collector, mut disabled) = (false, false);
        let mut values = file.map_or_else(|| Ok(BTreeMap::new()), |text| read_file(rows, text))?;
        for (name, value) in variables {
            if let Some(row) = rows.iter().find(|row| row.key == name) {
                values.insert(row.key, value);
            } else if COLLECTOR.contains(&name.as_str()) {
                collector |= !value.is_empty();
            } else if name == "PGSSLMODE" {
                check_ssl_mode(&value)?;
            } else if name == "OTEL_SDK_DISABLED" {
                disabled = value.eq_ignore_ascii_case("true");
            } else if name.starts_with("TABLEFERRY_") && !belongs_to_another_program(&name) {
                return Err(unknown_key(rows, "the environment", name));
            }
        }
        // An empty value is how Compose files and unit files say "not set".
        values.retain(|_, value| !value.is_empty());
        Ok(Self {
            values,
            sends_traces: collector && !disabled,
        })
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

/// The driver ignores a value that it does not know, and would go on without TLS.
fn check_ssl_mode(value: &str) -> Result<(), SettingsError> {
    if value.is_empty() || SSL_MODES.contains(&value) {
        return Ok(());
    }
    Err(SettingsError::BadValue {
        key: "PGSSLMODE",
        expected: format!("must be one of {}", SSL_MODES.join(", ")),
    })
}

fn unknown_key(rows: &[Row], place: &'static str, key: String) -> SettingsError {
    SettingsError::UnknownKey {
        place,
        key,
        known: rows.iter().map(|row| row.key).collect(),
    }
}

fn read_file(rows: &[Row], text: &str) -> Result<BTreeMap<&'static str, String>, SettingsError> {
    // TOML's own message quotes the line, which may hold a secret; the place is enough to find it.
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e
            .span()
            .map_or(1, |span| text[..span.start].lines().count().max(1));
        SettingsError::File(format!("it is not TOML (line {line})"))
    })?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let row = rows
            .iter()
            .find(|row| row.key == name || short_name(row.key) == name)
            .ok_or_else(|| unknown_key(rows, "the settings file", name))?;
        values.insert(row.key, as_text(row, value)?);
    }
    Ok(values)
}

fn short_name(key: &str) -> String {
    key.strip_prefix("TABLEFERRY_")
        .unwrap_or(key)
        .to_ascii_lowercase()
}

/// The value as the environment would hold it.
fn as_text(row: &Row, value: toml::Value) -> Result<String, SettingsError> {
    let key = row.key;
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(yes) => Ok(yes.to_string()),
        toml::Value::Array(entries) if row.form == Form::List => join(key, entries),
        json @ (toml::Value::Array(_) | toml::Value::Table(_)) if row.form == Form::Json => {
            serde_json::to_string(&json)
                .map_err(|_| SettingsError::File(format!("{key} cannot be read")))
        }
        _ => Err(SettingsError::File(format!(
            "{key} must be a string, a number or a boolean"
        ))),
    }
}

fn join(key: &str, entries: Vec<toml::Value>) -> Result<String, SettingsError> {
    let entries = entries.into_iter().map(|entry| match entry {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        _ => Err(SettingsError::File(format!(
            "{key} must hold strings or whole numbers"
        ))),
    });
    Ok(entries.collect::<Result<Vec<_>, _>>()?.join(","))
}
