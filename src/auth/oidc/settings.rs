//! What an operator says of an OIDC issuer. Providers differ in where they put the audience, the
//! client and the scopes; docs/access.md has the settings for each of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use crate::settings::SettingsError;

const ISSUER: &str = "TABLEFERRY_OIDC_ISSUER";
const OTHER_ISSUERS: &str = "TABLEFERRY_OIDC_OTHER_ISSUERS";
const AUDIENCE: &str = "TABLEFERRY_OIDC_AUDIENCE";
const CLIENT_IDS: &str = "TABLEFERRY_OIDC_CLIENT_IDS";
const SCOPE_CLAIM: &str = "TABLEFERRY_OIDC_SCOPE_CLAIM";
const SCOPE_PREFIX: &str = "TABLEFERRY_OIDC_SCOPE_PREFIX";
const JWKS_URL: &str = "TABLEFERRY_OIDC_JWKS_URL";
const CA_FILE: &str = "TABLEFERRY_OIDC_CA_FILE";
const BEARER_FILE: &str = "TABLEFERRY_OIDC_BEARER_FILE";

/// Every setting of an issuer.
pub const KEYS: [&str; 9] = [
    ISSUER,
    OTHER_ISSUERS,
    AUDIENCE,
    CLIENT_IDS,
    SCOPE_CLAIM,
    SCOPE_PREFIX,
    JWKS_URL,
    CA_FILE,
    BEARER_FILE,
];

/// Those that the file may hold as lists too.
pub const LISTS: [&str; 4] = [OTHER_ISSUERS, AUDIENCE, CLIENT_IDS, SCOPE_CLAIM];

/// An issuer, and what its tokens must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer as `iss` has it; its description is below.
    pub issuer: Url,
    /// Other spellings of `iss` that the same keys sign.
    pub other_issuers: Vec<String>,
    /// Tokens must have one of these in `aud`. Empty: they must have no `aud`, and `client_ids` is
    /// not empty.
    pub audiences: Vec<String>,
    /// Tokens must have been given to one of these clients. Empty: to any.
    pub client_ids: Vec<String>,
    /// The claims that hold scopes: space-separated words, or a list. All of them count.
    pub scope_claims: Vec<String>,
    /// What the scopes of this service begin with in tokens.
    pub scope_prefix: String,
    /// Where the keys are; by default the issuer's description says it.
    pub jwks_url: Option<Url>,
    /// Certificate authorities that are trusted for the issuer in addition to those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Holds a bearer token that is sent when the keys are fetched.
    pub bearer_file: Option<PathBuf>,
}

impl OidcSettings {
    /// An issuer whose tokens name an audience, and all else by default.
    #[must_use]
    pub fn of(issuer: Url, audience: &str) -> Self {
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

    /// Reads the settings of an issuer, if there are any.
    ///
    /// # Errors
    /// A value does not suit its key, or a key needs another one.
    pub fn read(values: &BTreeMap<&'static str, String>) -> Result<Option<Self>, SettingsError> {
        let bad = |key, expected: &str| SettingsError::BadValue {
            key,
            expected: expected.to_owned(),
        };
        let Some(issuer) = values.get(ISSUER) else {
            return match KEYS.into_iter().find(|key| values.contains_key(key)) {
                Some(key) => Err(bad(key, "needs TABLEFERRY_OIDC_ISSUER")),
                None => Ok(None),
            };
        };
        let list = |key: &'static str| match values.get(key) {
            None => Ok(Vec::new()),
            Some(text) => {
                let entries: Vec<_> = text
                    .split(',')
                    .map(|entry| entry.trim().to_owned())
                    .collect();
                if entries.iter().any(String::is_empty) {
                    Err(bad(
                        key,
                        "must be a comma-separated list without empty entries",
                    ))
                } else {
                    Ok(entries)
                }
            }
        };
        let issuer = Url::parse(issuer)
            .ok()
            .filter(|url| is_safe(url) && url.query().is_none() && url.fragment().is_none());
        let issuer = issuer.ok_or_else(|| {
            bad(
                ISSUER,
                "must be the https URL of an OpenID Connect issuer, as its tokens have it in iss",
            )
        })?;
        let (audiences, client_ids) = (list(AUDIENCE)?, list(CLIENT_IDS)?);
        if audiences.is_empty() && client_ids.is_empty() {
            let expected = "must be set with TABLEFERRY_OIDC_ISSUER: what tokens for this service have in aud (or, if they have no aud, \
                set TABLEFERRY_OIDC_CLIENT_IDS)";
            return Err(bad(AUDIENCE, expected));
        }
        let jwks_url = values.get(JWKS_URL).map(|text| {
            Url::parse(text)
                .ok()
                .filter(is_safe)
                .ok_or_else(|| bad(JWKS_URL, "must be an https URL"))
        });
        let scope_claims = list(SCOPE_CLAIM)?;
        Ok(Some(Self {
            issuer,
            other_issuers: list(OTHER_ISSUERS)?,
            audiences,
            client_ids,
            scope_claims: if scope_claims.is_empty() {
                vec!["scope".to_owned()]
            } else {
                scope_claims
            },
            scope_prefix: values.get(SCOPE_PREFIX).cloned().unwrap_or_default(),
            jwks_url: jwks_url.transpose()?,
            ca_file: values.get(CA_FILE).map(PathBuf::from),
            bearer_file: values.get(BEARER_FILE).map(PathBuf::from),
        }))
    }

    /// Whether `iss` names this issuer. One slash at the end makes no difference: the issuer's
    /// description, and so its keys, are the same.
    pub(super) fn is_issuer(&self, iss: &str) -> bool {
        let plain = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
        let iss = plain(iss);
        plain(self.issuer.as_str()) == iss
            || self.other_issuers.iter().any(|other| plain(other) == iss)
    }
}

/// Whether what comes from there cannot be changed on its way: by TLS, or from this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    let here = url
        .host_str()
        .is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host));
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<Option<OidcSettings>, SettingsError> {
        OidcSettings::read(
            &pairs
                .iter()
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn an_issuer_needs_an_audience_or_clients() {
        let issuer = (ISSUER, "https://login.example.com");
        assert_eq!(read(&[]), Ok(None));
        let settings = read(&[issuer, (AUDIENCE, "one, api://two")])
            .unwrap()
            .unwrap();
        assert_eq!(
            (settings.audiences, settings.scope_claims),
            (
                vec!["one".to_owned(), "api://two".to_owned()],
                vec!["scope".to_owned()]
            )
        );
        assert_eq!(
            read(&[issuer, (CLIENT_IDS, "one")])
                .unwrap()
                .unwrap()
                .client_ids,
            ["one"]
        );
        for (pairs, names) in [
            (vec![issuer], AUDIENCE),
            (vec![(CLIENT_IDS, "one")], ISSUER),
            (vec![issuer, (AUDIENCE, "one,,two")], AUDIENCE),
            (
                vec![(ISSUER, "http://login.example.com"), (AUDIENCE, "one")],
                ISSUER,
            ),
            (
                vec![
                    issuer,
                    (AUDIENCE, "one"),
                    (JWKS_URL, "http://login.example.com/keys"),
                ],
                JWKS_URL,
            ),
        ] {
            let error = read(&pairs).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }

    #[test]
    fn an_issuer_is_known_by_its_other_spellings() {
        let pairs = [
            (ISSUER, "https://tenant.example.com/"),
            (OTHER_ISSUERS, "accounts.example.com"),
            (AUDIENCE, "one"),
        ];
        let settings = read(&pairs).unwrap().unwrap();
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
