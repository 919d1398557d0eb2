//! Settings of the HTTP server: its address, what is in front of it, and its limits.

use std::net::SocketAddr;

use super::setting::{Boolean, FilePath, Parsed, Seconds, Setting, Text, Whole, WithDefault, rows};
use super::source::{SettingsError, Source};
use crate::domain::invalid::Invalid;
use crate::domain::origins::Origins;
use crate::domain::public_url::PublicUrl;
use crate::listener::{ConnectionLimits, Proxies, TlsFiles};
use crate::request_limits::RequestLimits;

#[derive(Debug, Clone)]
pub struct HttpSettings {
    pub listen: SocketAddr,
    pub tls: Option<TlsFiles>,
    /// Where callers reach the service: the base of links.
    pub public_url: PublicUrl,
    pub proxies: Proxies,
    /// Web pages that may call from a browser.
    pub cors_origins: Option<Origins>,
    pub connection_limits: ConnectionLimits,
    pub request_limits: RequestLimits,
}

const MAX_COUNT: usize = 1_000_000;

rows! {
    LISTEN: WithDefault<Parsed<SocketAddr, &'static str>> =
        Setting::new("TABLEFERRY_LISTEN", Parsed(parse_address)).default("127.0.0.1:8080");
    TLS_CERT: Setting<FilePath> = Setting::new("TABLEFERRY_TLS_CERT", FilePath);
    TLS_KEY: Setting<FilePath> = Setting::new("TABLEFERRY_TLS_KEY", FilePath);
    PUBLIC_URL: Setting<Parsed<PublicUrl, Invalid>> =
        Setting::new("TABLEFERRY_PUBLIC_URL", Parsed(PublicUrl::parse));
    TRUSTED_PROXIES: Setting<Text> = Setting::new("TABLEFERRY_TRUSTED_PROXIES", Text).list();
    PROXY_PROTOCOL: WithDefault<Boolean> =
        Setting::new("TABLEFERRY_PROXY_PROTOCOL", Boolean).default("false");
    CORS_ORIGINS: Setting<Parsed<Origins, Invalid>> =
        Setting::new("TABLEFERRY_CORS_ORIGINS", Parsed(Origins::parse)).list();
    MAX_CONNECTIONS: WithDefault<Whole<usize>> =
        Setting::new("TABLEFERRY_MAX_CONNECTIONS", Whole { min: 1, max: MAX_COUNT }).default("12000");
    MAX_REQUESTS: WithDefault<Whole<usize>> =
        Setting::new("TABLEFERRY_MAX_REQUESTS", Whole { min: 1, max: MAX_COUNT }).default("4096");
    PREFER_WAIT_MAX_S: WithDefault<Seconds> =
        Setting::new("TABLEFERRY_PREFER_WAIT_MAX_S", Seconds).default("50");
}

impl HttpSettings {
    pub(super) fn read(source: &Source) -> Result<Self, SettingsError> {
        Ok(Self {
            listen: LISTEN.read(source)?,
            tls: tls(source)?,
            public_url: PUBLIC_URL.read(source)?.unwrap_or_default(),
            proxies: proxies(source)?,
            cors_origins: CORS_ORIGINS.read(source)?,
            connection_limits: ConnectionLimits {
                connections: MAX_CONNECTIONS.read(source)?,
                ..ConnectionLimits::default()
            },
            request_limits: RequestLimits {
                requests: MAX_REQUESTS.read(source)?,
                longest_wait: PREFER_WAIT_MAX_S.read(source)?,
                ..RequestLimits::default()
            },
        })
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "must be an IP address and a port, such as 127.0.0.1:8080 or [::]:8080")
}

fn tls(source: &Source) -> Result<Option<TlsFiles>, SettingsError> {
    match (TLS_CERT.read(source)?, TLS_KEY.read(source)?) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(TLS_KEY.bad_value("must be set along with TABLEFERRY_TLS_CERT")),
        (None, Some(_)) => Err(TLS_CERT.bad_value("must be set along with TABLEFERRY_TLS_KEY")),
    }
}

fn proxies(source: &Source) -> Result<Proxies, SettingsError> {
    let speak_proxy_protocol = PROXY_PROTOCOL.read(source)?;
    match TRUSTED_PROXIES.read(source)? {
        Some(list) => Proxies::parse(&list, speak_proxy_protocol)
            .map_err(|error| TRUSTED_PROXIES.bad_value(error.to_string())),
        None if speak_proxy_protocol => Err(PROXY_PROTOCOL
            .bad_value("needs TABLEFERRY_TRUSTED_PROXIES, which says whose headers are accepted")),
        None => Ok(Proxies::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_limits() {
        let http = HttpSettings::read(&Source::default()).unwrap();
        assert_eq!(
            format!("{:?} {:?}", http.connection_limits, http.request_limits),
            format!(
                "{:?} {:?}",
                ConnectionLimits::default(),
                RequestLimits::default()
            )
        );
    }
}
