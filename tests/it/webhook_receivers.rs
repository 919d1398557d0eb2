//! Receivers that are removed, down, overloaded or slow: what happens to their deliveries, and that
//! no other receiver is delayed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{HangingReceiver, NewEndpoint, Receiver, Running, TestApp, create_body};

const HOUR: Duration = Duration::from_secs(3600);
/// Less than the timeout of an attempt, so that waiting for a slow receiver is noticed.
const PROMPTLY: Duration = Duration::from_secs(12);

async fn step_all(app: &TestApp) {
    while app.step_deliveries().await > 0 {}
}

async fn shown(app: &TestApp, endpoint: &NewEndpoint) -> Value {
    app.get(&endpoint.path).await.expect(200).json
}

/// The notifications about disabled endpoints that a receiver got.
fn disabled_heard(receiver: &Receiver) -> Vec<Value> {
    receiver
        .heard()
        .iter()
        .map(|r| r.json())
        .filter(|event| event["type"] == "webhook_endpoint.disabled")
        .collect()
}

/// Makes the database forget the requested pause, as if the time had passed.
async fn let_it_be_due(app: &TestApp) {
    for sql in [
        "UPDATE webhook_deliveries SET due_at = now() WHERE status = 'PENDING'",
        "UPDATE webhook_receivers SET slow_until = now() WHERE slow_until IS NOT NULL",
    ] {
        sqlx::query(sql).execute(&app.pool).await.unwrap();
    }
}

#[tokio::test]
async fn who_answers_410_is_disabled_and_the_others_hear_of_it() {
    let app = TestApp::start().await;
    let (gone, well, picky) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let leaving = app.endpoint_at(&gone.url).await;
    let staying = app.endpoint_at(&well.url).await;
    app.endpoint_of(&json!({"url": picky.url, "event_types": ["export.completed"]}))
        .await;
    for _ in 0..2 {
        app.export_to_end(&create_body()).await;
    }
    gone.answer_next(410, None);
    gone.answer_next(410, None);
    gone.answer_next(500, None);
    // Four were claimed at once; attempts in flight are still sent.
    app.step_due_deliveries().await;
    let state = shown(&app, &leaving).await;
    assert_eq!(
        (&state["disabled"], &state["disabled_reason"]),
        (&json!(true), &json!("gone"))
    );
    assert!(state["disabled_at"].is_string() && state["updated_at"] == state["disabled_at"]);
    let heard = gone.heard().len();
    app.export_to_end(&create_body()).await;
    step_all(&app).await;
    app.step_webhook_jobs().await;
    step_all(&app).await;
    assert_eq!(gone.heard().len(), heard, "nothing more is sent to it");
    let log = app.log_of(&leaving).await;
    assert!(
        log.len() == 4
            && log
                .iter()
                .all(|line| line.ends_with("ABANDONED") || line.ends_with("DELIVERED")),
        "{log:?}"
    );
    assert_eq!(
        log.iter()
            .filter(|line| line.ends_with("DELIVERED"))
            .count(),
        1
    );
    let told = disabled_heard(&well);
    assert_eq!(told.len(), 1, "once, however often it answered 410");
    let data = &told[0]["data"]["webhook_endpoint"];
    assert_eq!(
        (&data["id"], &data["disabled_reason"]),
        (&json!(leaving.id), &json!("gone"))
    );
    assert_eq!(
        (data.get("url"), &data["disabled_at"]),
        (None, &state["disabled_at"]),
        "where it is may be a secret"
    );
    assert!(disabled_heard(&picky).is_empty() && picky.heard().len() == 3);
    assert_eq!(app.log_of(&staying).await.len(), 7);
    let metrics = app.get("/metrics").await.expect(200).text;
    assert!(
        metrics.contains("tableferry_webhook_endpoints_disabled_total{reason=\"gone\"}"),
        "{metrics}"
    );
    let delivery = app
        .deliveries_in(&format!("{}/deliveries?status=ABANDONED", leaving.path))
        .await;
    assert!(
        delivery
            .iter()
            .any(|d| d["attempts"][0]["error_class"] == "gone")
    );
    // Enabled again by the operator.
    app.patch(&leaving.path, &json!({"disabled": false}))
        .await
        .expect(200);
    app.ping(&leaving).await;
    step_all(&app).await;
    assert_eq!(gone.heard().len(), heard + 1);
}

