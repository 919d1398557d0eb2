//! Webhook URLs, checked against the operator's policy.
//!
//! A URL is checked twice by the same rules: when it is accepted and before it is used. The parsed
//! form is what is stored and used, so that no other parser can read another host from it. Texts
//! that parsers are known to read differently are refused under every policy.

use std::net::IpAddr;

use url::{Host, Position, Url};

pub use super::policy::UrlPolicy;
use super::policy::{is_host_name, without_last_dot};
use crate::invalid::Invalid;

/// Maximum length of a URL, both as written and as stored.
const LONGEST: usize = 2048;

/// An http(s) URL without user information and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// Reads a URL and checks it against the policy: scheme, port, literal address and name. Names
    /// are not resolved here.
    pub fn parse(text: &str, policy: &UrlPolicy) -> Result<Self, Invalid> {
        if text.len() > LONGEST {
            return Err(Invalid::new("must be at most 2048 characters long"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Invalid::new(
                "must not contain white space or control characters",
            ));
        }
        let unusable = |why: &str| {
            Invalid::new(format!(
                "must be an absolute URL such as https://example.com/hook ({why})"
            ))
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| unusable("it has no scheme"))?;
        if !matches!(scheme, "https" | "http") {
            return Err(Invalid::new(
                "must begin with https://, or with http:// where the operator allows it, in lower case",
            ));
        }
        if text.contains('\\') {
            return Err(Invalid::new("must not contain a backslash"));
        }
        if text.contains('#') {
            return Err(Invalid::new(
                "must not have a fragment (#), which would never be sent",
            ));
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Invalid::new(
                "must not contain a user name or password; webhooks are signed instead",
            ));
        }
        if authority.is_empty() || authority.starts_with(':') {
            return Err(Invalid::new("must name a host"));
        }
        let url = Url::parse(text).map_err(|e| unusable(&e.to_string()))?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        };
        let plainly = match url.host() {
            Some(Host::Ipv4(v4)) => host == v4.to_string(),
            Some(Host::Ipv6(_)) | None => true,
            Some(Host::Domain(_)) => !host.contains('%'),
        };
        if !plainly {
            return Err(not_plain());
        }
        if url.as_str().len() > LONGEST {
            return Err(Invalid::new(
                "must be at most 2048 characters long in ASCII form",
            ));
        }
        let read = Self(url);
        read.check(policy)?;
        Ok(read)
    }

    /// A URL from the database. The policy may have changed since: [`WebhookUrl::check`] it before
    /// use. Fails only if the row was edited by hand.
    pub fn from_db(text: &str) -> Result<Self, Invalid> {
        Url::parse(text)
            .map(Self)
            .map_err(|e| Invalid::new(format!("is not a URL: {e}")))
    }

    /// Checks the URL against the policy as far as possible without resolving its name.
    pub fn check(&self, policy: &UrlPolicy) -> Result<(), Invalid> {
        let url = &self.0;
        let trusted = match url.host() {
            None => return Err(Invalid::new("must name a host")),
            Some(Host::Domain(name)) if !is_host_name(without_last_dot(name)) => {
                return Err(not_plain());
            }
            Some(Host::Domain(name)) => policy.trusts_name(name),
            Some(Host::Ipv4(v4)) => policy.trusts_address(v4.into()),
            Some(Host::Ipv6(v6)) => policy.trusts_address(v6.into()),
        };
        let plain_http = match url.scheme() {
            "https" => false,
            "http" if trusted => true,
            _ => {
                return Err(Invalid::new(
                    "must begin with https:// (the operator may allow http:// for hosts in TABLEFERRY_WEBHOOK_ALLOW_HOSTS)",
                ));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::new(
                "must not contain a user name or password; webhooks are signed instead",
            ));
        }
        match self.name() {
            None if !trusted => Err(Invalid::new(
                "must name a host, not an IP address (the operator may allow addresses with TABLEFERRY_WEBHOOK_ALLOW_HOSTS)",
            )),
            Some(name) if !trusted && is_this_machine(name) => Err(Invalid::new(
                "must not name the machine that the service runs on (the operator may allow it with TABLEFERRY_WEBHOOK_ALLOW_HOSTS)",
            )),
            _ => policy.check_port(self.port(), plain_http),
        }
    }

    /// The host name; `None` if the URL has an address.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self.0.host() {
            Some(Host::Domain(name)) => Some(name),
            _ => None,
        }
    }

    /// The literal address; `None` if the URL has a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host() {
            Some(Host::Ipv4(v4)) => Some(v4.into()),
            Some(Host::Ipv6(v6)) => Some(v6.into()),
            _ => None,
        }
    }

    /// The port, explicit or by default.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(0)
    }

    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The value of the `host` header: the host, and the port unless it is the default.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterPort]
    }

    /// The request target: path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.0[Position::BeforePath..Position::AfterQuery]
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn not_plain() -> Invalid {
    Invalid::new(
        "must have a plain host: a name of letters, digits, - and _, or an address such as 10.20.0.1",
    )
}

/// Whether a name means the local machine: by RFC 6761, or in the hosts files of common systems.
fn is_this_machine(name: &str) -> bool {
    let name = without_last_dot(name);
    let known = [
        "localhost",
        "localhost.localdomain",
        "localhost4",
        "localhost4.localdomain4",
        "localhost6",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
    ];
    known.contains(&name) || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    // The long tables of what is refused and what is not are in tests/it/forbidden.rs, over HTTP.

    #[test]
    fn what_is_read_is_stable_and_usable() {
        for text in [
            "https://example.com",
            "https://EXAMPLE.com:443/hook?x=1",
            "https://example.com./",
            "https://b\u{fc}cher.example/\u{fc}?\u{fc}=\u{fc}",
            "http://127.0.0.1:9000/hook",
            "http://[::1]:9000/hook",
            "https://example.com/a%00b/../c|d\"e'f{g}h^i`j[k]<l>?m|n\"o'p{q}r^s`t[u]<v>",
        ] {
            let url = WebhookUrl::parse(text, &UrlPolicy::everything()).unwrap();
            assert_eq!(
                WebhookUrl::parse(url.as_str(), &UrlPolicy::everything()).as_ref(),
                Ok(&url),
                "{text}"
            );
            assert_eq!(
                WebhookUrl::from_db(url.as_str()).as_ref(),
                Ok(&url),
                "{text}"
            );
        }
    }

    #[test]
    fn a_policy_that_grew_stricter_is_obeyed() {
        let url = WebhookUrl::parse("http://10.0.0.1:9000/hook", &UrlPolicy::everything()).unwrap();
        assert!(
            WebhookUrl::from_db(url.as_str())
                .unwrap()
                .check(&UrlPolicy::default())
                .is_err()
        );
    }

    #[test]
    fn the_limit_holds_after_escaping_too() {
        let text = format!("https://example.com/{}", "\u{fc}".repeat(500));
        assert!(text.len() < LONGEST);
        assert!(WebhookUrl::parse(&text, &UrlPolicy::default()).is_err());
    }
}
