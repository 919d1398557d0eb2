//! An OIDC issuer on loopback: its description, its keys, and tokens signed by them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An issuer that stops with the test.
pub struct Issuer {
    pub url: String,
    told: Arc<Told>,
    key: Mutex<(String, EncodingKey)>,
    task: tokio::task::JoinHandle<()>,
}

/// What the issuer tells.
#[derive(Default)]
struct Told {
    url: Mutex<String>,
    keys: Mutex<Vec<Jwk>>,
    away: AtomicBool,
    asked: AtomicUsize,
}

impl Issuer {
    pub async fn start() -> Self {
        let told = Arc::new(Told::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        told.url.lock().unwrap().clone_from(&url);
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(description))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&told));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let issuer = Self { url, told, key: Mutex::new(new_key("none")), task };
        issuer.rotate("first");
        issuer
    }

    /// Signs with a new key of this id from now on; the old ones are told no more.
    pub fn rotate(&self, id: &str) {
        let (id, key) = new_key(id);
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(id.clone());
        *self.told.keys.lock().unwrap() = vec![jwk];
        *self.key.lock().unwrap() = (id, key);
    }

    /// Whether it answers.
    pub fn set_away(&self, away: bool) {
        self.told.away.store(away, Ordering::Relaxed);
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.told.asked.load(Ordering::Relaxed)
    }

    /// The same, with something that must be understood (`crit`).
    pub fn token_that_asks_for(&self, claims: &Value, what: &str) -> String {
        let (id, key) = &*self.key.lock().unwrap();
        let header = Header { kid: Some(id.clone()), crit: Some(vec![what.to_owned()]), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, key).unwrap()
    }

    /// A token with these claims, by the current key.
    pub fn token(&self, claims: &Value) -> String {
        let (id, key) = &*self.key.lock().unwrap();
        let header = Header { kid: Some(id.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, key).unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn new_key(id: &str) -> (String, EncodingKey) {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    (id.to_owned(), EncodingKey::from_ec_der(pkcs8.as_ref()))
}

async fn description(State(told): State<Arc<Told>>) -> Json<Value> {
    let url = told.url.lock().unwrap().clone();
    Json(json!({"issuer": url, "jwks_uri": format!("{url}/keys")}))
}

async fn keys(State(told): State<Arc<Told>>) -> Result<Json<Value>, StatusCode> {
    if told.away.load(Ordering::Relaxed) {
        return Err(StatusCode::BAD_GATEWAY);
    }
    told.asked.fetch_add(1, Ordering::Relaxed);
    Ok(Json(json!({"keys": *told.keys.lock().unwrap()})))
}
