//! The settings of an OIDC issuer. Providers differ in which claims hold the audience, the client
//! and the scopes; docs/access.md has the settings for each provider.

use std::path::PathBuf;

use url::Url;

/// An issuer, and the claims that its tokens must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer as in `iss`. Its discovery document is below this URL.
    pub issuer: Url,
    /// Other accepted values of `iss`, signed with the same keys.
    pub other_issuers: Vec<String>,
    /// Tokens must have one of these in `aud`. If empty, they must have no `aud`, and `client_ids`
    /// is not empty.
    pub audiences: Vec<String>,
    /// Tokens must have been issued to one of these clients. If empty, to any client.
    pub client_ids: Vec<String>,
    /// The claims that hold scopes, as space-separated words or a list. All of them are read.
    pub scope_claims: Vec<String>,
    /// The prefix of this service's scopes in tokens.
    pub scope_prefix: String,
    /// The URL of the keys. By default it is read from the discovery document.
    pub jwks_url: Option<Url>,
    /// Certificate authorities trusted for the issuer in addition to those of the system.
    pub ca_file: Option<PathBuf>,
    /// A file with a bearer token, which is sent when the keys are fetched.
    pub bearer_file: Option<PathBuf>,
}

impl OidcSettings {
    /// An issuer whose tokens have this audience, with defaults for everything else.
    #[must_use]
    pub fn for_audience(issuer: Url, audience: &str) -> Self {
        Self {
            issuer,
            other_issuers: Vec::new(),
            audiences: vec![audience.to_owned()],
            client_ids: Vec::new(),
            scope_claims: vec!["scope".to_owned()],
            scope_prefix: String::new(),
            jwks_url: None,
            ca_file: None,
            bearer_file: None,
        }
    }

    /// Whether `iss` names this issuer. One slash at the end makes no difference: the URL of the
    /// discovery document is the same.
    pub(super) fn is_issuer(&self, iss: &str) -> bool {
        let plain = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
        let iss = plain(iss);
        plain(self.issuer.as_str()) == iss
            || self.other_issuers.iter().any(|other| plain(other) == iss)
    }
}

/// Whether responses from this URL cannot be changed in transit: by TLS, or on this machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    let here = url
        .host_str()
        .is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host));
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_known_by_its_other_spellings() {
        let issuer = Url::parse("https://tenant.example.com/").unwrap();
        let settings = OidcSettings {
            other_issuers: vec!["accounts.example.com".to_owned()],
            ..OidcSettings::for_audience(issuer, "one")
        };
        for (iss, known) in [
            ("https://tenant.example.com/", true),
            ("https://tenant.example.com", true),
            ("accounts.example.com", true),
            ("https://tenant.example.com//", false),
            ("https://tenant.example.com.evil.example/", false),
            ("https://tenant.example.com/other", false),
            ("http://tenant.example.com/", false),
            ("", false),
        ] {
            assert_eq!(settings.is_issuer(iss), known, "{iss}");
        }
    }
}
