//! `Idempotency-Key`: one export per key, whatever happens.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, create_body};

async fn create(app: &TestApp, key: &str, body: &Value) -> Answer {
    app.send(
        app.request(Method::POST, "/v1/exports")
            .header("idempotency-key", key)
            .json(body),
    )
    .await
}

#[tokio::test]
async fn the_same_key_and_body_answer_the_same_export() {
    let app = TestApp::start().await;
    let first = create(&app, "k1", &create_body()).await.expect(202);
    assert_eq!(first.header("idempotent-replayed"), "");
    // A null counts as absent, and the order of members does not matter.
    let mut same = create_body();
    same["s3_prefix"] = Value::Null;
    let again = create(&app, "k1", &same).await.expect(202);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(
        (again.id(), again.header("location")),
        (first.id(), first.header("location"))
    );
    assert_eq!(app.stored_exports().await, 1);
    assert_ne!(
        create(&app, "k2", &create_body()).await.expect(202).id(),
        first.id()
    );
}

#[tokio::test]
async fn another_body_is_refused() {
    let app = TestApp::start().await;
    create(&app, "k", &create_body()).await.expect(202);
    for (field, value) in [
        ("s3_prefix", json!("x")),
        ("labels", json!({"a": "b"})),
        ("timeouts", json!({"create": "61m"})),
        ("callback_url", json!("https://example.com/")),
    ] {
        let mut other = create_body();
        other[field] = value;
        create(&app, "k", &other)
            .await
            .expect_problem(422, "idempotency-key-reused");
    }
    assert_eq!(app.stored_exports().await, 1);
}

#[tokio::test]
async fn a_replay_is_answered_although_its_times_have_aged() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["export_time"] = json!(crate::support::ago(3600));
    let id = create(&app, "k", &body).await.expect(202).id();
    app.clock
        .advance(std::time::Duration::from_secs(36 * 24 * 3600));
    app.create(&body)
        .await
        .expect_problem(422, "validation-failed");
    let replay = create(&app, "k", &body).await.expect(202);
    assert_eq!(
        (replay.id(), replay.header("idempotent-replayed")),
        (id, "true")
    );
    create(&app, "new", &body)
        .await
        .expect_problem(422, "validation-failed");
}

#[tokio::test]
async fn a_refused_request_does_not_use_its_key_up() {
    let app = TestApp::start().await;
    create(&app, "k", &json!({}))
        .await
        .expect_problem(422, "validation-failed");
    create(&app, "k", &create_body()).await.expect(202);
}

#[tokio::test]
async fn a_hundred_at_once_make_one_export() {
    let app = TestApp::start().await;
    let body = create_body();
    let answers = join_all((0..100).map(|_| create(&app, "k", &body))).await;
    let mut ids: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.expect(202).id())
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.stored_exports().await, 1);
}

#[tokio::test]
async fn a_replay_after_the_end_tells_the_end() {
    let app = TestApp::start().await;
    let id = create(&app, "k", &create_body()).await.expect(202).id();
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    let replay = create(&app, "k", &create_body()).await.expect(202);
    assert_eq!(
        (replay.id(), &replay.json["export_status"]),
        (id, &json!("COMPLETED"))
    );
    assert_eq!(app.aws.exports().len(), 1);
}