#[tokio::test]
async fn a_callback_that_is_gone_is_given_up_alone() {
    let (app, gone) = (TestApp::start().await, Receiver::start().await);
    let mut body = create_body();
    body["callback_url"] = json!(gone.url);
    let (first, second) = (
        app.export_to_end(&body).await,
        app.export_to_end(&body).await,
    );
    gone.answer_next(410, None);
    step_all(&app).await;
    let mut all = Vec::new();
    for id in [first, second] {
        all.push(
            app.deliveries_in(&format!("/v1/exports/{id}/deliveries"))
                .await[0]["status"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    all.sort();
    assert_eq!(all, ["ABANDONED", "DELIVERED"]);
}

#[tokio::test]
async fn five_days_of_nothing_but_failures_disable() {
    let (app, dead, well) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let endpoint = app.endpoint_at(&dead.url).await;
    let fail = async |endpoint: &NewEndpoint| {
        dead.answer_next(500, None);
        app.ping(endpoint).await;
        assert_eq!(app.step_deliveries().await, 1);
    };
    fail(&endpoint).await;
    let since = shown(&app, &endpoint).await["failing_since"].clone();
    assert!(since.is_string());
    app.advance(HOUR * 100).await;
    fail(&endpoint).await;
    assert_eq!(
        shown(&app, &endpoint).await["failing_since"],
        since,
        "the first of them"
    );
    app.ping(&endpoint).await;
    app.step_deliveries().await;
    assert_eq!(
        shown(&app, &endpoint).await["failing_since"],
        Value::Null,
        "a success resets it"
    );
    app.advance(HOUR * 30).await;
    fail(&endpoint).await;
    let since = shown(&app, &endpoint).await["failing_since"].clone();
    app.advance(HOUR * 119).await;
    fail(&endpoint).await;
    let state = shown(&app, &endpoint).await;
    assert_eq!(
        (&state["disabled"], &state["failing_since"]),
        (&json!(false), &since)
    );
    app.endpoint_at(&well.url).await;
    app.advance(HOUR).await;
    fail(&endpoint).await;
    let state = shown(&app, &endpoint).await;
    assert_eq!(
        (&state["disabled"], &state["disabled_reason"]),
        (&json!(true), &json!("failing"))
    );
    step_all(&app).await;
    let told = disabled_heard(&well);
    assert_eq!(told.len(), 1);
    let data = &told[0]["data"]["webhook_endpoint"];
    assert_eq!(
        (&data["id"], &data["failing_since"], &told[0]["timestamp"]),
        (&state["id"], &state["failing_since"], &state["disabled_at"])
    );
    let enabled = app
        .patch(&endpoint.path, &json!({"disabled": false}))
        .await
        .expect(200)
        .json;
    assert_eq!(enabled["failing_since"], Value::Null);
    fail(&endpoint).await;
    assert_eq!(
        shown(&app, &endpoint).await["disabled"],
        json!(false),
        "what failed before does not count"
    );
}

#[tokio::test]
async fn a_receiver_that_is_not_there_for_five_days_is_disabled_too() {
    let app = TestApp::start().await;
    let endpoint = app.endpoint_at("http://127.0.0.1:1/hook").await;
    app.export_to_end(&create_body()).await;
    step_once_each(&app).await;
    app.advance(HOUR * 121).await;
    app.step_deliveries().await;
    assert_eq!(shown(&app, &endpoint).await["disabled_reason"], "failing");
    app.step_webhook_jobs().await;
    assert!(
        app.log_of(&endpoint)
            .await
            .iter()
            .all(|line| line.ends_with("ABANDONED"))
    );
}

async fn step_once_each(app: &TestApp) {
    assert!(app.step_due_deliveries().await > 0);
}

#[tokio::test]
async fn an_overloaded_receiver_is_left_alone_and_the_others_are_not() {
    for (status, overloaded) in [
        (429, true),
        (502, true),
        (503, true),
        (504, true),
        (500, false),
        (404, false),
    ] {
        let (app, busy, well) = (
            TestApp::start().await,
            Receiver::start().await,
            Receiver::start().await,
        );
        app.endpoint_at(&busy.url).await;
        app.endpoint_at(&well.url).await;
        let mut body = create_body();
        body["callback_url"] = json!(well.url);
        app.create(&body).await.expect(202);
        app.step_exports().await;
        busy.answer_next(status, Some("300"));
        app.step_due_deliveries().await;
        assert_eq!((busy.heard().len(), well.heard().len()), (1, 1), "{status}");
        // Another event: due immediately, but not for a receiver that asked for five minutes.
        app.aws.finish_exports().await;
        app.step_exports().await;
        app.step_due_deliveries().await;
        let heard = if overloaded { 1 } else { 2 };
        assert_eq!(
            (busy.heard().len(), well.heard().len()),
            (heard, 3),
            "{status}"
        );
        let_it_be_due(&app).await;
        step_all(&app).await;
        assert_eq!((busy.heard().len(), well.heard().len()), (3, 3), "{status}");
    }
}

#[tokio::test]
async fn without_retry_after_an_overloaded_receiver_is_left_alone_longer_each_time() {
    let (app, busy) = (TestApp::start().await, Receiver::start().await);
    app.endpoint_of(&json!({"url": busy.url, "event_types": ["export.completed"]}))
        .await;
    app.export_to_end(&create_body()).await;
    let mut last = 0.0;
    for _ in 0..4 {
        busy.answer_next(503, None);
        let_it_be_due(&app).await;
        assert_eq!(app.step_due_deliveries().await, 1);
        let slow_s: f64 = sqlx::query_scalar(
            "SELECT extract(epoch FROM r.slow_until - a.at)::float8 FROM webhook_receivers r, webhook_attempts a ORDER BY a.attempt DESC LIMIT 1",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap();
        assert!(
            slow_s > last * 1.5 && slow_s < 60.0,
            "{last} and then {slow_s}"
        );
        last = slow_s;
    }
}

#[tokio::test]
async fn an_answer_that_was_on_its_way_does_not_end_the_pause_a_receiver_asked_for() {
    let (app, busy) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&busy.url).await;
    app.ping(&endpoint).await;
    app.ping(&endpoint).await;
    busy.answer_next(429, Some("300"));
    busy.answer_next(204, None);
    // Both are in flight: the first is answered 429, the second 204.
    assert_eq!(app.step_due_deliveries().await, 2);
    app.ping(&endpoint).await;
    assert_eq!(app.step_due_deliveries().await, 0);
    let_it_be_due(&app).await;
    assert_eq!(app.step_due_deliveries().await, 1);
    assert_eq!(shown(&app, &endpoint).await["failing_since"], Value::Null);
}

#[tokio::test]
async fn a_receiver_that_hangs_never_delays_another() {
    let (app, well) = (TestApp::start().await, Receiver::start().await);
    let (hanging, failing) = (
        HangingReceiver::start().await,
        HangingReceiver::start().await,
    );
    let (slow, dead) = (
        app.endpoint_at(&hanging.url).await,
        app.endpoint_at(&failing.url).await,
    );
    let healthy = app.endpoint_at(&well.url).await;
    sqlx::query(
        "INSERT INTO webhook_receivers (receiver, failing_since, failures) VALUES ($1, now(), 1)",
    )
    .bind(&dead.id)
    .execute(&app.pool)
    .await
    .unwrap();
    for _ in 0..30 {
        app.ping(&slow).await;
        app.ping(&dead).await;
    }
    let running = Running::deliveries(&app);
    timeout(PROMPTLY, async {
        hanging.takes(16).await;
        failing.takes(2).await;
        for _ in 0..60 {
            app.ping(&healthy).await;
        }
        well.hears(60).await;
    })
    .await
    .expect("a healthy receiver gets webhooks although others hang");
    assert_eq!(
        (hanging.connections(), failing.connections()),
        (16, 2),
        "what hangs holds no more than its cap"
    );
    drop(running);
}

#[tokio::test]
async fn callbacks_to_one_origin_share_a_cap_and_others_are_not_delayed() {
    let (app, well, hanging) = (
        TestApp::start().await,
        Receiver::start().await,
        HangingReceiver::start().await,
    );
    let id = app.export_to_end(&create_body()).await;
    // Twenty callbacks with different paths at one receiver.
    sqlx::query(
        "INSERT INTO webhook_deliveries (id, export_id, event_type, url, body, status, due_at, created_at)
        SELECT gen_random_uuid(), $1, 'export.completed', $2 || '/' || n, '{}', 'PENDING', now(), now() FROM generate_series(1, 20) n",
    )
    .bind(uuid::Uuid::parse_str(&id).unwrap())
    .bind(&hanging.url)
    .execute(&app.pool)
    .await
    .unwrap();
    let endpoint = app.endpoint_at(&well.url).await;
    let running = Running::deliveries(&app);
    timeout(PROMPTLY, async {
        hanging.takes(16).await;
        app.ping(&endpoint).await;
        well.hears(1).await;
    })
    .await
    .expect("a healthy receiver gets webhooks although callbacks hang");
    assert_eq!(hanging.connections(), 16);
    drop(running);
}

#[tokio::test]
async fn a_receiver_at_its_cap_gets_more_as_soon_as_it_has_answered() {
    let (app, well) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&well.url).await;
    for _ in 0..17 {
        app.ping(&endpoint).await;
    }
    // What the pings left.
    let due = &app.workers.deliveries.signals.delivery_due;
    due.received().await;
    assert_eq!(app.step_due_deliveries().await, 16);
    timeout(PROMPTLY, due.received())
        .await
        .expect("the worker is notified to claim again");
    assert_eq!(app.step_due_deliveries().await, 1);
}

#[tokio::test]
async fn what_was_disabled_or_deleted_after_the_worker_looked_is_not_claimed() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let (disabled, deleted) = (
        app.endpoint_at(&receiver.url).await,
        app.endpoint_at(&receiver.url).await,
    );
    app.export_to_end(&create_body()).await;
    let store = app.store();
    let seen = store.due_receivers(Duration::ZERO).await.unwrap();
    let shares: Vec<_> = seen.into_iter().map(|due| (due.receiver, 16)).collect();
    assert_eq!(shares.len(), 2);
    app.patch(&disabled.path, &json!({"disabled": true}))
        .await
        .expect(200);
    app.send(app.request(reqwest::Method::DELETE, &deleted.path))
        .await
        .expect(204);
    assert!(
        store
            .claim_deliveries(&shares, Duration::ZERO, app.clock.now())
            .await
            .unwrap()
            .is_empty()
    );
}
