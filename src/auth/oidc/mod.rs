//! Verifies bearer tokens (JWTs) of an OIDC issuer with the issuer's keys, which are cached.
//!
//! Sources: OpenID Connect Discovery 1.0 (where the keys are), RFC 7517 (keys), RFC 7519 and RFC
//! 8725 (tokens and their checks), RFC 9068 (access tokens). Only asymmetric algorithms are
//! accepted, and a key is only used with the algorithms of its own kind.

mod claims;
mod keys;
pub mod settings;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::error::AuthError;
use crate::domain::caller::allow::AllowList;
use crate::domain::caller::{Caller, CallerName, Grant};
use crate::domain::error_chain::in_words;
use crate::domain::timestamp::Timestamp;

use claims::Claims;
use keys::{KeyNotFound, KeySet};
pub use settings::OidcSettings;

const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The accepted token types (`typ`), in lower case: RFC 9068 has one of its own for
/// access tokens. Logout tokens, proofs of possession and others have different types, and
/// may be signed by the same keys.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];

/// How far the issuer's clock may differ from ours.
const LEEWAY: Duration = Duration::from_secs(30);

/// How long the issuer's keys are used before they are fetched again.
const KEYS_KEPT: Duration = Duration::from_secs(15 * 60);

/// The shortest time between two fetches of the issuer's keys. Without it, tokens that name unknown
/// keys could make the service send one request each.
const FETCH_AGAIN: Duration = Duration::from_secs(30);

