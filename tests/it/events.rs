//! The history of an export, as a list and as a live stream.

use reqwest::Method;
use serde_json::Value;

use crate::support::{TestApp, create_body};

/// Reads a stream to its end: (id, event, data) of each message.
async fn read_stream(mut response: reqwest::Response) -> Vec<(String, String, Value)> {
    let mut text = String::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let field = |message: &str, name: &str| {
        message
            .lines()
            .find_map(|l| l.strip_prefix(&format!("{name}: ")))
            .unwrap_or_default()
            .to_owned()
    };
    let messages = text.split("\n\n").filter(|m| m.contains("data: "));
    messages
        .map(|m| {
            (
                field(m, "id"),
                field(m, "event"),
                serde_json::from_str(&field(m, "data")).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_live_stream_tells_the_past_then_what_happens_then_ends() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let response = app
        .request(Method::GET, &format!("/v1/exports/{id}/events"))
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let driving = async {
        app.step_exports().await;
        app.aws.finish_exports().await;
        app.step_exports().await;
    };
    let (messages, ()) = tokio::join!(read_stream(response), driving);
    let kinds: Vec<_> = messages.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["export.created", "export.started", "export.completed"]
    );
    assert!(messages.iter().all(
        |(id, kind, data)| data["sequence"] == id.parse::<i32>().unwrap() && data["type"] == **kind
    ));

    // A client that reconnects misses nothing and sees nothing twice.
    let again = app
        .request(Method::GET, &format!("/v1/exports/{id}/events"))
        .header("accept", "text/event-stream")
        .header("last-event-id", &messages[0].0)
        .send()
        .await
        .unwrap();
    assert_eq!(read_stream(again).await, messages[1..]);
}

#[tokio::test]
async fn a_stream_of_an_export_that_is_deleted_ends() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let response = app
        .request(Method::GET, &format!("/v1/exports/{id}/events"))
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    let deleting = async {
        app.send(app.request(Method::DELETE, &format!("/v1/exports/{id}?force=true")))
            .await
            .expect(204)
    };
    let (messages, _) = tokio::join!(read_stream(response), deleting);
    assert!(messages.len() <= 1);
}

#[tokio::test]
async fn a_client_that_reconnects_after_the_end_is_told_to_stop() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let path = format!("/v1/exports/{id}/events/stream");
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    // As EventSource does: the first time without an id, then with the last one. A polyfill sends
    // it as a parameter.
    let first = app
        .request(Method::GET, &path)
        .header("last-event-id", "")
        .send()
        .await
        .unwrap();
    assert_eq!(first.headers()["content-type"], "text/event-stream");
    assert_eq!(first.headers()["x-accel-buffering"], "no");
    assert_eq!(first.headers()["cache-control"], "no-cache, no-transform");
    let last = read_stream(first).await.pop().unwrap().0;
    app.send(
        app.request(Method::GET, &path)
            .header("last-event-id", &last),
    )
    .await
    .expect(204);
    app.send(app.request(Method::GET, &format!("{path}?lastEventId={last}")))
        .await
        .expect(204);
    let before = (last.parse::<i32>().unwrap() - 1).to_string();
    let rest = app
        .request(Method::GET, &format!("{path}?lastEventId={before}"))
        .send()
        .await
        .unwrap();
    assert_eq!(read_stream(rest).await.len(), 1);
    app.send(app.request(Method::GET, &format!("{path}?lastEventId=x")))
        .await
        .expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn a_bad_last_event_id_is_told() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let request = app
        .request(Method::GET, &format!("/v1/exports/{id}/events"))
        .header("last-event-id", "x");
    app.send(request)
        .await
        .expect_problem(400, "invalid-parameter");
}
