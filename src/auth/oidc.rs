//! Bearer tokens of an OIDC issuer (JWTs): checked by the issuer's own keys, which are kept for a while.
//!
//! Sources: OpenID Connect Discovery 1.0 (where the keys are), RFC 7517 (keys), RFC 7519 and RFC 8725 (tokens and their checks). Only
//! asymmetric algorithms are taken, whatever a token says, and a key is used with the algorithms of its own kind only.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::Refusal;
use crate::causes::in_words;
use crate::domain::caller::allow::AllowList;
use crate::domain::caller::scope::{Scope, Scopes};
use crate::domain::caller::{Caller, CallerName, Grant};
use crate::domain::timestamp::Timestamp;

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

/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// For how long the issuer's keys are used before they are asked for again.
const KEYS_KEPT: Duration = Duration::from_secs(15 * 60);

/// How long after asking the issuer it is asked again, whatever keys are named: tokens must not make us ask.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// How long the issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much the issuer may answer.
const MOST_BYTES: usize = 1024 * 1024;

/// An issuer, and what its tokens must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer, exactly as `iss` has it.
    pub issuer: Url,
    /// Who the tokens must be made for.
    pub audience: String,
    /// The claim that holds the scopes: words with spaces between, or a list.
    pub scope_claim: String,
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
    by_id: HashMap<String, Jwk>,
    told_at: Timestamp,
}

/// What is read of a token.
#[derive(Debug, Deserialize)]
struct Claims {
    /// A string; a list is not what the standard allows.
    #[serde(default)]
    iss: Value,
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    #[serde(flatten)]
    more: HashMap<String, Value>,
}

/// What is read of an issuer's description.
#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Characters that are not seen, or that turn what stands around them.
fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl Oidc {
    /// An issuer that is asked when the first token comes.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    #[expect(clippy::disallowed_methods, reason = "the operator's own issuer, not a caller's address")]
    pub fn new(settings: OidcSettings) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { settings, http, keys: RwLock::default(), asked: Mutex::default() })
    }

    /// Who bears this token, and until when it is good.
    ///
    /// # Errors
    /// It is not to be trusted, or the issuer's keys cannot be had.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<(Caller, Option<Timestamp>), Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Refusal::Token("its algorithm is not taken here"));
        }
        // RFC 7515, 4.1.11: what must be understood and is not.
        if header.crit.is_some() {
            return Err(Refusal::Token("it asks for more than is understood here (crit)"));
        }
        let id = header.kid.ok_or(Refusal::Token("it names no key (kid)"))?;
        let key = self.key(&id, now).await?.ok_or(Refusal::Token("the issuer has no such key"))?;
        let claims = self.read(token, header.alg, &key)?;
        let expires = Timestamp::from_unix_seconds(claims.exp).ok_or(Refusal::Token("its exp is no time"))?.plus(LEEWAY);
        if expires <= now {
            return Err(Refusal::Token("it is expired"));
        }
        if claims.nbf.is_some_and(|nbf| Timestamp::from_unix_seconds(nbf).is_none_or(|from| from > now.plus(LEEWAY))) {
            return Err(Refusal::Token("it is not good yet"));
        }
        if claims.iss.as_str() != Some(self.issuer()) {
            return Err(Refusal::Token("it is of another issuer"));
        }
        if claims.sub.is_empty() || claims.sub.len() > 255 || claims.sub.chars().any(is_unseen) {
            return Err(Refusal::Token("its sub is no name"));
        }
        let grant =
            Grant::new(self.scopes(&claims.more), AllowList::default()).map_err(|_| Refusal::Token("it bears no scope of this service"))?;
        Ok((Caller { name: Some(CallerName::of_subject(&claims.sub)), grant, rate_per_s: None }, Some(expires)))
    }

    /// Signature, issuer and audience by the library; times by our own clock.
    fn read(&self, token: &str, algorithm: Algorithm, key: &Jwk) -> Result<Claims, Refusal> {
        let key_is_for_it = key.common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(algorithm));
        let signs = key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        if !key_is_for_it || !signs {
            return Err(Refusal::Token("its key is not for this algorithm"));
        }
        let key = DecodingKey::from_jwk(key).map_err(|_| Refusal::Token("its key cannot be used"))?;
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[self.issuer()]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        let data = decode::<Claims>(token, &key, &validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            Refusal::Token(match error.kind() {
                ErrorKind::InvalidIssuer => "it is of another issuer",
                ErrorKind::InvalidAudience => "it is for another audience",
                ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss, aud or sub, or one of them is malformed",
                _ => "its signature or form is wrong",
            })
        })?;
        Ok(data.claims)
    }

    /// The issuer as its operator and its tokens write it: a URL without a path has no slash at its end.
    fn issuer(&self) -> &str {
        let text = self.settings.issuer.as_str();
        if self.settings.issuer.path() == "/" { text.trim_end_matches('/') } else { text }
    }

    fn scopes(&self, claims: &HashMap<String, Value>) -> Scopes {
        let known = |word: &str| Scope::parse(word).ok();
        match claims.get(&self.settings.scope_claim) {
            Some(Value::String(words)) => Scopes::of(words.split(' ').filter_map(known)),
            Some(Value::Array(words)) => Scopes::of(words.iter().filter_map(Value::as_str).filter_map(known)),
            _ => Scopes::default(),
        }
    }

    /// The issuer's key of this id. Keys that were told long ago, or are not known, are asked for, but not too often.
    async fn key(&self, id: &str, now: Timestamp) -> Result<Option<Jwk>, Refusal> {
        let kept = self.kept();
        let found = kept.as_ref().and_then(|keys| keys.by_id.get(id).cloned());
        let old = kept.as_ref().is_none_or(|keys| keys.told_at.plus(KEYS_KEPT) <= now);
        if found.is_some() && !old {
            return Ok(found);
        }
        let mut asked = self.asked.lock().await;
        if asked.is_none_or(|at| at.plus(ASK_AGAIN) <= now) {
            let told = self.ask().await;
            // Set afterwards, so that a cancelled request does not block others.
            *asked = Some(now);
            match told {
                Ok(by_id) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Keys { by_id, told_at: now })),
                Err(why) => tracing::warn!(error.message = why, "the OIDC issuer did not tell its keys"),
            }
        }
        // Another request may have asked meanwhile. Old keys are better than none.
        match self.kept() {
            Some(keys) => Ok(keys.by_id.get(id).cloned()),
            None => Err(Refusal::IssuerAway),
        }
    }

    fn kept(&self) -> Option<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the issuer where its keys are, and for them.
    async fn ask(&self) -> Result<HashMap<String, Jwk>, String> {
        let place = format!("{}/.well-known/openid-configuration", self.settings.issuer.as_str().trim_end_matches('/'));
        let discovery: Discovery = self.get(&place).await?;
        if discovery.issuer != self.issuer() && discovery.issuer != self.settings.issuer.as_str() {
            return Err("its description names another issuer".to_owned());
        }
        if !discovery.jwks_uri.starts_with(&format!("{}://", self.settings.issuer.scheme())) {
            return Err("its keys are told over another scheme than its description".to_owned());
        }
        let set: JwkSet = self.get(&discovery.jwks_uri).await?;
        Ok(set.keys.into_iter().filter_map(|key| Some((key.common.key_id.clone()?, key))).collect())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let mut response = self.http.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(|e| in_words(&e))?;
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