const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest response of the issuer.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The TLS library cannot be set up.
    #[error("cannot set up the HTTP client for the OIDC issuer")]
    Client(#[from] reqwest::Error),
    #[error("cannot read TABLEFERRY_OIDC_CA_FILE ({path}); it must contain certificates in PEM")]
    Authorities {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An issuer whose tokens are accepted.
#[derive(Debug)]
pub struct Oidc {
    settings: OidcSettings,
    http: reqwest::Client,
    keys: RwLock<Option<Arc<Keys>>>,
    /// When the keys were last fetched. Locked during a fetch.
    fetched_at: Mutex<Option<Timestamp>>,
}

#[derive(Debug)]
struct Keys {
    set: KeySet,
    fetched_at: Timestamp,
}

/// The members of the issuer's discovery document that are used.
#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Invisible characters, and those that change the direction of the text around them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl Oidc {
    /// The issuer's keys are fetched when the first token arrives.
    #[expect(
        clippy::disallowed_methods,
        reason = "the operator's own issuer, not a caller's address"
    )]
    pub fn new(settings: OidcSettings) -> Result<Self, OidcError> {
        let mut http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &settings.ca_file {
            http = http.tls_certs_merge(authorities(path)?);
        }
        Ok(Self {
            http: http.build()?,
            settings,
            keys: RwLock::default(),
            fetched_at: Mutex::default(),
        })
    }

    /// The caller with this token, and when the token expires.
    pub async fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(Caller, Option<Timestamp>), AuthError> {
        let header = decode_header(token).map_err(|_| AuthError::Malformed)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(AuthError::Token("its algorithm (alg) is not accepted"));
        }
        // RFC 7515, 4.1.11: a token with parameters that must be understood, and are not, is
        // invalid.
        if header.crit.is_some() {
            return Err(AuthError::Token(
                "it has critical header parameters (crit), which are not supported",
            ));
        }
        if header
            .typ
            .as_ref()
            .is_some_and(|kind| !TYPES.contains(&kind.to_ascii_lowercase().as_str()))
        {
            return Err(AuthError::Token("its type (typ) is not accepted"));
        }
        let claims = self
            .read(token, header.kid.as_deref(), header.alg, now)
            .await?;
        let time = |name: &str| {
            claims
                .get(name)
                .filter(|time| !time.is_null())
                .map(|time| time.as_f64().and_then(Timestamp::from_unix_seconds))
        };
        let expires = time("exp")
            .ok_or(AuthError::Token("it has no expiry time (exp)"))?
            .ok_or(AuthError::Token("its exp is not a valid timestamp"))?
            .plus(LEEWAY);
        if expires <= now {
            return Err(AuthError::Token("it has expired"));
        }
        if time("nbf").is_some_and(|nbf| nbf.is_none_or(|from| from > now.plus(LEEWAY))) {
            return Err(AuthError::Token("it is not valid yet (nbf)"));
        }
        // The standard does not allow a list.
        match claims.get("iss") {
            None | Some(Value::Null) => {
                return Err(AuthError::Token("it does not name its issuer (iss)"));
            }
            Some(iss) if iss.as_str().is_some_and(|iss| self.settings.is_issuer(iss)) => {}
            Some(_) => return Err(AuthError::Token("it is from another issuer (iss)")),
        }
        self.settings
            .check_audience(&claims)
            .map_err(AuthError::Token)?;
        self.settings
            .check_client(&claims)
            .map_err(AuthError::Token)?;
        // Cognito marks its tokens so. An ID token tells an application who its user is; it does
        // not authorize requests.
        if claims.get("token_use").is_some_and(|kind| kind != "access") {
            return Err(AuthError::Token("it is not an access token (token_use)"));
        }
        let subject = claims
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if subject.is_empty() || subject.len() > 255 || subject.chars().any(is_unseen) {
            return Err(AuthError::Token(
                "its subject (sub) is missing or not usable",
            ));
        }
        let caller = Caller {
            name: Some(CallerName::for_subject(subject)),
            grant: self.grant(&claims)?,
            rate_per_s: None,
        };
        Ok((caller, Some(expires)))
    }

    /// The only place where claims become permissions.
    fn grant(&self, claims: &Claims) -> Result<Grant, AuthError> {
        Grant::new(self.settings.scopes(claims), AllowList::default())
            .map_err(|_| AuthError::Token("it has no scope of this service"))
    }

    /// The claims, if one of the issuer's keys has signed them. The claims are not checked here.
    async fn read(
        &self,
        token: &str,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Claims, AuthError> {
        let keys = self.keys(id, algorithm, now).await?;
        let candidates = keys.set.candidates(id, algorithm).map_err(|why| {
            AuthError::Token(match why {
                KeyNotFound::Unknown => "the issuer has no key with its key ID (kid)",
                KeyNotFound::Ambiguous => {
                    "it does not name its key (kid), and the issuer has several"
                }
            })
        })?;
        let mut validation = Validation::new(algorithm);
        (
            validation.validate_exp,
            validation.validate_nbf,
            validation.validate_aud,
        ) = (false, false, false);
        validation.required_spec_claims = HashSet::new();
        let signed_by = |key: &&DecodingKey| decode::<Claims>(token, key, &validation).ok();
        let read = candidates
            .iter()
            .find_map(signed_by)
            .map(|data| data.claims);
        read.ok_or(AuthError::Token("its signature or format is not valid"))
    }

    /// The issuer's keys. They are fetched if the cached ones are old or lack the named one, but
    /// not more often than [`FETCH_AGAIN`].
    async fn keys(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Arc<Keys>, AuthError> {
        if let Some(keys) = self.cached()
            && keys.fetched_at.plus(KEYS_KEPT) > now
            && keys.set.candidates(id, algorithm).is_ok()
        {
            return Ok(keys);
        }
        let mut fetched_at = self.fetched_at.lock().await;
        if fetched_at.is_none_or(|at| at.plus(FETCH_AGAIN) <= now) {
            let fetched = self.fetch().await;
            // Set afterwards, so that a cancelled request does not block others.
            *fetched_at = Some(now);
            match fetched {
                Ok(set) => {
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) =
                        Some(Arc::new(Keys {
                            set,
                            fetched_at: now,
                        }))
                }
                Err(why) => {
                    tracing::warn!(error.message = why, "cannot fetch the OIDC issuer's keys")
                }
            }
        }
        // Another request may have fetched them meanwhile. Old keys are better than none.
        self.cached().ok_or(AuthError::IssuerAway)
    }

    fn cached(&self) -> Option<Arc<Keys>> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Fetches the keys from their URL: the set one, or the one in the discovery document.
    async fn fetch(&self) -> Result<KeySet, String> {
        let (place, is_set) = match &self.settings.jwks_url {
            Some(url) => (url.clone(), true),
            None => (self.discover().await?, false),
        };
        // The bearer token is for the issuer. Its discovery document may name any other host.
        let with_bearer = is_set || place.origin() == self.settings.issuer.origin();
        KeySet::read(&self.get(place.as_str(), with_bearer).await?)
    }

    async fn discover(&self) -> Result<Url, String> {
        let issuer = &self.settings.issuer;
        let place = format!(
            "{}/.well-known/openid-configuration",
            issuer.as_str().trim_end_matches('/')
        );
        let discovery: Discovery = self.get(&place, true).await?;
        if !self.settings.is_issuer(&discovery.issuer) {
            return Err("its discovery document names another issuer".to_owned());
        }
        let keys =
            Url::parse(&discovery.jwks_uri).map_err(|_| "its jwks_uri is not a valid URL")?;
        if keys.scheme() != issuer.scheme() || !settings::is_safe(&keys) {
            return Err(
                "its jwks_uri has another scheme than the issuer, or is not safe".to_owned(),
            );
        }
        Ok(keys)
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
        with_bearer: bool,
    ) -> Result<T, String> {
        let mut request = self.http.get(url);
        if let Some(path) = self.settings.bearer_file.as_ref().filter(|_| with_bearer) {
            // Read each time, because Kubernetes renews such files.
            let token = tokio::fs::read_to_string(path)
                .await
                .map_err(|e| format!("cannot read TABLEFERRY_OIDC_BEARER_FILE: {e}"))?;
            request = request.bearer_auth(token.trim());
        }
        let mut response = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(|e| in_words(&e))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| in_words(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_RESPONSE_BYTES {
                return Err("its response is larger than 1 MiB".to_owned());
            }
        }
        serde_json::from_slice(&body).map_err(|e| in_words(&e))
    }
}

fn authorities(path: &std::path::Path) -> Result<Vec<reqwest::Certificate>, OidcError> {
    let unusable = |source| OidcError::Authorities {
        path: path.to_owned(),
        source,
    };
    let pem = std::fs::read(path).map_err(|e| unusable(e.into()))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| unusable(e.into()))?;
    if found.is_empty() {
        Err(unusable("it contains no certificate".into()))
    } else {
        Ok(found)
    }
}
