//! Webhook signatures: every valid secret (v1) and the keys of the service (v1a), verified as a
//! receiver would; and how both are stored.

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{
    ENCRYPTION_KEY, NewEndpoint, Received, Receiver, TestApp, TestOptions, create_body,
};

const HOUR: Duration = Duration::from_secs(3600);
const OTHER_KEY: &str = "/////////////////////////////////////////w8=";
const CALLBACK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The signatures of one version in a request.
fn signatures(received: &Received, version: &str) -> Vec<Vec<u8>> {
    let all = received
        .header("webhook-signature")
        .split(' ')
        .map(|one| one.split_once(',').unwrap());
    all.filter(|(kind, _)| *kind == version)
        .map(|(_, text)| BASE64.decode(text).unwrap())
        .collect()
}

fn signed(received: &Received) -> Vec<u8> {
    let mut bytes = format!(
        "{}.{}.",
        received.header("webhook-id"),
        received.header("webhook-timestamp")
    )
    .into_bytes();
    bytes.extend(&received.body);
    bytes
}

/// Whether a secret verifies the request, as the libraries do: one matching signature is enough.
fn verifies(received: &Received, secret: &str) -> bool {
    let key = hmac::Key::new(
        hmac::HMAC_SHA256,
        &BASE64
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap(),
    );
    signatures(received, "v1")
        .iter()
        .any(|signature| hmac::verify(&key, &signed(received), signature).is_ok())
}

fn public_key_verifies(received: &Received, public_key: &str) -> bool {
    let key = UnparsedPublicKey::new(
        &ED25519,
        BASE64
            .decode(public_key.strip_prefix("whpk_").unwrap())
            .unwrap(),
    );
    signatures(received, "v1a")
        .iter()
        .any(|signature| key.verify(&signed(received), signature).is_ok())
}

async fn public_keys(app: &TestApp) -> Vec<String> {
    let keys = app.get("/v1/webhook-public-keys").await.expect(200).json["keys"]
        .as_array()
        .unwrap()
        .clone();
    keys.iter()
        .map(|key| key["public_key"].as_str().unwrap().to_owned())
        .collect()
}

async fn rotate(app: &TestApp, endpoint: &NewEndpoint, body: &Value) -> String {
    let answer = app
        .post(&format!("{}/rotate-secret", endpoint.path), body)
        .await
        .expect(200);
    answer.json["secret"].as_str().unwrap().to_owned()
}

/// Sends a ping and returns what the receiver got.
async fn pinged(app: &TestApp, endpoint: &NewEndpoint, receiver: &Receiver) -> Received {
    app.ping(endpoint).await;
    assert_eq!(app.step_deliveries().await, 1);
    receiver.heard().pop().unwrap()
}

/// Every row of every table that could hold a secret, as text.
async fn everything_stored(app: &TestApp) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables
        WHERE table_schema = 'public' AND (table_name LIKE 'webhook\\_%' OR table_name LIKE 'export%')",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert!(tables.len() >= 8, "{tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let rows = AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t"));
        all.extend(
            sqlx::query_scalar::<_, String>(rows)
                .fetch_all(&app.pool)
                .await
                .unwrap(),
        );
    }
    all.join("\n")
}

#[tokio::test]
async fn every_valid_secret_signs_and_none_after_its_time() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    let first = endpoint.secret.clone();
    let heard = pinged(&app, &endpoint, &receiver).await;
    assert!(verifies(&heard, &first) && signatures(&heard, "v1").len() == 1);
    let second = rotate(&app, &endpoint, &json!({})).await;
    app.advance(HOUR * 23).await;
    let heard = pinged(&app, &endpoint, &receiver).await;
    assert!(
        verifies(&heard, &first)
            && verifies(&heard, &second)
            && signatures(&heard, "v1").len() == 2,
        "24 hours unless said"
    );
    let third = rotate(&app, &endpoint, &json!({"overlap": "2h"})).await;
    let heard = pinged(&app, &endpoint, &receiver).await;
    assert!(
        [&first, &second, &third]
            .iter()
            .all(|secret| verifies(&heard, secret))
    );
    app.advance(HOUR).await;
    let heard = pinged(&app, &endpoint, &receiver).await;
    assert!(
        !verifies(&heard, &first),
        "a later rotation gives an old secret no more time"
    );
    assert!(verifies(&heard, &second) && verifies(&heard, &third));
    app.advance(HOUR).await;
    let heard = pinged(&app, &endpoint, &receiver).await;
    assert!(verifies(&heard, &third) && signatures(&heard, "v1").len() == 1);
    let last = rotate(&app, &endpoint, &json!({"overlap": "0s"})).await;
    let heard = pinged(&app, &endpoint, &receiver).await;
    assert!(
        verifies(&heard, &last) && signatures(&heard, "v1").len() == 1,
        "0s ends the old ones at once"
    );
}

