//! The driver's options for each host of `DATABASE_URL`.

use std::str::FromStr as _;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tcp_keepalive::Keepalive;
use url::form_urlencoded::Serializer;

use super::pooler::PoolerDetection;
use crate::database_url::{self, DatabaseUrl, TlsMode};

pub(super) struct Host {
    pub(super) options: PgConnectOptions,
    /// `None` for a Unix socket.
    pub(super) port: Option<u16>,
    /// Whether a pooler shares its connections.
    pub(super) sharing: Arc<PoolerDetection>,
}

/// Every host of the URL, in the same order.
pub(super) fn hosts(url: &DatabaseUrl) -> Result<Vec<Host>, sqlx::Error> {
    url.hosts
        .iter()
        .map(|host| host_options(url, host))
        .collect()
}

/// The driver reads a password file only for options that come as a URL, so it gets one.
fn host_options(url: &DatabaseUrl, host: &database_url::Host) -> Result<Host, sqlx::Error> {
    use secrecy::ExposeSecret as _;
    let mut query = Serializer::new(String::from("postgres:///?"));
    let port = match host {
        database_url::Host::Tcp { name, port } => {
            query.append_pair("host", name);
            *port
        }
        database_url::Host::Socket { folder, port } => {
            query.append_pair("host", &folder.to_string_lossy());
            *port
        }
        database_url::Host::Default { port } => *port,
    };
    if let Some(port) = port {
        query.append_pair("port", &port.to_string());
    }
    let tls = &url.tls;
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map(|path| path.to_string_lossy().into_owned())
    };
    let parameters = [
        ("user", url.user.clone()),
        (
            "password",
            url.password
                .as_ref()
                .map(|password| password.expose_secret().to_owned()),
        ),
        ("dbname", url.database.clone()),
        ("sslmode", tls.mode.map(|mode| sslmode(mode).to_owned())),
        ("sslrootcert", path(&tls.root_cert)),
        ("sslcert", path(&tls.client_cert)),
        ("sslkey", path(&tls.client_key)),
        (
            "application_name",
            Some(
                url.application_name
                    .clone()
                    .unwrap_or_else(|| "tableferry".to_owned()),
            ),
        ),
    ];
    for (parameter, value) in parameters {
        if let Some(value) = value {
            query.append_pair(parameter, &value);
        }
    }
    for (setting, value) in &url.settings {
        query.append_pair(&format!("options[{setting}]"), value);
    }
    // Without `extra_float_digits`: some poolers do not know the parameter, and every supported
    // Postgres returns floats in full precision.
    let options = PgConnectOptions::from_str(&query.finish())?.extra_float_digits(None);
    // A URL with a certificate to verify the server asks for verification. Without a mode in the
    // URL, sqlx would not verify, unless PGSSLMODE says so.
    let verifies = matches!(
        options.get_ssl_mode(),
        PgSslMode::VerifyCa | PgSslMode::VerifyFull
    );
    let options = if tls.mode.is_none() && tls.root_cert.is_some() && !verifies {
        options.ssl_mode(PgSslMode::VerifyCa)
    } else {
        options
    };
    let port = options.get_socket().is_none().then(|| options.get_port());
    Ok(Host {
        options,
        port,
        sharing: Arc::default(),
    })
}

fn sslmode(mode: TlsMode) -> &'static str {
    match mode {
        TlsMode::Disable => "disable",
        TlsMode::Allow => "allow",
        TlsMode::Prefer => "prefer",
        TlsMode::Require => "require",
        TlsMode::VerifyCa => "verify-ca",
        TlsMode::VerifyFull => "verify-full",
    }
}

/// TCP keepalive from the URL; by default shorter than the system's two hours.
pub(super) fn keepalive(url: &DatabaseUrl) -> Keepalive {
    let (requested, defaults) = (&url.keepalives, Keepalive::default());
    Keepalive {
        enabled: !requested.off,
        idle: requested.idle.unwrap_or(defaults.idle),
        interval: requested.interval.unwrap_or(defaults.interval),
        probes: requested.count.unwrap_or(defaults.probes),
        user_timeout: url.tcp_user_timeout.or(defaults.user_timeout),
    }
}
