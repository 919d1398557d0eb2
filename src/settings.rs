//! Settings: read once, from the environment and a TOML file that may hold the same, environment
//! first.
//!
//! What has parts of its own (accounts, prices) is JSON in the environment and tables in the file.
//! In the file a key is the variable's name, or that name in lower case without `TABLEFERRY_`. An
//! unknown key is an error, in the file and in the environment, so that a misspelt setting is never
//! silently without effect.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;

use crate::auth::oidc::settings::{self as oidc_settings, OidcSettings};
use crate::domain::account::AccountRole;
use crate::domain::backoff::PollBounds;
use crate::domain::estimate::Prices;
use crate::domain::origins::Origins;
use crate::domain::pace::{LaneLimits, PaceLimits};
use crate::domain::public_url::PublicUrl;
use crate::domain::webhook::CallbackPolicy;
use crate::domain::webhook::policy::{HostList, PortList, UrlPolicy};
use crate::domain::webhook::secret::WebhookSecret;
use crate::listener::{Limits, Proxies, TlsFiles};
use crate::telemetry::{LogFormat, TelemetrySettings};
use crate::webhooks::vault::VaultKey;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `DATABASE_URL`: Postgres.
    pub database_url: Option<SecretString>,
    /// `TABLEFERRY_DIRECT_DATABASE_URL`: the same database past a pooler; migrations run there.
    pub direct_database_url: Option<SecretString>,
    /// `TABLEFERRY_LISTEN`: address of the API.
    pub listen: SocketAddr,
    /// `TABLEFERRY_TLS_CERT`, `TABLEFERRY_TLS_KEY`: the API is served by TLS.
    pub tls: Option<TlsFiles>,
    /// `TABLEFERRY_PUBLIC_URL`: where callers reach the service, the base of links.
    pub public_url: PublicUrl,
    /// `TABLEFERRY_TRUSTED_PROXIES`, `TABLEFERRY_PROXY_PROTOCOL`: who says where requests come
    /// from.
    pub proxies: Proxies,
    /// `TABLEFERRY_CORS_ORIGINS`: web pages that may call from a browser.
    pub cors_origins: Option<Origins>,
    /// `TABLEFERRY_MAX_CONNECTIONS`, `TABLEFERRY_MAX_REQUESTS`, `TABLEFERRY_PREFER_WAIT_MAX_S`:
    /// what callers may take of the process.
    pub limits: Limits,
    /// `TABLEFERRY_AUTH`: whether callers must say who they are.
    pub auth: Auth,
    /// `TABLEFERRY_OIDC_…` ([`oidc_settings::KEYS`]): whose tokens are taken besides API keys, and
    /// what they must say.
    pub oidc: Option<OidcSettings>,
    /// `TABLEFERRY_RATE_LIMIT_PER_S`, `TABLEFERRY_RATE_LIMIT_BURST`: what each caller may ask for,
    /// from this process.
    pub rate_limits: PaceLimits,
    /// `TABLEFERRY_POLL_INTERVAL_MIN_MS`, `TABLEFERRY_POLL_INTERVAL_MAX_MS`: bounds of the poll
    /// delay of one export.
    pub poll: PollBounds,
    /// `TABLEFERRY_MAX_EXPORTS_IN_FLIGHT`, `TABLEFERRY_START_BURST`, `TABLEFERRY_START_RATE_PER_S`,
    /// `TABLEFERRY_LOOK_BURST`, `TABLEFERRY_LOOK_RATE_PER_S`: limits of each account and region.
    pub lanes: LaneLimits,
    /// `TABLEFERRY_ACCOUNTS`: accounts that are reached through a role of theirs.
    pub accounts: Vec<AccountRole>,
    /// `TABLEFERRY_PRICE_USD_PER_GB`: what AWS bills for a GB, by region, for estimates.
    pub prices: Prices,
    /// `TABLEFERRY_RETAIN_EXPORTS_DAYS`, `TABLEFERRY_RETAIN_EVENTS_DAYS`,
    /// `TABLEFERRY_RETAIN_ATTEMPTS_DAYS`: how long things are kept.
    pub retention: Retention,
    /// `TABLEFERRY_WEBHOOK_SECRET`: signs callbacks that bring no secret of their own.
    pub webhook_secret: Option<WebhookSecret>,
    /// `TABLEFERRY_WEBHOOK_ALLOW_HOSTS`, `TABLEFERRY_WEBHOOK_PORTS`,
    /// `TABLEFERRY_WEBHOOK_ALLOW_PRIVATE`: which receivers are allowed.
    pub webhook_urls: UrlPolicy,
    /// `TABLEFERRY_ENCRYPTION_KEY`: seal secrets in the database; the first seals, all open.
    pub encryption_keys: Vec<VaultKey>,
    /// `TABLEFERRY_METRICS`, `TABLEFERRY_LOG`, `TABLEFERRY_LOG_FORMAT`, `OTEL_…`: metrics, logs and
    /// traces.
    pub telemetry: TelemetrySettings,
}