#[tokio::test]
async fn what_waits_is_signed_with_what_is_valid_when_it_goes_out() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    app.export_to_end(&create_body()).await;
    let new = rotate(&app, &endpoint, &json!({"overlap": "1h"})).await;
    app.advance(HOUR).await;
    while app.step_deliveries().await > 0 {}
    for heard in receiver.heard() {
        assert!(verifies(&heard, &new) && !verifies(&heard, &endpoint.secret));
    }
    assert_eq!(receiver.heard().len(), 2);
}

#[tokio::test]
async fn rotations_have_bounds() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    let path = format!("{}/rotate-secret", endpoint.path);
    for overlap in [
        json!("24"),
        json!("-1h"),
        json!("721h"),
        json!("720h1ms"),
        json!(""),
        json!("1d"),
        json!(24),
        json!("99999999999h"),
    ] {
        let answer = app
            .post(&path, &json!({ "overlap": overlap }))
            .await
            .expect_problem(422, "validation-failed");
        assert_eq!(answer.pointers(), ["/overlap"], "{overlap}");
    }
    let answer = app
        .post(&path, &json!({"secret": "x", "overlap": true}))
        .await
        .expect_problem(422, "validation-failed");
    assert_eq!(answer.pointers(), ["/overlap", "/secret"]);
    app.send(
        app.request(Method::POST, &path)
            .header("content-type", "application/json")
            .body("["),
    )
    .await
    .expect_problem(400, "malformed-json");
    let mut all = vec![endpoint.secret.clone()];
    for _ in 0..12 {
        all.push(rotate(&app, &endpoint, &json!({"overlap": "720h"})).await);
    }
    let heard = pinged(&app, &endpoint, &receiver).await;
    assert_eq!(
        signatures(&heard, "v1").len(),
        10,
        "at most ten sign at a time"
    );
    assert!(
        all[3..].iter().all(|secret| verifies(&heard, secret)),
        "the newest ones"
    );
}

#[tokio::test]
async fn the_public_key_verifies_every_webhook_callbacks_too() {
    let (app, receiver, called) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let keys = public_keys(&app).await;
    assert_eq!(keys.len(), 1);
    let endpoint = app.endpoint_at(&receiver.url).await;
    let mut body = create_body();
    body["callback_url"] = json!(called.url);
    body["callback_secret"] = json!(CALLBACK_SECRET);
    app.export_to_end(&body).await;
    while app.step_deliveries().await > 0 {}
    let (to_endpoint, to_callback) = (receiver.heard(), called.heard());
    assert_eq!((to_endpoint.len(), to_callback.len()), (2, 1));
    for heard in to_endpoint.iter().chain(&to_callback) {
        assert!(public_key_verifies(heard, &keys[0]));
        assert_eq!(signatures(heard, "v1a").len(), 1);
        let mut tampered = heard.clone();
        tampered.body.push(b' ');
        assert!(
            !public_key_verifies(&tampered, &keys[0]) && !verifies(&tampered, &endpoint.secret)
        );
    }
    assert!(
        to_endpoint
            .iter()
            .all(|heard| verifies(heard, &endpoint.secret) && !verifies(heard, CALLBACK_SECRET))
    );
    assert!(
        verifies(&to_callback[0], CALLBACK_SECRET) && !verifies(&to_callback[0], &endpoint.secret)
    );
    let other = TestApp::start_with(TestOptions {
        database_url: Some(app.database_url.clone()),
        ..TestOptions::default()
    })
    .await;
    assert_eq!(public_keys(&other).await, keys, "replicas share it");
}

