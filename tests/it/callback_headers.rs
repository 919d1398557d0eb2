//! Custom headers of a callback: sent with every attempt, stored encrypted, and never returned.

use reqwest::Method;
use serde_json::{Value, json};

use crate::process::tableferry;
use crate::support::{LogCapture, Receiver, TestApp, create_body};

const TOKEN: &str = "Bearer hunter2-hunter2";

fn with_headers(receiver: &Receiver) -> Value {
    let mut body = create_body();
    body["callback_url"] = json!(receiver.url);
    body["callback_headers"] = json!({"Authorization": TOKEN, "X-Team": "orders"});
    body
}

/// Whether the text appears anywhere in the database.
async fn is_stored(app: &TestApp, text: &str) -> bool {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT e::text FROM exports e UNION ALL SELECT d::text FROM webhook_deliveries d UNION ALL SELECT v::text FROM export_events v
        UNION ALL SELECT a::text FROM webhook_attempts a",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert!(rows.len() >= 4);
    rows.iter().any(|row| row.contains(text))
}

#[tokio::test]
async fn they_are_sent_with_every_attempt_and_shown_to_nobody() {
    let logs = LogCapture::start();
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let created = app.create(&with_headers(&receiver)).await.expect(202);
    let id = created.id();
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    receiver.answer_next(500, None);
    while app.step_deliveries().await > 0 {}
    let heard = receiver.heard();
    assert_eq!(
        heard.len(),
        2,
        "one attempt that failed, and one that did not"
    );
    for request in &heard {
        assert_eq!(
            (request.header("authorization"), request.header("x-team")),
            (TOKEN, "orders")
        );
        assert!(!String::from_utf8_lossy(&request.body).contains("hunter2"));
    }
    for path in [
        format!("/v1/exports/{id}"),
        format!("/v1/exports/{id}/deliveries"),
        format!("/v1/exports/{id}/events"),
        "/v1/exports".to_owned(),
    ] {
        let answer = app.get(&path).await.expect(200);
        assert!(
            !answer.text.contains("hunter2") && !answer.text.contains("callback_headers"),
            "{}",
            answer.text
        );
    }
    assert!(
        !created.text.contains("hunter2")
            && !is_stored(&app, "hunter2").await
            && !logs.text().contains("hunter2")
    );
}

#[tokio::test]
async fn a_retry_carries_them() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let first = app.create(&with_headers(&receiver)).await.expect(202).id();
    app.send(app.request(Method::POST, &format!("/v1/exports/{first}/cancel")))
        .await
        .expect(200);
    while app.step_deliveries().await > 0 {}
    let second = app
        .send(app.request(Method::POST, &format!("/v1/exports/{first}/retry")))
        .await
        .expect(202)
        .id();
    assert_ne!(first, second);
    app.send(app.request(Method::POST, &format!("/v1/exports/{second}/cancel")))
        .await
        .expect(200);
    while app.step_deliveries().await > 0 {}
    let heard = receiver.heard();
    assert_eq!(
        heard
            .iter()
            .map(|request| request.header("authorization"))
            .collect::<Vec<_>>(),
        [TOKEN, TOKEN]
    );
}

#[tokio::test]
async fn they_count_for_the_idempotency_key() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let create = |body: Value| {
        app.send(
            app.request(Method::POST, "/v1/exports")
                .header("idempotency-key", "k")
                .json(&body),
        )
    };
    let first = create(with_headers(&receiver)).await.expect(202).id();
    assert_eq!(
        create(with_headers(&receiver)).await.expect(202).id(),
        first
    );
    let mut other = with_headers(&receiver);
    other["callback_headers"]["Authorization"] = json!("Bearer another");
    let refused = create(other)
        .await
        .expect_problem(422, "idempotency-key-reused");
    assert!(!refused.text.contains("hunter2"));
}

#[tokio::test]
async fn the_command_line_client_sends_them() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let body = create_body();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let (table, bucket) = (text("table_arn"), text("s3_bucket"));
    let create = |header: &str| {
        let arguments = [
            "export",
            "create",
            "--table-arn",
            &table,
            "--s3-bucket",
            &bucket,
            "--callback-url",
            &receiver.url,
            "--callback-header",
        ];
        let arguments: Vec<_> = arguments
            .into_iter()
            .chain([header, "--callback-header", "X-Team:orders"])
            .collect();
        tableferry(&arguments, &[("TABLEFERRY_SERVER", &app.url)]).output()
    };
    let output = create(&format!("Authorization: {TOKEN}")).await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let id: String = sqlx::query_scalar("SELECT id::text FROM exports")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    app.send(app.request(Method::POST, &format!("/v1/exports/{id}/cancel")))
        .await
        .expect(200);
    while app.step_deliveries().await > 0 {}
    let heard = receiver.heard().remove(0);
    assert_eq!(
        (heard.header("authorization"), heard.header("x-team")),
        (TOKEN, "orders")
    );
    // An invalid header is reported without being repeated.
    let output = create("hunter2").await.unwrap();
    assert!(
        !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("NAME: VALUE")
    );
}
