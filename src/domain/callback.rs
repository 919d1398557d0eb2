//! Callbacks: where the end of one export is announced, and what signs that announcement.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use url::{Host, Url};

use super::address::is_public;
use super::invalid::Invalid;

/// What the operator allows of callbacks.
#[derive(Debug, Clone, Copy)]
pub struct CallbackPolicy {
    /// Plain http and addresses that are not public are allowed too.
    pub allow_private: bool,
    /// The service has a signing secret for callbacks that bring none.
    pub has_default_secret: bool,
}

/// Where to announce the end of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The receiver.
    pub url: CallbackUrl,
    /// The secret that came with the request; `None` signs with the service's own.
    pub secret: Option<WebhookSecret>,
}

/// An http(s) URL without user information, of at most 2048 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackUrl(Url);

impl CallbackUrl {
    /// Reads a URL and holds it against the policy. Names are looked at only when connecting.
    ///
    /// # Errors
    /// It is no such URL, or the policy forbids its scheme or its literal address.
    pub fn parse(text: &str, policy: CallbackPolicy) -> Result<Self, Invalid> {
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

/// A signing secret of Standard Webhooks: `whsec_` and the base64 of 24 to 64 random bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    text: String,
    key: Vec<u8>,
}

impl WebhookSecret {
    /// Reads a secret.
    ///
    /// # Errors
    /// It has another form or length. The sentence does not repeat the secret.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("must be \"whsec_\" followed by the base64 of 24 to 64 random bytes");
        let encoded = text.strip_prefix("whsec_").ok_or_else(wrong)?;
        let key = BASE64.decode(encoded).map_err(|_| wrong())?;
        if !(24..=64).contains(&key.len()) {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), key })
    }

    /// The bytes that sign.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The secret as text, to be stored; never to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: CallbackPolicy = CallbackPolicy { allow_private: false, has_default_secret: false };
    const OPEN: CallbackPolicy = CallbackPolicy { allow_private: true, has_default_secret: false };

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
            assert!(CallbackUrl::parse(url, STRICT).is_err(), "{url}");
        }
        assert!(CallbackUrl::parse("https://example.com/hook?x=1", STRICT).is_ok());
        assert!(CallbackUrl::parse("http://127.0.0.1:9000/hook", OPEN).is_ok());
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = WebhookSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        assert!(!format!("{secret:?}").contains("C2FV"));
        for bad in ["", "whsec_", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_c2hvcnQ=", "whsec_!!!"] {
            assert!(WebhookSecret::parse(bad).is_err(), "{bad}");
        }
    }
}