/// How long things are kept; `None` is forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Exports after they ended, with their events.
    pub exports: Option<Duration>,
    /// Events after their export ended.
    pub events: Option<Duration>,
    /// Webhook deliveries after they were made, with their attempts, if they are settled.
    pub attempts: Option<Duration>,
}

/// How long attempts are kept unless it is said.
const DEFAULT_RETAIN_ATTEMPTS: Duration = Duration::from_secs(90 * 24 * 3600);

/// Whether callers must say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// They must, by an API key or a token of an OIDC issuer.
    Required,
    /// Whoever reaches the API may use it.
    None,
}

/// Why settings cannot be used. No message repeats a value, since a value may be a secret in the
/// wrong place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A key that does not exist.
    #[error("{place} sets {key}, which is no setting; known are {}", KEYS.join(", "))]
    UnknownKey {
        /// Where it stands.
        place: &'static str,
        /// The key.
        key: String,
    },
    /// A value that does not suit its key.
    #[error("{key} {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What would be right.
        expected: String,
    },
    /// The file is no TOML, or a value in it is a table or a list.
    #[error("the settings file cannot be read: {0}")]
    File(String),
}

const KEYS: [&str; 44] = [
    "DATABASE_URL",
    "TABLEFERRY_DIRECT_DATABASE_URL",
    "TABLEFERRY_LISTEN",
    "TABLEFERRY_TLS_CERT",
    "TABLEFERRY_TLS_KEY",
    "TABLEFERRY_PUBLIC_URL",
    "TABLEFERRY_TRUSTED_PROXIES",
    "TABLEFERRY_PROXY_PROTOCOL",
    "TABLEFERRY_CORS_ORIGINS",
    "TABLEFERRY_MAX_CONNECTIONS",
    "TABLEFERRY_MAX_REQUESTS",
    "TABLEFERRY_PREFER_WAIT_MAX_S",
    "TABLEFERRY_AUTH",
    "TABLEFERRY_OIDC_ISSUER",
    "TABLEFERRY_OIDC_OTHER_ISSUERS",
    "TABLEFERRY_OIDC_AUDIENCE",
    "TABLEFERRY_OIDC_CLIENT_IDS",
    "TABLEFERRY_OIDC_SCOPE_CLAIM",
    "TABLEFERRY_OIDC_SCOPE_PREFIX",
    "TABLEFERRY_OIDC_JWKS_URL",
    "TABLEFERRY_OIDC_CA_FILE",
    "TABLEFERRY_OIDC_BEARER_FILE",
    "TABLEFERRY_RATE_LIMIT_PER_S",
    "TABLEFERRY_RATE_LIMIT_BURST",
    "TABLEFERRY_POLL_INTERVAL_MIN_MS",
    "TABLEFERRY_POLL_INTERVAL_MAX_MS",
    "TABLEFERRY_MAX_EXPORTS_IN_FLIGHT",
    "TABLEFERRY_START_BURST",
    "TABLEFERRY_START_RATE_PER_S",
    "TABLEFERRY_LOOK_BURST",
    "TABLEFERRY_LOOK_RATE_PER_S",
    "TABLEFERRY_ACCOUNTS",
    "TABLEFERRY_PRICE_USD_PER_GB",
    "TABLEFERRY_RETAIN_EXPORTS_DAYS",
    "TABLEFERRY_RETAIN_EVENTS_DAYS",
    "TABLEFERRY_RETAIN_ATTEMPTS_DAYS",
    "TABLEFERRY_WEBHOOK_SECRET",
    "TABLEFERRY_WEBHOOK_ALLOW_HOSTS",
    "TABLEFERRY_WEBHOOK_PORTS",
    "TABLEFERRY_WEBHOOK_ALLOW_PRIVATE",
    "TABLEFERRY_ENCRYPTION_KEY",
    "TABLEFERRY_METRICS",
    "TABLEFERRY_LOG",
    "TABLEFERRY_LOG_FORMAT",
];

