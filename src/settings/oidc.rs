//! Settings of an OIDC issuer. Providers differ in where they put the audience, the client and the
//! scopes; docs/access.md has the settings for each of them.

use url::Url;

use super::setting::{Entries, FilePath, Parsed, Setting, Text, WithDefault, rows};
use super::source::{SettingsError, Source};
use crate::auth::oidc::OidcSettings;
use crate::auth::oidc::settings::is_safe;

rows! {
    ISSUER: Setting<Parsed<Url, &'static str>> =
        Setting::new("TABLEFERRY_OIDC_ISSUER", Parsed(parse_issuer));
    OTHER_ISSUERS: Setting<Entries> =
        Setting::new("TABLEFERRY_OIDC_OTHER_ISSUERS", Entries).list();
    AUDIENCE: Setting<Entries> = Setting::new("TABLEFERRY_OIDC_AUDIENCE", Entries).list();
    CLIENT_IDS: Setting<Entries> = Setting::new("TABLEFERRY_OIDC_CLIENT_IDS", Entries).list();
    SCOPE_CLAIM: WithDefault<Entries> =
        Setting::new("TABLEFERRY_OIDC_SCOPE_CLAIM", Entries).list().default("scope");
    SCOPE_PREFIX: Setting<Text> = Setting::new("TABLEFERRY_OIDC_SCOPE_PREFIX", Text);
    JWKS_URL: Setting<Parsed<Url, &'static str>> =
        Setting::new("TABLEFERRY_OIDC_JWKS_URL", Parsed(parse_https_url));
    CA_FILE: Setting<FilePath> = Setting::new("TABLEFERRY_OIDC_CA_FILE", FilePath);
    BEARER_FILE: Setting<FilePath> = Setting::new("TABLEFERRY_OIDC_BEARER_FILE", FilePath);
}

/// `None` if no issuer is set.
pub(super) fn read(source: &Source) -> Result<Option<OidcSettings>, SettingsError> {
    let Some(issuer) = ISSUER.read(source)? else {
        return match ROWS.iter().find(|row| source.get(row.key).is_some()) {
            Some(row) => Err(SettingsError::BadValue {
                key: row.key,
                expected: "needs TABLEFERRY_OIDC_ISSUER".to_owned(),
            }),
            None => Ok(None),
        };
    };
    let audiences = AUDIENCE.read(source)?.unwrap_or_default();
    let client_ids = CLIENT_IDS.read(source)?.unwrap_or_default();
    if audiences.is_empty() && client_ids.is_empty() {
        return Err(AUDIENCE.bad_value(
            "must be set with TABLEFERRY_OIDC_ISSUER: what tokens for this service have in aud \
             (or, if they have no aud, set TABLEFERRY_OIDC_CLIENT_IDS)",
        ));
    }
    Ok(Some(OidcSettings {
        issuer,
        other_issuers: OTHER_ISSUERS.read(source)?.unwrap_or_default(),
        audiences,
        client_ids,
        scope_claims: SCOPE_CLAIM.read(source)?,
        scope_prefix: SCOPE_PREFIX.read(source)?.unwrap_or_default(),
        jwks_url: JWKS_URL.read(source)?,
        ca_file: CA_FILE.read(source)?,
        bearer_file: BEARER_FILE.read(source)?,
    }))
}

fn parse_issuer(text: &str) -> Result<Url, &'static str> {
    Url::parse(text)
        .ok()
        .filter(|url| is_safe(url) && url.query().is_none() && url.fragment().is_none())
        .ok_or("must be the https URL of an OpenID Connect issuer, as its tokens have it in iss")
}

fn parse_https_url(text: &str) -> Result<Url, &'static str> {
    Url::parse(text)
        .ok()
        .filter(is_safe)
        .ok_or("must be an https URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Option<OidcSettings>, SettingsError> {
        let variables = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        read(&Source::read(ROWS, variables, None)?)
    }

    #[test]
    fn an_issuer_needs_an_audience_or_clients() {
        const ISSUER: &str = "TABLEFERRY_OIDC_ISSUER";
        const AUDIENCE: &str = "TABLEFERRY_OIDC_AUDIENCE";
        const CLIENT_IDS: &str = "TABLEFERRY_OIDC_CLIENT_IDS";
        const JWKS_URL: &str = "TABLEFERRY_OIDC_JWKS_URL";
        let issuer = (ISSUER, "https://login.example.com");
        assert_eq!(read_pairs(&[]), Ok(None));
        let settings = read_pairs(&[issuer, (AUDIENCE, "one, api://two")])
            .unwrap()
            .unwrap();
        assert_eq!(settings.audiences, ["one", "api://two"]);
        assert_eq!(settings.scope_claims, ["scope"]);
        let settings = read_pairs(&[issuer, (CLIENT_IDS, "one")]).unwrap().unwrap();
        assert_eq!(settings.client_ids, ["one"]);
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
            let error = read_pairs(&pairs).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }
}
