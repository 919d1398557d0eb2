//! Settings: read once, from the environment and a TOML file. Each section is a file with a row per
//! setting and a struct of the values.

mod auth;
mod aws;
mod database;
mod http;
mod oidc;
mod retention;
mod setting;
mod source;
mod telemetry;
mod webhooks;

use crate::telemetry::TelemetrySettings;
use crate::worker::retention::Retention;

pub use auth::AuthSettings;
pub use aws::AwsSettings;
pub use database::DatabaseSettings;
pub use http::HttpSettings;
pub use source::SettingsError;
pub use webhooks::WebhookSettings;

use source::{Row, Source};

#[derive(Debug, Clone)]
pub struct Settings {
    pub database: DatabaseSettings,
    pub http: HttpSettings,
    pub auth: AuthSettings,
    pub aws: AwsSettings,
    pub retention: Retention,
    pub webhooks: WebhookSettings,
    pub telemetry: TelemetrySettings,
}

impl Settings {
    /// Reads settings from variables and, for what they do not set, from the text of a TOML file.
    pub fn read(
        variables: impl IntoIterator<Item = (String, String)>,
        file: Option<&str>,
    ) -> Result<Self, SettingsError> {
        let source = Source::read(&rows(), variables, file)?;
        Ok(Self {
            database: DatabaseSettings::read(&source)?,
            http: HttpSettings::read(&source)?,
            auth: AuthSettings::read(&source)?,
            aws: AwsSettings::read(&source)?,
            retention: retention::read(&source)?,
            webhooks: WebhookSettings::read(&source)?,
            telemetry: telemetry::read(&source)?,
        })
    }
}

/// Every setting.
fn rows() -> Vec<Row> {
    [
        database::ROWS,
        http::ROWS,
        auth::ROWS,
        oidc::ROWS,
        aws::ROWS,
        retention::ROWS,
        webhooks::ROWS,
        telemetry::ROWS,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::auth::Auth;
    use crate::domain::aws::account::AccountRole;

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
        assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.auth.mode, Auth::Required);
        assert_eq!(
            (settings.aws.poll.min, settings.aws.poll.max),
            (Duration::from_secs(2), Duration::from_secs(30))
        );
        assert!(!settings.webhooks.urls.trusts_name("hooks.example"));
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let file = "listen = \"127.0.0.1:1\"\nTABLEFERRY_AUTH = \"none\"\npoll_interval_min_ms = 500\nwebhook_allow_private = true\n";
        let settings = read(&[("TABLEFERRY_LISTEN", "127.0.0.1:2")], Some(file)).unwrap();
        assert_eq!(settings.http.listen.port(), 2);
        assert_eq!(settings.auth.mode, Auth::None);
        assert_eq!(settings.aws.poll.min, Duration::from_millis(500));
        assert!(settings.webhooks.urls.trusts_name("hooks.example"));
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
            let urls = settings.webhooks.urls;
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
        let from_file = read(&[], Some(file)).unwrap().aws.accounts;
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
            .aws
            .accounts;
        assert_eq!(from_environment, from_file[..1]);
        assert!(read(&[], None).unwrap().aws.accounts.is_empty());
        let prices = read(
            &[],
            Some("[price_usd_per_gb]\ndefault = 0.2\neu-west-1 = 1\n"),
        )
        .unwrap()
        .aws
        .prices;
        assert!(
            (prices.per_gb("eu-west-1") - 1.0).abs() < 1e-9
                && (prices.per_gb("us-east-1") - 0.2).abs() < 1e-9
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

    #[test]
    fn the_guide_has_every_setting_and_its_default() {
        let guide = include_str!("../../docs/settings.md");
        let (_, table) = guide.split_once("|---|---|---|\n").unwrap();
        let mut documented = BTreeMap::new();
        for line in table.lines().take_while(|line| line.starts_with('|')) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            for key in cells[1].split(", ") {
                documented.insert(key.trim_matches('`'), cells[2]);
            }
        }
        let rows = rows();
        for row in &rows {
            let cell = documented.remove(row.key);
            let cell = cell.unwrap_or_else(|| panic!("{} is not in the guide", row.key));
            if let Some(default) = row.default {
                assert_eq!(cell, format!("`{default}`"), "{}", row.key);
            }
        }
        assert!(documented.is_empty(), "not a setting: {documented:?}");
    }
}
