//! Bearer tokens of an OIDC issuer (JWTs): checked by the issuer's own keys, which are kept for a
//! while.
//!
//! Sources: OpenID Connect Discovery 1.0 (where the keys are), RFC 7517 (keys), RFC 7519 and RFC
//! 8725 (tokens and their checks), RFC 9068 (access tokens). Only asymmetric algorithms are taken,
//! whatever a token says, and a key is used with the algorithms of its own kind only.

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

use super::Refusal;
use crate::domain::caller::allow::AllowList;
use crate::domain::caller::{Caller, CallerName, Grant};
use crate::domain::timestamp::Timestamp;
use crate::telemetry::error_chain::in_words;

use claims::Claims;
use keys::{KeySet, NoKey};
pub use settings::OidcSettings;

/// The algorithms that are taken.
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

/// The types (`typ`) of tokens that are taken, in lower case: RFC 9068 has one of its own for
/// access tokens. Logout tokens, proofs of possession and the like have others, and may be signed
/// by the same keys.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];

/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// For how long the issuer's keys are used before they are asked for again.
const KEYS_KEPT: Duration = Duration::from_secs(15 * 60);

/// How long after asking the issuer it is asked again, whatever keys are named: tokens must not
/// make us ask.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// How long the issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much the issuer may answer.
const MOST_BYTES: usize = 1024 * 1024;

