//! An OIDC issuer on loopback: its discovery document, its keys, and tokens signed by them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Issued, TlsListener};

/// An issuer that stops with the test.
pub struct Issuer {
    pub url: String,
    told: Arc<Told>,
    key: Mutex<(String, EncodingKey)>,
    task: tokio::task::JoinHandle<()>,
}

/// The published keys.
#[derive(Default)]
struct Told {
    url: Mutex<String>,
    keys: Mutex<Vec<Value>>,
    /// The token that it requires, if any.
    bearer: Mutex<Option<&'static str>>,
    away: AtomicBool,
    asked: AtomicUsize,
}

impl Issuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self::start_on(listener, url)
    }

    /// An issuer whose certificate is from an unknown authority.
    pub async fn start_with_tls(issued: &Issued) -> Self {
        let listener = TlsListener::bind(issued).await;
        let url = format!(
            "https://{}",
            axum::serve::Listener::local_addr(&listener).unwrap()
        );
        Self::start_on(listener, url)
    }

    fn start_on(
        listener: impl axum::serve::Listener<Addr = std::net::SocketAddr>,
        url: String,
    ) -> Self {
        let told = Arc::new(Told::default());
        told.url.lock().unwrap().clone_from(&url);
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(description))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&told));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let issuer = Self {
            url,
            told,
            key: Mutex::new(new_key("none")),
            task,
        };
        issuer.rotate("first");
        issuer
    }

    /// Signs with a new key with this id from now on; the old ones are no longer published.
    pub fn rotate(&self, id: &str) {
        let (id, key) = new_key(id);
        let mut jwk = json!(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap());
        jwk["kid"] = json!(id);
        *self.told.keys.lock().unwrap() = vec![jwk];
        *self.key.lock().unwrap() = (id, key);
    }

    /// Changes the published keys, independent of the signing key.
    pub fn change_keys(&self, change: impl FnOnce(&mut Vec<Value>)) {
        change(&mut self.told.keys.lock().unwrap());
    }

    /// Returns its keys only to clients that send this token.
    pub fn ask_for(&self, bearer: &'static str) {
        *self.told.bearer.lock().unwrap() = Some(bearer);
    }

    /// Whether it answers.
    pub fn set_away(&self, away: bool) {
        self.told.away.store(away, Ordering::Relaxed);
    }

    /// The number of requests for its keys.
    pub fn asked(&self) -> usize {
        self.told.asked.load(Ordering::Relaxed)
    }

    /// A token with these claims, signed by the current key.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(claims, |_| {})
    }

    /// The same, with another header.
    pub fn token_with(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let (id, key) = &*self.key.lock().unwrap();
        let mut header = Header {
            kid: Some(id.clone()),
            ..Header::new(Algorithm::ES256)
        };
        change(&mut header);
        encode(&header, claims, key).unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn new_key(id: &str) -> (String, EncodingKey) {
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .unwrap();
    (id.to_owned(), EncodingKey::from_ec_der(pkcs8.as_ref()))
}

impl Told {
    fn check(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let shown = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if self
            .bearer
            .lock()
            .unwrap()
            .is_some_and(|bearer| shown != Some(bearer))
        {
            Err(StatusCode::UNAUTHORIZED)
        } else {
            Ok(())
        }
    }
}

async fn description(
    State(told): State<Arc<Told>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    told.check(&headers)?;
    let url = told.url.lock().unwrap().clone();
    Ok(Json(
        json!({"issuer": url, "jwks_uri": format!("{url}/keys")}),
    ))
}

async fn keys(
    State(told): State<Arc<Told>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    told.check(&headers)?;
    if told.away.load(Ordering::Relaxed) {
        return Err(StatusCode::BAD_GATEWAY);
    }
    told.asked.fetch_add(1, Ordering::Relaxed);
    Ok(Json(json!({"keys": *told.keys.lock().unwrap()})))
}
