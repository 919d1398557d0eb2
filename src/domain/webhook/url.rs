//! Where webhooks go: URLs that callers chose, held against what the operator allows.

use std::net::IpAddr;

use url::{Host, Url};

use crate::domain::address::is_public;
use crate::domain::invalid::Invalid;

/// Which receivers the operator allows.
#[derive(Debug, Clone, Default)]
pub struct UrlPolicy {
    /// Plain http and addresses that are not public are allowed too.
    pub allow_private: bool,
}

/// An http(s) URL without user information, of at most 2048 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Reads a URL and holds it against the policy. Names are looked at only when connecting.
    ///
    /// # Errors
    /// It is no such URL, or the policy forbids its scheme or its literal address.
    pub fn parse(text: &str, policy: &UrlPolicy) -> Result<Self, Invalid> {
        if text.len() > 2048 {
            return Err(Invalid::new("must be at most 2048 characters long"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Invalid::new("must not contain white space or control characters"));
        }
        let url = Url::parse(text).map_err(|e| Invalid::new(format!("must be an absolute URL such as https://example.com/hook ({e})")))?;
        let scheme_allowed = url.scheme() == "https" || (policy.allow_private && url.scheme() == "http");
        if !scheme_allowed {
            return Err(Invalid::new(if policy.allow_private {
                "must begin with https:// or http://"
            } else {
                "must begin with https:// (the operator may allow http:// with TABLEFERRY_WEBHOOK_ALLOW_PRIVATE)"
            }));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::new("must not carry a user name or password; sign with callback_secret instead"));
        }
        let literal: Option<IpAddr> = match url.host() {
            None => return Err(Invalid::new("must name a host")),
            Some(Host::Ipv4(v4)) => Some(v4.into()),
            Some(Host::Ipv6(v6)) => Some(v6.into()),
            Some(Host::Domain(_)) => None,
        };
        if literal.is_some_and(|ip| !policy.allow_private && !is_public(ip)) {
            return Err(Invalid::new(
                "must not name an address that is not public (the operator may allow them with TABLEFERRY_WEBHOOK_ALLOW_PRIVATE)",
            ));
        }
        Ok(Self(url))
    }

    /// A URL that was checked when it was stored.
    ///
    /// # Errors
    /// It does not parse: the row was changed by hand.
    pub fn stored(text: &str) -> Result<Self, Invalid> {
        Url::parse(text).map(Self).map_err(|e| Invalid::new(format!("is not a URL: {e}")))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: UrlPolicy = UrlPolicy { allow_private: false };
    const OPEN: UrlPolicy = UrlPolicy { allow_private: true };

    #[test]
    fn literal_addresses_in_every_notation_are_seen_through() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "http://example.com/",
            "https://user:pw@example.com/",
            "ftp://example.com/",
            "https://",
            "/hook",
            "javascript:alert(1)",
            "https://example.com/a b",
        ] {
            assert!(WebhookUrl::parse(url, &STRICT).is_err(), "{url}");
        }
        assert!(WebhookUrl::parse("https://example.com/hook?x=1", &STRICT).is_ok());
        assert!(WebhookUrl::parse("http://127.0.0.1:9000/hook", &OPEN).is_ok());
    }
}