/// Why no issuer can be asked.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The TLS library cannot be set up.
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
    /// The file of TABLEFERRY_OIDC_CA_FILE cannot be used.
    #[error("TABLEFERRY_OIDC_CA_FILE ({path}) cannot be read; it must hold certificates in PEM")]
    Authorities {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An issuer whose tokens are taken.
#[derive(Debug)]
pub struct Oidc {
    settings: OidcSettings,
    http: reqwest::Client,
    keys: RwLock<Option<Arc<Keys>>>,
    /// When the issuer was last asked. Held while it is.
    asked: Mutex<Option<Timestamp>>,
}

/// The issuer's keys as it last told them.
#[derive(Debug)]
struct Keys {
    set: KeySet,
    told_at: Timestamp,
}

/// What is read of an issuer's description.
#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Characters that are not seen, or that turn what stands around them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl Oidc {
    /// An issuer that is asked when the first token comes.
    ///
    /// # Errors
    /// The TLS library cannot be set up, or the file of authorities cannot be read.
    #[expect(
        clippy::disallowed_methods,
        reason = "the operator's own issuer, not a caller's address"
    )]
    pub fn new(settings: OidcSettings) -> Result<Self, OidcError> {
        let mut http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &settings.ca_file {
            http = http.tls_certs_merge(authorities(path)?);
        }
        Ok(Self {
            http: http.build()?,
            settings,
            keys: RwLock::default(),
            asked: Mutex::default(),
        })
    }

    /// Who bears this token, and until when it is good.
    ///
    /// # Errors
    /// It is not to be trusted, or the issuer's keys cannot be had.
    pub async fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(Caller, Option<Timestamp>), Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Refusal::Token("its algorithm is not taken here"));
        }
        // RFC 7515, 4.1.11: what must be understood and is not.
        if header.crit.is_some() {
            return Err(Refusal::Token(
                "it asks for more than is understood here (crit)",
            ));
        }
        if header
            .typ
            .as_ref()
            .is_some_and(|kind| !TYPES.contains(&kind.to_ascii_lowercase().as_str()))
        {
            return Err(Refusal::Token("it is a token of another type (typ)"));
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
            .ok_or(Refusal::Token("it has no exp"))?
            .ok_or(Refusal::Token("its exp is no time"))?
            .plus(LEEWAY);
        if expires <= now {
            return Err(Refusal::Token("it is expired"));
        }
        if time("nbf").is_some_and(|nbf| nbf.is_none_or(|from| from > now.plus(LEEWAY))) {
            return Err(Refusal::Token("it is not valid yet (nbf)"));
        }
        // A list is not what the standard allows.
        match claims.get("iss") {
            None | Some(Value::Null) => return Err(Refusal::Token("it names no issuer (iss)")),
            Some(iss) if iss.as_str().is_some_and(|iss| self.settings.is_issuer(iss)) => {}
            Some(_) => return Err(Refusal::Token("it is of another issuer")),
        }
        self.settings
            .check_audience(&claims)
            .map_err(Refusal::Token)?;
        self.settings
            .check_client(&claims)
            .map_err(Refusal::Token)?;
        // Cognito says so which of its tokens this is; an ID token tells an application who
        // somebody is, and asks for nothing.
        if claims.get("token_use").is_some_and(|kind| kind != "access") {
            return Err(Refusal::Token("it is not an access token (token_use)"));
        }
        let subject = claims
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if subject.is_empty() || subject.len() > 255 || subject.chars().any(is_unseen) {
            return Err(Refusal::Token("its sub is missing or unusable"));
        }
        let caller = Caller {
            name: Some(CallerName::of_subject(subject)),
            grant: self.grant(&claims)?,
            rate_per_s: None,
        };
        Ok((caller, Some(expires)))
    }

    /// What the bearer may do. The one place where claims become rights.
    fn grant(&self, claims: &Claims) -> Result<Grant, Refusal> {
        Grant::new(self.settings.scopes(claims), AllowList::default())
            .map_err(|_| Refusal::Token("it bears no scope of this service"))
    }

    /// The claims, if one of the issuer's keys has signed them. What they say is not looked at.
    async fn read(
        &self,
        token: &str,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Claims, Refusal> {
        let keys = self.keys(id, algorithm, now).await?;
        let candidates = keys.set.of(id, algorithm).map_err(|why| {
            Refusal::Token(match why {
                NoKey::Unknown => "the issuer has no such key",
                NoKey::Ambiguous => "it names no key (kid), and the issuer has several",
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
        read.ok_or(Refusal::Token("its signature or form is wrong"))
    }

    /// The issuer's keys. If they were told long ago, or lack the one that is named, it is asked,
    /// but not too often.
    async fn keys(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Arc<Keys>, Refusal> {
        if let Some(keys) = self.kept()
            && keys.told_at.plus(KEYS_KEPT) > now
            && keys.set.of(id, algorithm).is_ok()
        {
            return Ok(keys);
        }
        let mut asked = self.asked.lock().await;
        if asked.is_none_or(|at| at.plus(ASK_AGAIN) <= now) {
            let told = self.ask().await;
            // Set afterwards, so that a cancelled request does not block others.
            *asked = Some(now);
            match told {
                Ok(set) => {
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) =
                        Some(Arc::new(Keys { set, told_at: now }))
                }
                Err(why) => {
                    tracing::warn!(error.message = why, "cannot fetch the OIDC issuer's keys")
                }
            }
        }
        // Another request may have asked meanwhile. Old keys are better than none.
        self.kept().ok_or(Refusal::IssuerAway)
    }

    fn kept(&self) -> Option<Arc<Keys>> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Asks the issuer where its keys are, unless that is set, and for them.
    async fn ask(&self) -> Result<KeySet, String> {
        let (place, is_set) = match &self.settings.jwks_url {
            Some(url) => (url.clone(), true),
            None => (self.discover().await?, false),
        };
        // The token is for the issuer; its description may name a place anywhere.
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
            return Err("its description names another issuer".to_owned());
        }
        let keys = Url::parse(&discovery.jwks_uri).map_err(|_| "its jwks_uri is no URL")?;
        if keys.scheme() != issuer.scheme() || !settings::is_safe(&keys) {
            return Err("its keys are told over another scheme than its description".to_owned());
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
            // Read each time: Kubernetes renews such files.
            let token = tokio::fs::read_to_string(path)
                .await
                .map_err(|e| format!("TABLEFERRY_OIDC_BEARER_FILE cannot be read: {e}"))?;
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
            if body.len() > MOST_BYTES {
                return Err("it answers more than a megabyte".to_owned());
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
        Err(unusable("it holds no certificate".into()))
    } else {
        Ok(found)
    }
}