#[tokio::test]
async fn replicas_that_start_together_agree_on_one_key() {
    let app = TestApp::start().await;
    let options = || TestOptions {
        database_url: Some(app.database_url.clone()),
        ..TestOptions::default()
    };
    let (one, other) = tokio::join!(
        TestApp::start_with(options()),
        TestApp::start_with(options())
    );
    let (a, b, c) = tokio::join!(public_keys(&app), public_keys(&one), public_keys(&other));
    assert!(a.len() == 1 && a == b && b == c, "{a:?} {b:?} {c:?}");
}

#[tokio::test]
async fn secrets_at_rest_are_sealed() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app
        .endpoint_of(&json!({"url": receiver.url, "headers": {"Authorization": "Bearer hunter2"}}))
        .await;
    let new = rotate(&app, &endpoint, &json!({})).await;
    let mut body = create_body();
    body["callback_url"] = json!(receiver.url);
    body["callback_secret"] = json!(CALLBACK_SECRET);
    app.export_to_end(&body).await;
    app.create(&body).await.expect(202);
    receiver.answer_next(500, None);
    app.step_deliveries().await;
    public_keys(&app).await;
    let all = everything_stored(&app).await;
    assert!(
        all.matches("sealed:").count() >= 7,
        "two secrets, headers, a private key, two exports, a delivery: {all}"
    );
    for hidden in [
        "whsec_",
        "whsk_",
        "clear:",
        "hunter2",
        &endpoint.secret[6..],
        &new[6..],
        &CALLBACK_SECRET[6..],
    ] {
        assert!(!all.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn without_an_encryption_key_it_works_too_and_with_one_later() {
    let receiver = Receiver::start().await;
    let app = TestApp::start_with(TestOptions {
        encryption_keys: &[],
        ..TestOptions::default()
    })
    .await;
    let endpoint = app.endpoint_at(&receiver.url).await;
    let keys = public_keys(&app).await;
    let heard = pinged(&app, &endpoint, &receiver).await;
    assert!(verifies(&heard, &endpoint.secret) && public_key_verifies(&heard, &keys[0]));
    assert!(
        everything_stored(&app).await.contains("whsec_"),
        "in plain text, as the operator was warned"
    );
    let later = TestApp::start_with(TestOptions {
        database_url: Some(app.database_url.clone()),
        ..TestOptions::default()
    })
    .await;
    let heard = pinged(&later, &endpoint, &receiver).await;
    assert!(verifies(&heard, &endpoint.secret) && public_key_verifies(&heard, &keys[0]));
}

#[tokio::test]
async fn an_encryption_key_is_replaced_without_losing_anything() {
    let (app, receiver, called) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let endpoint = app
        .endpoint_of(&json!({"url": receiver.url, "headers": {"X-Api-Key": "k"}}))
        .await;
    let keys = public_keys(&app).await;
    let mut body = create_body();
    body["callback_url"] = json!(called.url);
    body["callback_secret"] = json!(CALLBACK_SECRET);
    app.export_to_end(&body).await;
    let on = |encryption_keys| TestOptions {
        database_url: Some(app.database_url.clone()),
        encryption_keys,
        ..TestOptions::default()
    };
    let replaced = TestApp::start_with(on(&[OTHER_KEY, ENCRYPTION_KEY])).await;
    while replaced.step_deliveries().await > 0 {}
    assert!(verifies(&called.heard()[0], CALLBACK_SECRET));
    let new = rotate(&replaced, &endpoint, &json!({})).await;
    let heard = pinged(&replaced, &endpoint, &receiver).await;
    assert!(
        verifies(&heard, &endpoint.secret)
            && verifies(&heard, &new)
            && public_key_verifies(&heard, &keys[0])
    );
    assert_eq!(public_keys(&replaced).await, keys);
    // Without the old key nothing is sent that the receiver could not verify.
    let lost = TestApp::start_with(on(&[OTHER_KEY])).await;
    let before = receiver.heard().len();
    let id = lost.ping(&endpoint).await;
    assert_eq!(lost.step_deliveries().await, 1);
    assert_eq!(receiver.heard().len(), before);
    let delivery = lost
        .get(&format!("/v1/deliveries/{id}"))
        .await
        .expect(200)
        .json;
    assert_eq!(delivery["attempts"][0]["error_class"], "not_signed");
}