/// Settings that the file may hold as lists too.
const LISTS: [&str; 5] = [
    "TABLEFERRY_TRUSTED_PROXIES",
    "TABLEFERRY_CORS_ORIGINS",
    "TABLEFERRY_WEBHOOK_ALLOW_HOSTS",
    "TABLEFERRY_WEBHOOK_PORTS",
    "TABLEFERRY_ENCRYPTION_KEY",
];

/// Keys whose value is JSON, and may be a table or a list of tables in the file.
const STRUCTURED: [&str; 2] = ["TABLEFERRY_ACCOUNTS", "TABLEFERRY_PRICE_USD_PER_GB"];

/// What the driver takes as `PGSSLMODE`.
const SSL_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// Where traces go.
const COLLECTOR: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// Variables that belong to our other programs.
const FOREIGN_PREFIXES: [&str; 2] = ["TABLEFERRY_SIMULATOR_", "TABLEFERRY_TEST_"];

/// Variables of the command line client, which uses a service and is not one.
const CLIENT_VARIABLES: [&str; 2] = ["TABLEFERRY_SERVER", "TABLEFERRY_API_KEY"];

/// Whether a variable is none of the service's.
fn is_foreign(name: &str) -> bool {
    FOREIGN_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || CLIENT_VARIABLES.contains(&name)
}

impl Settings {
    /// Reads settings from variables and, where they are silent, from the text of a TOML file.
    ///
    /// # Errors
    /// A key is unknown or a value does not suit its key.
    pub fn read(
        variables: impl IntoIterator<Item = (String, String)>,
        file: Option<&str>,
    ) -> Result<Self, SettingsError> {
        let (mut collector, mut disabled) = (false, false);
        let mut values = file.map_or_else(|| Ok(BTreeMap::new()), read_file)?;
        for (name, value) in variables {
            if let Some(key) = KEYS.into_iter().find(|key| *key == name) {
                values.insert(key, value);
            } else if COLLECTOR.contains(&name.as_str()) {
                collector |= !value.is_empty();
            } else if name == "PGSSLMODE"
                && !SSL_MODES.contains(&value.as_str())
                && !value.is_empty()
            {
                // The driver would go on without TLS and without a word.
                return Err(SettingsError::BadValue {
                    key: "PGSSLMODE",
                    expected: format!("must be one of {}", SSL_MODES.join(", ")),
                });
            } else if name == "OTEL_SDK_DISABLED" {
                disabled = value.eq_ignore_ascii_case("true");
            } else if name.starts_with("TABLEFERRY_") && !is_foreign(&name) {
                return Err(SettingsError::UnknownKey {
                    place: "the environment",
                    key: name,
                });
            }
        }
        // An empty value is how Compose files and unit files say "not set".
        values.retain(|_, value| !value.is_empty());
        let mut settings = Self::from_values(&values)?;
        settings.telemetry.traces = collector && !disabled;
        Ok(settings)
    }

