//! Sends events that were never sent: to an endpoint that did not exist then, was disabled, or had
//! other filters; and never twice.

use std::collections::HashSet;

use serde_json::{Value, json};
use tableferry::domain::export::event::EventKind;
use tableferry::domain::webhook::event_type::WebhookEventType;

use crate::support::{NewEndpoint, Receiver, TestApp, TestOptions, ago, create_body};

async fn step_all(app: &TestApp) {
    while app.step_deliveries().await > 0 {}
}

async fn ask(app: &TestApp, endpoint: &NewEndpoint, since: &str) -> String {
    let answer = app
        .post(
            &format!("{}/replay-missing", endpoint.path),
            &json!({ "since": since }),
        )
        .await
        .expect(202);
    assert_eq!(
        (&answer.json["kind"], &answer.json["status"]),
        (&json!("REPLAY_MISSING"), &json!("RUNNING"))
    );
    answer.id()
}

/// Stores a job and runs it: how many events it checked, and how many it sends.
async fn replay(app: &TestApp, endpoint: &NewEndpoint, since: &str) -> (i64, i64) {
    let id = ask(app, endpoint, since).await;
    app.step_webhook_jobs().await;
    finished(app, &id).await
}

async fn finished(app: &TestApp, id: &str) -> (i64, i64) {
    let done = app
        .get(&format!("/v1/webhook-jobs/{id}"))
        .await
        .expect(200)
        .json;
    assert_eq!(done["status"], "COMPLETED", "{done}");
    (
        done["examined"].as_i64().unwrap(),
        done["queued"].as_i64().unwrap(),
    )
}

/// The received webhooks: the export and the type of each event.
fn events(receiver: &Receiver) -> Vec<(String, String)> {
    let event = |event: Value| {
        (
            event["data"]["export"]["id"].as_str().unwrap().to_owned(),
            event["type"].as_str().unwrap().to_owned(),
        )
    };
    receiver.heard().iter().map(|r| event(r.json())).collect()
}

fn none_twice(receiver: &Receiver) -> bool {
    let ids: HashSet<_> = receiver
        .heard()
        .iter()
        .map(|r| r.header("webhook-id").to_owned())
        .collect();
    let distinct: HashSet<_> = events(receiver).into_iter().collect();
    ids.len() == receiver.heard().len() && distinct.len() == receiver.heard().len()
}

#[tokio::test]
async fn the_job_and_its_index_have_the_types_that_are_announced() {
    let app = TestApp::start().await;
    let index = "SELECT pg_get_indexdef('export_events_published'::regclass)";
    let index: String = sqlx::query_scalar(index)
        .fetch_one(&app.pool)
        .await
        .unwrap();
    let query = include_str!("../../crates/store/src/webhook_jobs.rs");
    for (place, text) in [("the index", index.as_str()), ("the query", query)] {
        let named: HashSet<_> = text
            .split('\'')
            .filter(|part| part.starts_with("export."))
            .collect();
        let announced = EventKind::ALL
            .into_iter()
            .filter_map(|kind| WebhookEventType::from_event(kind).map(WebhookEventType::as_str));
        assert_eq!(named, announced.collect(), "{place}");
    }
}

#[tokio::test]
async fn an_endpoint_that_came_later_gets_what_happened_before() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let first = app.export_to_end(&create_body()).await;
    let second = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    let endpoint = app.endpoint_at(&receiver.url).await;
    assert!(app.log_of(&endpoint).await.is_empty());
    assert_eq!(replay(&app, &endpoint, &ago(3600)).await, (3, 3));
    step_all(&app).await;
    let heard: HashSet<_> = events(&receiver).into_iter().collect();
    let expected = [
        (&first, "export.started"),
        (&first, "export.completed"),
        (&second, "export.started"),
    ];
    assert_eq!(
        heard,
        expected
            .map(|(id, kind)| (id.clone(), kind.to_owned()))
            .into()
    );
    let happened = app
        .get(&format!("/v1/exports/{first}/events"))
        .await
        .expect(200)
        .json;
    for received in receiver.heard() {
        let event = received.json();
        let export = event["data"]["export"]["id"].as_str().unwrap().to_owned();
        assert_eq!(
            event["data"]["export"],
            app.export(&export).await,
            "the export as it is now"
        );
        if export == first {
            let all = happened["events"].as_array().unwrap();
            assert!(
                all.iter()
                    .any(|e| e["type"] == event["type"] && e["timestamp"] == event["timestamp"]),
                "{event} {all:?}"
            );
        }
    }
    assert_eq!(
        replay(&app, &endpoint, &ago(3600)).await,
        (3, 0),
        "never twice"
    );
    app.aws.finish_exports().await;
    app.step_exports().await;
    step_all(&app).await;
    assert!(receiver.heard().len() == 4 && none_twice(&receiver));
}

