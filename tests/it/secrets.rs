//! `tableferry secrets`: the real binary encrypts everything again, and creates a new signing key.

use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{ENCRYPTION_KEY, Receiver, TestApp, TestOptions, create_body};

const NEW_KEY: &str = "/////////////////////////////////////////w8=";

async fn secrets(app: &TestApp, arguments: &[&str], keys: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tableferry"));
    command
        .arg("secrets")
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", &app.database_url)
        .env("TABLEFERRY_ENCRYPTION_KEY", keys);
    command.kill_on_drop(true).output().await.unwrap()
}

/// Everything encrypted in the database.
async fn sealed(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT callback_secret FROM exports WHERE callback_secret IS NOT NULL
        UNION ALL SELECT signing_secret FROM webhook_deliveries WHERE signing_secret IS NOT NULL
        UNION ALL SELECT callback_headers FROM exports WHERE callback_headers IS NOT NULL
        UNION ALL SELECT sealed_headers FROM webhook_deliveries WHERE sealed_headers IS NOT NULL
        UNION ALL SELECT sealed_headers FROM webhook_endpoints WHERE sealed_headers IS NOT NULL
        UNION ALL SELECT sealed_secret FROM webhook_secrets
        UNION ALL SELECT sealed_private_key FROM webhook_signing_keys",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap()
}

/// A service with one of everything that is encrypted.
async fn with_secrets(receiver: &Receiver, keys: &'static [&'static str]) -> TestApp {
    let app = TestApp::start_with(TestOptions {
        encryption_keys: keys,
        ..TestOptions::default()
    })
    .await;
    let endpoint = json!({"url": receiver.url, "headers": {"X-Api-Key": "k"}});
    app.send(
        app.request(reqwest::Method::POST, "/v1/webhook-endpoints")
            .json(&endpoint),
    )
    .await
    .expect(201);
    let mut body = create_body();
    body["callback_url"] = json!(receiver.url);
    body["callback_secret"] = json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    body["callback_headers"] = json!({"Authorization": "Bearer t"});
    app.export_to_end(&body).await;
    app.get("/v1/webhook-public-keys").await.expect(200);
    app
}

#[tokio::test]
async fn everything_is_sealed_with_the_first_key() {
    let receiver = Receiver::start().await;
    for keys in [&[ENCRYPTION_KEY][..], &[]] {
        let app = with_secrets(&receiver, keys).await;
        let before = sealed(&app).await;
        assert_eq!(before.len(), 7);
        let both = format!("{NEW_KEY},{ENCRYPTION_KEY}");
        let output = secrets(&app, &["reseal"], &both).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.contains('7'), "{said}");
        let after = sealed(&app).await;
        let new = after[0].split(':').nth(1).unwrap();
        assert!(
            after
                .iter()
                .all(|text| text.starts_with(&format!("sealed:{new}:")))
                && after.iter().all(|text| !before.contains(text))
        );
        // Now the old key is not needed any more, and webhooks are still sent.
        let options = TestOptions {
            database_url: Some(app.database_url.clone()),
            encryption_keys: &[NEW_KEY],
            ..TestOptions::default()
        };
        let later = TestApp::start_with(options).await;
        let heard = receiver.heard().len();
        while later.step_deliveries().await > 0 {}
        let all = receiver.heard();
        assert_eq!(
            all.len(),
            heard + 3,
            "started and completed to the endpoint, completed to the callback"
        );
        let with_token = all[heard..].iter().filter(|heard| {
            heard
                .headers
                .get("authorization")
                .is_some_and(|value| value == "Bearer t")
        });
        assert_eq!(with_token.count(), 1);
        let again = secrets(&app, &["reseal"], NEW_KEY).await;
        assert!(again.status.success() && String::from_utf8(again.stderr).unwrap().contains('0'));
    }
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_and_left() {
    let receiver = Receiver::start().await;
    let app = with_secrets(&receiver, &[ENCRYPTION_KEY]).await;
    let before = sealed(&app).await;
    let output = secrets(&app, &["reseal"], NEW_KEY).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("7 could not be opened"),
        "{said}"
    );
    assert_eq!(sealed(&app).await, before);
    let no_key = secrets(&app, &["reseal"], "").await;
    assert!(
        !no_key.status.success()
            && String::from_utf8(no_key.stderr)
                .unwrap()
                .contains("TABLEFERRY_ENCRYPTION_KEY")
    );
}

#[tokio::test]
async fn a_new_signing_key_signs_at_once_and_the_old_one_along_with_it() {
    let app = TestApp::start().await;
    let keys = |answer: Value| {
        answer["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["public_key"].clone())
            .collect::<Vec<_>>()
    };
    let old = keys(app.get("/v1/webhook-public-keys").await.expect(200).json);
    let output = secrets(
        &app,
        &["rotate-signing-key", "--overlap", "2h"],
        ENCRYPTION_KEY,
    )
    .await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let both = keys(app.get("/v1/webhook-public-keys").await.expect(200).json);
    assert!(
        both.len() == 2 && both[1] == old[0] && said.contains(both[0].as_str().unwrap()),
        "{both:?} {said}"
    );
    app.clock
        .advance(std::time::Duration::from_secs(2 * 3600 + 60));
    assert_eq!(
        keys(app.get("/v1/webhook-public-keys").await.expect(200).json),
        both[..1]
    );
}