    fn from_values(values: &BTreeMap<&'static str, String>) -> Result<Self, SettingsError> {
        let bad = |key: &'static str, expected: &str| SettingsError::BadValue {
            key,
            expected: expected.to_owned(),
        };
        let get = |key: &'static str| values.get(key).map(String::as_str);
        let milliseconds = |key: &'static str, default: u64| match get(key) {
            None => Ok(Duration::from_millis(default)),
            Some(text) => match text.parse() {
                Ok(ms @ 1..=86_400_000) => Ok(Duration::from_millis(ms)),
                _ => Err(bad(
                    key,
                    "must be a whole number of milliseconds from 1 to 86400000 (a day)",
                )),
            },
        };
        let poll = PollBounds {
            min: milliseconds("TABLEFERRY_POLL_INTERVAL_MIN_MS", 2000)?,
            max: milliseconds("TABLEFERRY_POLL_INTERVAL_MAX_MS", 30_000)?,
        };
        if poll.min > poll.max {
            return Err(bad(
                "TABLEFERRY_POLL_INTERVAL_MIN_MS",
                "must not be above TABLEFERRY_POLL_INTERVAL_MAX_MS",
            ));
        }
        let number =
            |key: &'static str, default: f64, least: f64| match get(key).map(str::parse::<f64>) {
                None => Ok(default),
                Some(Ok(number)) if (least..=100_000.0).contains(&number) => Ok(number),
                Some(_) => Err(bad(
                    key,
                    &format!("must be a number from {least} to 100000"),
                )),
            };
        let days = |key: &'static str| match get(key) {
            None => Ok(None),
            Some("forever") => Ok(Some(None)),
            Some(text) => match text.parse() {
                Ok(days @ 1..=36_500) => Ok(Some(Some(Duration::from_secs(days * 24 * 3600)))),
                _ => Err(bad(
                    key,
                    "must be a whole number of days from 1 to 36500, or forever",
                )),
            },
        };
        let most_in_flight = match get("TABLEFERRY_MAX_EXPORTS_IN_FLIGHT").map(str::parse::<u32>) {
            None => 300,
            Some(Ok(most @ 1..=100_000)) => most,
            Some(_) => {
                return Err(bad(
                    "TABLEFERRY_MAX_EXPORTS_IN_FLIGHT",
                    "must be a whole number from 1 to 100000",
                ));
            }
        };
        let lanes = LaneLimits {
            starts: PaceLimits {
                burst: number("TABLEFERRY_START_BURST", 10.0, 1.0)?,
                rate_per_s: number("TABLEFERRY_START_RATE_PER_S", 1.0, 0.001)?,
            },
            looks: PaceLimits {
                burst: number("TABLEFERRY_LOOK_BURST", 8.0, 1.0)?,
                rate_per_s: number("TABLEFERRY_LOOK_RATE_PER_S", 5.0, 0.001)?,
            },
            most_in_flight,
        };
        let rate_limits = PaceLimits {
            burst: number("TABLEFERRY_RATE_LIMIT_BURST", 200.0, 1.0)?,
            rate_per_s: number("TABLEFERRY_RATE_LIMIT_PER_S", 50.0, 0.01)?,
        };
        let most = |key: &'static str, default: usize| match get(key).map(str::parse::<usize>) {
            None => Ok(default),
            Some(Ok(most @ 1..=1_000_000)) => Ok(most),
            Some(_) => Err(bad(key, "must be a whole number from 1 to 1000000")),
        };
        let longest_wait = match get("TABLEFERRY_PREFER_WAIT_MAX_S").map(str::parse::<u64>) {
            None => Limits::default().longest_wait,
            Some(Ok(seconds @ 1..=3600)) => Duration::from_secs(seconds),
            Some(_) => {
                return Err(bad(
                    "TABLEFERRY_PREFER_WAIT_MAX_S",
                    "must be a whole number of seconds from 1 to 3600",
                ));
            }
        };
        let limits = Limits::default();
        let limits = Limits {
            connections: most("TABLEFERRY_MAX_CONNECTIONS", limits.connections)?,
            requests: most("TABLEFERRY_MAX_REQUESTS", limits.requests)?,
            longest_wait,
            ..limits
        };
        let tls = match (get("TABLEFERRY_TLS_CERT"), get("TABLEFERRY_TLS_KEY")) {
            (Some(cert), Some(key)) => Some(TlsFiles {
                cert: cert.into(),
                key: key.into(),
            }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(bad(
                    "TABLEFERRY_TLS_KEY",
                    "must be set along with TABLEFERRY_TLS_CERT",
                ));
            }
            (None, Some(_)) => {
                return Err(bad(
                    "TABLEFERRY_TLS_CERT",
                    "must be set along with TABLEFERRY_TLS_KEY",
                ));
            }
        };
        let retention = Retention {
            exports: days("TABLEFERRY_RETAIN_EXPORTS_DAYS")?.flatten(),
            events: days("TABLEFERRY_RETAIN_EVENTS_DAYS")?.flatten(),
            attempts: days("TABLEFERRY_RETAIN_ATTEMPTS_DAYS")?
                .unwrap_or(Some(DEFAULT_RETAIN_ATTEMPTS)),
        };
        let encryption_keys = get("TABLEFERRY_ENCRYPTION_KEY").map_or(Ok(Vec::new()), |all| {
            all.split(',').map(VaultKey::parse).collect()
        });
        let boolean = |key: &'static str, default: bool| match get(key) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(bad(key, "must be true or false")),
        };
        let speak_proxy_protocol = boolean("TABLEFERRY_PROXY_PROTOCOL", false)?;
        let proxies = match get("TABLEFERRY_TRUSTED_PROXIES") {
            Some(list) => Proxies::parse(list, speak_proxy_protocol)
                .map_err(|e| bad("TABLEFERRY_TRUSTED_PROXIES", &e.to_string()))?,
            None if speak_proxy_protocol => {
                return Err(bad(
                    "TABLEFERRY_PROXY_PROTOCOL",
                    "needs TABLEFERRY_TRUSTED_PROXIES: whose headers are taken",
                ));
            }
            None => Proxies::default(),
        };
        let public_url = get("TABLEFERRY_PUBLIC_URL")
            .map(PublicUrl::parse)
            .transpose();
        let cors_origins = get("TABLEFERRY_CORS_ORIGINS")
            .map(Origins::parse)
            .transpose();
        let allow_private = boolean("TABLEFERRY_WEBHOOK_ALLOW_PRIVATE", false)?;
        let allow_hosts = get("TABLEFERRY_WEBHOOK_ALLOW_HOSTS")
            .map(HostList::parse)
            .transpose();
        let allow_hosts =
            allow_hosts.map_err(|e| bad("TABLEFERRY_WEBHOOK_ALLOW_HOSTS", &e.to_string()))?;
        let ports = get("TABLEFERRY_WEBHOOK_PORTS")
            .map(PortList::parse)
            .transpose();
        let ports = ports.map_err(|e| bad("TABLEFERRY_WEBHOOK_PORTS", &e.to_string()))?;
        let secret = get("TABLEFERRY_WEBHOOK_SECRET")
            .map(WebhookSecret::parse)
            .transpose();
        Ok(Self {
            database_url: get("DATABASE_URL").map(SecretString::from),
            direct_database_url: get("TABLEFERRY_DIRECT_DATABASE_URL").map(SecretString::from),
            listen: get("TABLEFERRY_LISTEN")
                .unwrap_or("127.0.0.1:8080")
                .parse()
                .map_err(|_| {
                    bad(
                        "TABLEFERRY_LISTEN",
                        "must be an IP address and a port, such as 127.0.0.1:8080 or [::]:8080",
                    )
                })?,
            tls,
            public_url: public_url
                .map_err(|e| bad("TABLEFERRY_PUBLIC_URL", &e.to_string()))?
                .unwrap_or_default(),
            proxies,
            cors_origins: cors_origins
                .map_err(|e| bad("TABLEFERRY_CORS_ORIGINS", &e.to_string()))?,
            limits,
            auth: match get("TABLEFERRY_AUTH") {
                None | Some("required") => Auth::Required,
                Some("none") => Auth::None,
                Some(_) => return Err(bad("TABLEFERRY_AUTH", "must be required or none")),
            },
            oidc: OidcSettings::read(values)?,
            rate_limits,
            poll,
            lanes,
            accounts: get("TABLEFERRY_ACCOUNTS")
                .map_or_else(|| Ok(Vec::new()), AccountRole::parse_all)
                .map_err(|e| bad("TABLEFERRY_ACCOUNTS", &e.to_string()))?,
            prices: get("TABLEFERRY_PRICE_USD_PER_GB")
                .map_or_else(|| Ok(Prices::default()), Prices::parse)
                .map_err(|e| bad("TABLEFERRY_PRICE_USD_PER_GB", &e.to_string()))?,
            retention,
            webhook_secret: secret.map_err(|e| bad("TABLEFERRY_WEBHOOK_SECRET", &e.to_string()))?,
            webhook_urls: UrlPolicy::new(allow_private, allow_hosts.unwrap_or_default(), ports),
            encryption_keys: encryption_keys
                .map_err(|e| bad("TABLEFERRY_ENCRYPTION_KEY", &e.to_string()))?,
            telemetry: TelemetrySettings {
                metrics: boolean("TABLEFERRY_METRICS", true)?,
                traces: false, // only the environment says it
                log: get("TABLEFERRY_LOG").map(str::to_owned),
                log_format: match get("TABLEFERRY_LOG_FORMAT") {
                    None => None,
                    Some("text") => Some(LogFormat::Text),
                    Some("json") => Some(LogFormat::Json),
                    Some(_) => return Err(bad("TABLEFERRY_LOG_FORMAT", "must be text or json")),
                },
            },
        })
    }

    /// What these settings allow of callbacks.
    #[must_use]
    pub fn callback_policy(&self) -> CallbackPolicy {
        CallbackPolicy {
            urls: self.webhook_urls.clone(),
            has_default_secret: self.webhook_secret.is_some(),
        }
    }
}