#[tokio::test]
async fn the_gap_while_it_was_disabled_is_filled() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    app.export_to_end(&create_body()).await;
    step_all(&app).await;
    app.patch(&endpoint.path, &json!({"disabled": true}))
        .await
        .expect(200);
    let missed = app.export_to_end(&create_body()).await;
    let path = format!("{}/replay-missing", endpoint.path);
    app.post(&path, &json!({"since": ago(60)}))
        .await
        .expect_problem(409, "endpoint-disabled");
    app.patch(&endpoint.path, &json!({"disabled": false}))
        .await
        .expect(200);
    app.export_to_end(&create_body()).await;
    step_all(&app).await;
    assert_eq!(receiver.heard().len(), 4);
    assert_eq!(replay(&app, &endpoint, &ago(3600)).await, (6, 2));
    step_all(&app).await;
    assert!(receiver.heard().len() == 6 && none_twice(&receiver));
    assert_eq!(
        events(&receiver)
            .iter()
            .filter(|(id, _)| *id == missed)
            .count(),
        2
    );
}

#[tokio::test]
async fn what_failed_or_waits_is_not_missing() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    app.export_to_end(&create_body()).await;
    sqlx::query("UPDATE webhook_deliveries SET status = 'EXHAUSTED', due_at = NULL WHERE event_type = 'export.completed'")
        .execute(&app.pool)
        .await
        .unwrap();
    assert_eq!(replay(&app, &endpoint, &ago(3600)).await, (2, 0));
}

#[tokio::test]
async fn only_what_it_wants_now_is_sent() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let mut orders = create_body();
    orders["labels"] = json!({"team": "orders", "x": "y"});
    let wanted = app.export_to_end(&orders).await;
    app.export_to_end(&create_body()).await;
    let filters = json!({"url": receiver.url, "event_types": ["export.completed"], "labels": {"team": "orders"}});
    let endpoint = app.endpoint_of(&filters).await;
    assert_eq!(replay(&app, &endpoint, &ago(3600)).await, (4, 1));
    step_all(&app).await;
    assert_eq!(events(&receiver), [(wanted, "export.completed".to_owned())]);
    app.patch(&endpoint.path, &json!({"labels": {}, "event_types": []}))
        .await
        .expect(200);
    assert_eq!(
        replay(&app, &endpoint, &ago(3600)).await,
        (4, 3),
        "what it did not want then"
    );
    step_all(&app).await;
    assert!(receiver.heard().len() == 4 && none_twice(&receiver));
}

#[tokio::test]
async fn only_since_the_time_that_was_said() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    app.export_to_end(&create_body()).await;
    sqlx::query("UPDATE export_events SET at = at - interval '2 hours'")
        .execute(&app.pool)
        .await
        .unwrap();
    app.export_to_end(&create_body()).await;
    let endpoint = app.endpoint_at(&receiver.url).await;
    assert_eq!(replay(&app, &endpoint, &ago(3600)).await, (2, 2));
    assert_eq!(replay(&app, &endpoint, &ago(3 * 3600)).await, (4, 2));
}

#[tokio::test]
async fn live_events_and_several_jobs_at_once_send_nothing_twice() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    for _ in 0..5 {
        app.create(&create_body()).await.expect(202);
    }
    app.step_exports().await;
    let endpoint = app.endpoint_at(&receiver.url).await;
    let other = TestApp::start_with(TestOptions {
        database_url: Some(app.database_url.clone()),
        ..TestOptions::default()
    })
    .await;
    app.aws.finish_exports().await;
    let (one, two, three) = (
        ask(&app, &endpoint, &ago(60)).await,
        ask(&app, &endpoint, &ago(60)).await,
        ask(&app, &endpoint, &ago(60)).await,
    );
    // Only what is due: a step that ignores waiting times would take what another worker has in
    // flight.
    tokio::join!(
        app.step_webhook_jobs(),
        app.step_exports(),
        other.step_webhook_jobs(),
        app.step_due_deliveries(),
        other.step_due_deliveries()
    );
    app.step_webhook_jobs().await;
    step_all(&app).await;
    let queued = finished(&app, &one).await.1
        + finished(&app, &two).await.1
        + finished(&app, &three).await.1;
    assert_eq!(queued, 5);
    assert!(
        receiver.heard().len() == 10 && none_twice(&receiver),
        "{:?}",
        events(&receiver)
    );
}

#[tokio::test]
async fn many_events_of_one_moment_are_walked_in_batches() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let id = app.export_to_end(&create_body()).await;
    sqlx::query(
        "INSERT INTO export_events (export_id, sequence, type, at, export_status, detail)
        SELECT $1, n, 'export.completed', (SELECT max(at) FROM export_events), 'COMPLETED', '{}' FROM generate_series(101, 700) n",
    )
    .bind(uuid::Uuid::parse_str(&id).unwrap())
    .execute(&app.pool)
    .await
    .unwrap();
    let endpoint = app.endpoint_at(&receiver.url).await;
    assert_eq!(replay(&app, &endpoint, &ago(3600)).await, (602, 602));
    let distinct: i64 =
        sqlx::query_scalar("SELECT count(DISTINCT event_sequence) FROM webhook_deliveries")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!(distinct, 602);
}
