//! Callbacks: signed, stored together with the end, retried until they are delivered.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry::domain::webhook::secret::WebhookSecret;
use tableferry::webhooks::sign;

use crate::support::{Receiver, TestApp, create_body};

fn with_callback(receiver: &Receiver) -> Value {
    let mut body = create_body();
    body["callback_url"] = json!(receiver.url);
    body
}

#[tokio::test]
async fn the_end_is_announced_signed_and_once() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let mut body = with_callback(&receiver);
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    body["callback_secret"] = json!(own);
    let id = app.export_to_end(&body).await;
    assert_eq!(app.step_deliveries().await, 1);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 1);
    let event = heard[0].json();
    assert_eq!(event["type"], "export.completed");
    assert_eq!(event["data"]["export"], app.export(&id).await);
    assert!(event["timestamp"].is_string());
    assert!(
        !String::from_utf8(heard[0].body.clone())
            .unwrap()
            .contains("whsec_")
    );
    let timestamp = heard[0].header("webhook-timestamp").parse().unwrap();
    let body = std::str::from_utf8(&heard[0].body).unwrap();
    let expected = sign(
        &[WebhookSecret::parse(own).unwrap()],
        &[],
        heard[0].header("webhook-id"),
        timestamp,
        body,
    );
    assert_eq!(
        heard[0].header("webhook-signature").split(' ').next(),
        Some(expected.as_str())
    );
    assert_eq!(app.step_deliveries().await, 0);
}

#[tokio::test]
async fn every_end_state_is_announced() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let cancelled = app.create(&with_callback(&receiver)).await.expect(202).id();
    app.send(app.request(Method::POST, &format!("/v1/exports/{cancelled}/cancel")))
        .await
        .expect(200);
    let mut missing = with_callback(&receiver);
    missing["s3_bucket"] = json!("no-such-bucket");
    app.export_to_end(&missing).await;
    let mut slow = with_callback(&receiver);
    slow["timeouts"] = json!({"create": "1s"});
    app.create(&slow).await.expect(202);
    app.step_exports().await;
    app.clock.advance(Duration::from_secs(1));
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    while app.step_deliveries().await > 0 {}
    let mut kinds: Vec<_> = receiver
        .heard()
        .iter()
        .map(|r| r.json()["type"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "export.cancelled",
            "export.completed",
            "export.failed",
            "export.timed_out"
        ]
    );
}

#[tokio::test]
async fn failures_are_tried_again_with_the_same_id() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    app.export_to_end(&with_callback(&receiver)).await;
    receiver.answer_next(500, None);
    receiver.answer_next(302, Some("http://169.254.169.254/"));
    receiver.answer_next(503, Some("120"));
    for _ in 0..3 {
        assert_eq!(app.step_deliveries().await, 1);
        assert_eq!(
            app.step_due_deliveries().await,
            0,
            "the next attempt has to wait"
        );
    }
    assert_eq!(app.step_deliveries().await, 1);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 4);
    assert!(
        heard
            .iter()
            .all(|r| r.header("webhook-id") == heard[0].header("webhook-id"))
    );
    let attempts: Vec<(i32, Option<i32>, Option<String>)> =
        sqlx::query_as("SELECT attempt, status_code, error FROM webhook_attempts ORDER BY attempt")
            .fetch_all(&app.pool)
            .await
            .unwrap();
    assert_eq!(
        attempts.iter().map(|a| a.1).collect::<Vec<_>>(),
        [Some(500), Some(302), Some(503), Some(204)]
    );
    assert_eq!(attempts[3].2, None);
    assert_eq!(app.step_deliveries().await, 0);
}

#[tokio::test]
async fn after_ten_attempts_it_is_given_up() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    app.export_to_end(&with_callback(&receiver)).await;
    for _ in 0..12 {
        receiver.answer_next(500, None);
    }
    for _ in 0..10 {
        assert_eq!(app.step_deliveries().await, 1);
    }
    assert_eq!(app.step_deliveries().await, 0);
    let status: String = sqlx::query_scalar("SELECT status FROM webhook_deliveries")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(status, "EXHAUSTED");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_a_failed_attempt() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["callback_url"] = json!("http://127.0.0.1:1/hook");
    app.export_to_end(&body).await;
    assert_eq!(app.step_deliveries().await, 1);
    let (code, error): (Option<i32>, String) =
        sqlx::query_as("SELECT status_code, error FROM webhook_attempts")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!(code, None);
    assert!(error.contains("connect"), "{error}");
}