fn read_file(text: &str) -> Result<BTreeMap<&'static str, String>, SettingsError> {
    // TOML's own message quotes the line, which may hold a secret; the place is enough to find it.
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e
            .span()
            .map_or(1, |span| text[..span.start].lines().count().max(1));
        SettingsError::File(format!("it is not TOML (line {line})"))
    })?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let short = |key: &str| {
            key.strip_prefix("TABLEFERRY_")
                .unwrap_or(key)
                .to_ascii_lowercase()
        };
        let key = KEYS
            .into_iter()
            .find(|key| *key == name || short(key) == name);
        let key = key.ok_or(SettingsError::UnknownKey {
            place: "the settings file",
            key: name,
        })?;
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(yes) => yes.to_string(),
            toml::Value::Array(entries)
                if LISTS.contains(&key) || oidc_settings::LISTS.contains(&key) =>
            {
                join(key, entries)?
            }
            // [[accounts]], [price_usd_per_gb]: what the variable holds as JSON.
            list @ (toml::Value::Array(_) | toml::Value::Table(_)) if STRUCTURED.contains(&key) => {
                serde_json::to_string(&list)
                    .map_err(|_| SettingsError::File(format!("{key} cannot be read")))?
            }
            _ => {
                return Err(SettingsError::File(format!(
                    "{key} must be a string, a number or a boolean"
                )));
            }
        };
        values.insert(key, value);
    }
    Ok(values)
}

