//! Which receivers get which events, under which id, and the log of it.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, create_body};

/// The event types that a receiver got, sorted.
fn types(receiver: &Receiver) -> Vec<String> {
    let mut all: Vec<_> = receiver
        .heard()
        .iter()
        .map(|r| r.json()["type"].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    all
}

fn labelled(labels: Value) -> Value {
    let mut body = create_body();
    body["labels"] = labels;
    body
}

async fn step_all(app: &TestApp) {
    while app.step_deliveries().await > 0 {}
}

#[tokio::test]
async fn endpoints_hear_of_the_types_they_chose() {
    let app = TestApp::start().await;
    let (all, ends, failures) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    app.endpoint_at(&all.url).await;
    app.endpoint_of(
        &json!({"url": ends.url, "event_types": ["export.completed", "export.cancelled"]}),
    )
    .await;
    app.endpoint_of(&json!({"url": failures.url, "event_types": ["export.failed", "export.timed_out", "webhook_endpoint.disabled"]})).await;
    app.export_to_end(&create_body()).await;
    let mut missing = create_body();
    missing["s3_bucket"] = json!("no-such-bucket");
    app.export_to_end(&missing).await;
    let cancelled = app.create(&create_body()).await.expect(202).id();
    app.send(app.request(Method::POST, &format!("/v1/exports/{cancelled}/cancel")))
        .await
        .expect(200);
    let mut slow = create_body();
    slow["timeouts"] = json!({"create": "1s"});
    app.create(&slow).await.expect(202);
    app.step_exports().await;
    app.advance(std::time::Duration::from_secs(2)).await;
    app.step_exports().await;
    step_all(&app).await;
    let failed = types(&failures);
    assert_eq!(types(&ends), ["export.cancelled", "export.completed"]);
    assert!(
        failed.contains(&"export.timed_out".to_owned())
            && failed.contains(&"export.failed".to_owned()),
        "{failed:?}"
    );
    let mut expected = [types(&ends), failed].concat();
    expected.extend(
        types(&all)
            .into_iter()
            .filter(|kind| kind == "export.started"),
    );
    expected.sort();
    assert_eq!(types(&all), expected);
    assert!(expected.contains(&"export.started".to_owned()));
}

#[tokio::test]
async fn endpoints_hear_of_exports_that_bear_all_their_labels() {
    let app = TestApp::start().await;
    let (orders, orders_eu, everything) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let completed = |url: &str, labels: Value| json!({"url": url, "labels": labels, "event_types": ["export.completed"]});
    app.endpoint_of(&completed(&orders.url, json!({"team": "orders"})))
        .await;
    app.endpoint_of(&completed(
        &orders_eu.url,
        json!({"team": "orders", "place": "eu"}),
    ))
    .await;
    app.endpoint_of(&completed(&everything.url, json!({})))
        .await;
    for labels in [
        json!({"team": "orders"}),
        json!({"team": "orders", "place": "eu", "more": "x"}),
        json!({"team": "billing", "place": "eu"}),
        json!({"Team": "orders"}),
        json!({}),
    ] {
        app.export_to_end(&labelled(labels)).await;
    }
    step_all(&app).await;
    assert_eq!(
        (
            orders.heard().len(),
            orders_eu.heard().len(),
            everything.heard().len()
        ),
        (2, 1, 5)
    );
    assert_eq!(
        orders_eu.heard()[0].json()["data"]["export"]["labels"]["more"],
        "x"
    );
}

#[tokio::test]
async fn endpoints_hear_of_the_start_and_callbacks_do_not() {
    let (app, receiver, called) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    app.endpoint_at(&receiver.url).await;
    let mut body = create_body();
    body["callback_url"] = json!(called.url);
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    step_all(&app).await;
    assert_eq!(
        (types(&receiver), called.heard().len()),
        (vec!["export.started".to_owned()], 0)
    );
    let started = receiver.heard()[0].json();
    assert_eq!(started["data"]["export"], app.export(&id).await);
    assert_eq!(started["data"]["export"]["export_status"], "IN_PROGRESS");
    app.aws.finish_exports().await;
    app.step_exports().await;
    step_all(&app).await;
    assert_eq!(
        (types(&receiver).len(), types(&called)),
        (2, vec!["export.completed".to_owned()])
    );
    assert_eq!(receiver.heard()[1].body, called.heard()[0].body);
}

#[tokio::test]
async fn each_endpoint_has_an_id_of_its_own_that_stays_the_same() {
    let app = TestApp::start().await;
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    for receiver in [&one, &other] {
        app.endpoint_of(&json!({"url": receiver.url, "event_types": ["export.completed"]}))
            .await;
    }
    // Two endpoints with the same URL are separate.
    app.endpoint_of(&json!({"url": one.url, "event_types": ["export.completed"]}))
        .await;
    one.answer_next(500, None);
    one.answer_next(302, Some("http://169.254.169.254/"));
    other.answer_next(404, None);
    app.export_to_end(&create_body()).await;
    step_all(&app).await;
    let ids = |receiver: &Receiver| {
        receiver
            .heard()
            .iter()
            .map(|r| r.header("webhook-id").to_owned())
            .collect::<Vec<_>>()
    };
    let (of_one, of_other) = (ids(&one), ids(&other));
    assert_eq!((of_one.len(), of_other.len()), (4, 2));
    assert_eq!(of_other[0], of_other[1]);
    let different: HashSet<_> = of_one.iter().chain(&of_other).collect();
    assert_eq!(different.len(), 3);
    for id in different {
        let heard: Vec<_> = one
            .heard()
            .into_iter()
            .chain(other.heard())
            .filter(|r| r.header("webhook-id") == id)
            .collect();
        assert_eq!(heard.len(), 2, "once failed, once delivered");
        assert_eq!(heard[0].body, heard[1].body);
        assert!(heard[0].header("webhook-timestamp") <= heard[1].header("webhook-timestamp"));
        assert_eq!(
            app.get(&format!("/v1/deliveries/{id}"))
                .await
                .expect(200)
                .json["attempts"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
}

#[tokio::test]
async fn a_change_of_the_endpoint_holds_for_what_waits() {
    let (app, old, new) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let endpoint = app.endpoint_at(&old.url).await;
    app.export_to_end(&create_body()).await;
    app.patch(&endpoint.path, &json!({"url": new.url}))
        .await
        .expect(200);
    step_all(&app).await;
    assert_eq!((old.heard().len(), new.heard().len()), (0, 2));
}

#[tokio::test]
async fn an_endpoint_that_is_disabled_or_deleted_gets_nothing_more() {
    let (app, disabled, deleted) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let (first, second) = (
        app.endpoint_at(&disabled.url).await,
        app.endpoint_at(&deleted.url).await,
    );
    let export = app.export_to_end(&create_body()).await;
    app.patch(&first.path, &json!({"disabled": true}))
        .await
        .expect(200);
    app.send(app.request(Method::DELETE, &second.path))
        .await
        .expect(204);
    assert_eq!(app.step_deliveries().await, 0);
    app.step_webhook_jobs().await;
    assert_eq!(
        app.log_of(&first).await,
        ["export.completed ABANDONED", "export.started ABANDONED"]
    );
    app.export_to_end(&create_body()).await;
    assert_eq!(app.log_of(&first).await.len(), 2);
    step_all(&app).await;
    assert!(disabled.heard().is_empty() && deleted.heard().is_empty());
    assert_eq!(
        app.deliveries_in(&format!("/v1/exports/{export}/deliveries"))
            .await
            .len(),
        4,
        "the log outlives an endpoint"
    );
    let none = tokio_util::sync::CancellationToken::new();
    let forever = tableferry::worker::retention::Retention::default();
    tableferry::worker::retention::sweep(&app.store(), forever, &app.clock, &none)
        .await
        .unwrap();
    let all = app
        .deliveries_in(&format!("/v1/exports/{export}/deliveries?status=ABANDONED"))
        .await;
    assert_eq!(all.len(), 4);
    assert!(
        all.iter()
            .all(|delivery| delivery["next_attempt_at"].is_null())
    );
}

#[tokio::test]
async fn the_log_tells_of_every_attempt() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app
        .endpoint_of(&json!({"url": receiver.url, "event_types": ["export.completed"]}))
        .await;
    let export = app.export_to_end(&create_body()).await;
    let waiting = app
        .deliveries_in(&format!("{}/deliveries", endpoint.path))
        .await;
    assert_eq!(
        (&waiting[0]["status"], &waiting[0]["attempts"]),
        (&json!("PENDING"), &json!([]))
    );
    assert!(waiting[0]["next_attempt_at"].is_string());
    for (status, header) in [
        (500, None),
        (302, Some("/")),
        (404, None),
        (429, Some("1")),
        (503, None),
    ] {
        receiver.answer_next(status, header);
    }
    step_all(&app).await;
    let delivery = app
        .deliveries_in(&format!("{}/deliveries", endpoint.path))
        .await
        .remove(0);
    assert_eq!(delivery["endpoint_id"], endpoint.id.as_str());
    assert_eq!(delivery["export_id"], export.as_str());
    assert_eq!(
        (&delivery["event_type"], &delivery["url"]),
        (&json!("export.completed"), &json!(receiver.url))
    );
    assert_eq!(
        (&delivery["status"], &delivery["next_attempt_at"]),
        (&json!("DELIVERED"), &Value::Null)
    );
    let attempts = delivery["attempts"].as_array().unwrap();
    let seen: Vec<_> = attempts
        .iter()
        .map(|a| {
            (
                a["attempt"].as_u64(),
                a["status_code"].as_u64(),
                a["error_class"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some(1), Some(500), Some("receiver_error")),
            (Some(2), Some(302), Some("redirected")),
            (Some(3), Some(404), Some("refused")),
            (Some(4), Some(429), Some("overloaded")),
            (Some(5), Some(503), Some("overloaded")),
            (Some(6), Some(204), None),
        ]
    );
    assert!(attempts.iter().all(|a| a["at"].is_string()
        && a["duration_ms"].is_u64()
        && a["error"].is_string() != a["error_class"].is_null()));
    let by_id = app
        .get(&format!(
            "/v1/deliveries/{}",
            receiver.heard()[0].header("webhook-id")
        ))
        .await
        .expect(200)
        .json;
    assert_eq!(by_id, delivery);
    app.patch(&endpoint.path, &json!({"url": "http://127.0.0.1:1/hook"}))
        .await
        .expect(200);
    let ping = app.ping(&endpoint).await;
    step_all(&app).await;
    let ping = app
        .get(&format!("/v1/deliveries/{ping}"))
        .await
        .expect(200)
        .json;
    let attempt = &ping["attempts"][0];
    assert_eq!(
        (&attempt["status_code"], &attempt["response_excerpt"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        attempt["error"].as_str().unwrap().contains("connect")
            && attempt["error_class"].is_string()
    );
}

#[tokio::test]
async fn logs_come_in_pages_and_by_status_and_type() {
    let (app, receiver, called) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let endpoint = app.endpoint_at(&receiver.url).await;
    app.endpoint_at(&called.url).await;
    let mut body = create_body();
    body["callback_url"] = json!(called.url);
    let export = app.export_to_end(&body).await;
    for _ in 0..3 {
        app.ping(&endpoint).await;
    }
    step_all(&app).await;
    let log = format!("{}/deliveries", endpoint.path);
    let all = app.deliveries_in(&log).await;
    assert_eq!(all.len(), 5);
    let (mut seen, mut next) = (Vec::new(), format!("{log}?page_size=2"));
    while !next.is_empty() {
        let page = app.get(&next).await.expect(200);
        seen.extend(page.json["deliveries"].as_array().unwrap().clone());
        next = page
            .header("link")
            .split(['<', '>'])
            .nth(1)
            .unwrap_or_default()
            .to_owned();
    }
    assert_eq!(seen, all);
    for (query, count) in [
        ("event_type=ping", 3),
        ("event_type=export.started", 1),
        ("event_type=export.failed", 0),
        ("status=PENDING", 0),
        ("status=DELIVERED&event_type=ping", 3),
    ] {
        let found = app.deliveries_in(&format!("{log}?{query}")).await.len();
        assert_eq!(found, count, "{query}");
    }
    let token = app
        .get(&format!("{log}?page_size=1&event_type=ping"))
        .await
        .json["next_page_token"]
        .as_str()
        .unwrap()
        .to_owned();
    app.get(&format!(
        "{log}?page_size=1&event_type=ping&page_token={token}"
    ))
    .await
    .expect(200);
    app.get(&format!("{log}?page_size=1&page_token={token}"))
        .await
        .expect_problem(400, "invalid-parameter");
    let of_export = app
        .deliveries_in(&format!("/v1/exports/{export}/deliveries"))
        .await;
    assert_eq!(of_export.len(), 5, "two endpoints twice, and the callback");
    assert_eq!(
        of_export
            .iter()
            .filter(|d| d["endpoint_id"].is_null())
            .count(),
        1
    );
    let page = app
        .get(&format!(
            "/v1/exports/{export}/deliveries?page_size=4&status=DELIVERED"
        ))
        .await
        .expect(200);
    assert_eq!(page.json["deliveries"].as_array().unwrap().len(), 4);
    let rest = app
        .get(page.header("link").split(['<', '>']).nth(1).unwrap())
        .await
        .expect(200)
        .json;
    assert_eq!(
        (
            rest["deliveries"].as_array().unwrap().len(),
            &rest["next_page_token"]
        ),
        (1, &Value::Null)
    );
}

#[tokio::test]
async fn the_log_keeps_how_answers_began() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app
        .endpoint_of(&json!({"url": receiver.url, "event_types": ["export.completed"]}))
        .await;
    app.export_to_end(&create_body()).await;
    receiver.say_next(500, "try again \u{e9} later");
    receiver.say_next(500, "x".repeat(100_000));
    receiver.say_next(500, b"a\0b\xffc".to_vec());
    receiver.say_next(500, "");
    receiver.say_next(200, "thanks");
    step_all(&app).await;
    let delivery = app
        .deliveries_in(&format!("{}/deliveries", endpoint.path))
        .await
        .remove(0);
    let said: Vec<_> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["response_excerpt"].clone())
        .collect();
    assert_eq!(
        said,
        [
            json!("try again \u{e9} later"),
            json!("x".repeat(4096)),
            json!("ab\u{fffd}c"),
            Value::Null,
            json!("thanks")
        ]
    );
}

#[tokio::test]
async fn its_own_headers_go_with_every_attempt() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let headers = json!({"X-Api-Key": "a-key-of-the-receiver", "Authorization": "Bearer hunter2"});
    let endpoint = app
        .endpoint_of(&json!({"url": receiver.url, "headers": headers}))
        .await;
    receiver.answer_next(500, None);
    app.create(&create_body()).await.expect(202);
    app.step_exports().await;
    step_all(&app).await;
    for heard in receiver.heard() {
        assert_eq!(
            (heard.header("x-api-key"), heard.header("authorization")),
            ("a-key-of-the-receiver", "Bearer hunter2")
        );
        assert_eq!(heard.header("content-type"), "application/json");
    }
    app.patch(&endpoint.path, &json!({"headers": {"X-Other": "x"}}))
        .await
        .expect(200);
    app.ping(&endpoint).await;
    step_all(&app).await;
    let last = receiver.heard().pop().unwrap();
    assert_eq!(
        (
            receiver.heard().len(),
            last.header("x-other"),
            last.headers.get("x-api-key")
        ),
        (3, "x", None)
    );
}