/// The entries of a list, as the environment would hold them.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], file: Option<&str>) -> Result<Settings, SettingsError> {
        Settings::read(
            variables
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
            file,
        )
    }

    #[test]
    fn defaults() {
        let of_others = [
            ("PATH", "/bin"),
            ("TABLEFERRY_SIMULATOR_SPEED", "5"),
            ("TABLEFERRY_SERVER", "x"),
            ("TABLEFERRY_API_KEY", "y"),
        ];
        let settings = read(&of_others, None).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.auth, Auth::Required);
        assert_eq!(
            (settings.poll.min, settings.poll.max),
            (Duration::from_secs(2), Duration::from_secs(30))
        );
        assert!(!settings.webhook_urls.trusts_name("hooks.example"));
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let file = "listen = \"127.0.0.1:1\"\nTABLEFERRY_AUTH = \"none\"\npoll_interval_min_ms = 500\nwebhook_allow_private = true\n";
        let settings = read(&[("TABLEFERRY_LISTEN", "127.0.0.1:2")], Some(file)).unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.auth, Auth::None);
        assert_eq!(settings.poll.min, Duration::from_millis(500));
        assert!(settings.webhook_urls.trusts_name("hooks.example"));
    }

    #[test]
    fn lists_are_text_with_commas_or_lists_of_the_file() {
        let file = "webhook_allow_hosts = [\"hooks.example\", \"10.20.0.0/16\"]\nwebhook_ports = [443, \"9000-9100\"]";
        let variables = [
            (
                "TABLEFERRY_WEBHOOK_ALLOW_HOSTS",
                "hooks.example, 10.20.0.0/16",
            ),
            ("TABLEFERRY_WEBHOOK_PORTS", "443,9000-9100"),
        ];
        for settings in [
            read(&[], Some(file)).unwrap(),
            read(&variables, None).unwrap(),
        ] {
            let urls = settings.webhook_urls;
            assert!(urls.trusts_name("hooks.example") && !urls.trusts_name("other.example"));
            assert!(urls.trusts_address("10.20.30.40".parse().unwrap()));
            assert!(urls.check_port(9050, false).is_ok() && urls.check_port(8443, false).is_err());
        }
        for file in [
            "listen = [\"127.0.0.1:1\"]",
            "webhook_ports = [true]",
            "webhook_ports = [0]",
            "webhook_allow_hosts = [\"a b\"]",
        ] {
            assert!(read(&[], Some(file)).is_err(), "{file}");
        }
    }

    #[test]
    fn accounts_and_prices_are_tables_in_the_file_and_json_in_the_environment() {
        let file = "[[accounts]]\naccount_id = \"111122223333\"\nrole_arn = \"arn:aws:iam::111122223333:role/a\"\nexternal_id = \"x-y\"\n\n\
            [[accounts]]\naccount_id = \"444455556666\"\nrole_arn = \"arn:aws:iam::444455556666:role/b\"\n";
        let from_file = read(&[], Some(file)).unwrap().accounts;
        assert_eq!(
            from_file
                .iter()
                .map(AccountRole::account_id)
                .collect::<Vec<_>>(),
            ["111122223333", "444455556666"]
        );
        let json = r#"[{"account_id":"111122223333","role_arn":"arn:aws:iam::111122223333:role/a","external_id":"x-y"}]"#;
        let from_environment = read(&[("TABLEFERRY_ACCOUNTS", json)], Some(file))
            .unwrap()
            .accounts;
        assert_eq!(from_environment, from_file[..1]);
        assert!(read(&[], None).unwrap().accounts.is_empty());
        let prices = read(
            &[],
            Some("[price_usd_per_gb]\ndefault = 0.2\neu-west-1 = 1\n"),
        )
        .unwrap()
        .prices;
        assert!(
            (prices.of("eu-west-1") - 1.0).abs() < 1e-9
                && (prices.of("us-east-1") - 0.2).abs() < 1e-9
        );
        let error = read(&[], Some("accounts = [\"hunter2\"]"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("TABLEFERRY_ACCOUNTS") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn unknown_keys_and_bad_values_are_errors_that_name_the_key() {
        for (variables, file, names) in [
            (&[("TABLEFERRY_LISTN", "x")][..], None, "TABLEFERRY_LISTN"),
            (&[], Some("listn = 1"), "listn"),
            (
                &[("TABLEFERRY_POLL_INTERVAL_MIN_MS", "0")],
                None,
                "TABLEFERRY_POLL_INTERVAL_MIN_MS",
            ),
            (
                &[("TABLEFERRY_POLL_INTERVAL_MIN_MS", "40000")],
                None,
                "TABLEFERRY_POLL_INTERVAL_MAX_MS",
            ),
            (&[("TABLEFERRY_AUTH", "maybe")], None, "TABLEFERRY_AUTH"),
            (&[("PGSSLMODE", "hunter2")], None, "PGSSLMODE"),
            (
                &[("TABLEFERRY_MAX_CONNECTIONS", "0")],
                None,
                "TABLEFERRY_MAX_CONNECTIONS",
            ),
            (
                &[("TABLEFERRY_MAX_REQUESTS", "many")],
                None,
                "TABLEFERRY_MAX_REQUESTS",
            ),
            (
                &[("TABLEFERRY_PREFER_WAIT_MAX_S", "0")],
                None,
                "TABLEFERRY_PREFER_WAIT_MAX_S",
            ),
            (
                &[("TABLEFERRY_TLS_CERT", "hunter2")],
                None,
                "TABLEFERRY_TLS_KEY",
            ),
            (
                &[(
                    "TABLEFERRY_PUBLIC_URL",
                    "https://:hunter2@exports.example.com",
                )],
                None,
                "TABLEFERRY_PUBLIC_URL",
            ),
            (
                &[("TABLEFERRY_TRUSTED_PROXIES", "hunter2")],
                None,
                "TABLEFERRY_TRUSTED_PROXIES",
            ),
            (
                &[("TABLEFERRY_PROXY_PROTOCOL", "true")],
                None,
                "TABLEFERRY_TRUSTED_PROXIES",
            ),
            (
                &[("TABLEFERRY_CORS_ORIGINS", "hunter2")],
                None,
                "TABLEFERRY_CORS_ORIGINS",
            ),
            (
                &[("TABLEFERRY_TLS_KEY", "hunter2")],
                None,
                "TABLEFERRY_TLS_CERT",
            ),
            (
                &[("TABLEFERRY_WEBHOOK_SECRET", "hunter2")],
                None,
                "TABLEFERRY_WEBHOOK_SECRET",
            ),
            (
                &[("TABLEFERRY_WEBHOOK_ALLOW_HOSTS", "https://hunter2")],
                None,
                "TABLEFERRY_WEBHOOK_ALLOW_HOSTS",
            ),
            (
                &[("TABLEFERRY_WEBHOOK_PORTS", "443,hunter2")],
                None,
                "TABLEFERRY_WEBHOOK_PORTS",
            ),
            (
                &[("TABLEFERRY_WEBHOOK_ALLOW_PRIVATE", "hunter2")],
                None,
                "TABLEFERRY_WEBHOOK_ALLOW_PRIVATE",
            ),
        ] {
            let error = read(variables, file).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = read(
            &[],
            Some("database_url = \"postgres://u:hunter2@h/d\nlisten = 3"),
        )
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("line 1") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
