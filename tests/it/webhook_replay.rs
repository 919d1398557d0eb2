//! Sending again: a ping, one delivery, and everything that failed since a given time, as a job
//! that survives a restart.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry::signals::Signals;
use tokio::time::timeout;

use crate::support::{
    Answer, NewEndpoint, Receiver, Running, TestApp, TestOptions, ago, create_body,
};

async fn step_all(app: &TestApp) {
    while app.step_deliveries().await > 0 {}
}

async fn resend(app: &TestApp, id: &str) -> Answer {
    app.send(app.request(Method::POST, &format!("/v1/deliveries/{id}/resend")))
        .await
}

async fn delivery(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/v1/deliveries/{id}"))
        .await
        .expect(200)
        .json
}

async fn job(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/v1/webhook-jobs/{id}"))
        .await
        .expect(200)
        .json
}

async fn recover(app: &TestApp, endpoint: &NewEndpoint, since: &str) -> String {
    let answer = app
        .post(
            &format!("{}/recover", endpoint.path),
            &json!({ "since": since }),
        )
        .await
        .expect(202);
    assert_eq!(
        answer.header("location"),
        format!("/v1/webhook-jobs/{}", answer.id())
    );
    assert_eq!(
        (&answer.json["kind"], &answer.json["status"]),
        (&json!("RECOVER"), &json!("RUNNING"))
    );
    assert_eq!(
        (&answer.json["examined"], &answer.json["covered_until"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(job(app, &answer.id()).await, answer.json);
    answer.id()
}

/// Deliveries that failed long ago, as a dead receiver leaves them.
async fn insert_failed(app: &TestApp, endpoint: &NewEndpoint, count: i32, hours_ago: f64) {
    sqlx::query(
        "INSERT INTO webhook_deliveries (id, endpoint_id, event_type, url, body, status, attempts, schedule_attempts, created_at)
        SELECT gen_random_uuid(), $1, 'export.completed', 'https://old.example/', '{\"n\":' || n || '}',
            CASE WHEN n % 2 = 0 THEN 'EXHAUSTED' ELSE 'ABANDONED' END, 0, 10, now() - $3 * interval '1 hour'
        FROM generate_series(1, $2) n",
    )
    .bind(uuid::Uuid::parse_str(&endpoint.id).unwrap())
    .bind(count)
    .bind(hours_ago)
    .execute(&app.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_ping_is_one_signed_attempt_whatever_the_filters() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_of(&json!({"url": receiver.url, "event_types": ["export.failed"], "labels": {"team": "x"}})).await;
    let path = format!("{}/ping", endpoint.path);
    let asked = app.send(app.request(Method::POST, &path)).await.expect(202);
    assert_eq!(
        asked.header("location"),
        format!("/v1/deliveries/{}", asked.id())
    );
    assert_eq!(
        (&asked.json["event_type"], &asked.json["status"]),
        (&json!("ping"), &json!("PENDING"))
    );
    receiver.answer_next(500, None);
    step_all(&app).await;
    let heard = receiver.heard();
    assert_eq!(heard.len(), 1, "it is not tried again by itself");
    assert_eq!(heard[0].header("webhook-id"), asked.id());
    assert_eq!(heard[0].json()["type"], "ping");
    assert_eq!(
        heard[0].json()["data"]["webhook_endpoint"]["id"],
        endpoint.id.as_str()
    );
    let ended = delivery(&app, &asked.id()).await;
    assert_eq!(
        (&ended["status"], &ended["attempts"][0]["status_code"]),
        (&json!("EXHAUSTED"), &json!(500))
    );
    app.ping(&endpoint).await;
    step_all(&app).await;
    assert_eq!(
        app.log_of(&endpoint).await,
        ["ping DELIVERED", "ping EXHAUSTED"]
    );
    app.patch(&endpoint.path, &json!({"disabled": true}))
        .await
        .expect(200);
    let refused = app
        .send(app.request(Method::POST, &path))
        .await
        .expect_problem(409, "endpoint-disabled");
    assert!(
        refused.json["detail"]
            .as_str()
            .unwrap()
            .contains("by_caller")
    );
    assert_eq!(app.log_of(&endpoint).await.len(), 2);
}

#[tokio::test]
async fn what_was_delivered_is_sent_again_under_the_same_id() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app
        .endpoint_of(&json!({"url": receiver.url, "event_types": ["export.completed"]}))
        .await;
    app.export_to_end(&create_body()).await;
    step_all(&app).await;
    let id = receiver.heard()[0].header("webhook-id").to_owned();
    let answer = resend(&app, &id).await.expect(202);
    assert_eq!(
        (answer.header("location"), &answer.json["status"]),
        (format!("/v1/deliveries/{id}").as_str(), &json!("PENDING"))
    );
    assert_eq!(app.step_due_deliveries().await, 1, "at once");
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(
        (heard[1].header("webhook-id"), &heard[1].body),
        (id.as_str(), &heard[0].body)
    );
    let sent = delivery(&app, &id).await;
    assert_eq!(
        (&sent["status"], sent["attempts"].as_array().unwrap().len()),
        (&json!("DELIVERED"), 2)
    );
    assert_eq!(app.log_of(&endpoint).await.len(), 1);
    app.patch(&endpoint.path, &json!({"disabled": true}))
        .await
        .expect(200);
    resend(&app, &id)
        .await
        .expect_problem(409, "endpoint-disabled");
    app.send(app.request(Method::DELETE, &endpoint.path))
        .await
        .expect(204);
    resend(&app, &id).await.expect_problem(404, "not-found");
    assert_eq!(
        delivery(&app, &id).await["status"],
        "DELIVERED",
        "the log stays"
    );
}

#[tokio::test]
async fn what_was_exhausted_gets_the_whole_schedule_again() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let mut body = create_body();
    body["callback_url"] = json!(receiver.url);
    app.export_to_end(&body).await;
    for _ in 0..20 {
        receiver.answer_next(500, None);
    }
    step_all(&app).await;
    assert_eq!(receiver.heard().len(), 10);
    let id = receiver.heard()[0].header("webhook-id").to_owned();
    assert_eq!(delivery(&app, &id).await["status"], "EXHAUSTED");
    resend(&app, &id).await.expect(202);
    assert_eq!(app.step_due_deliveries().await, 1);
    let waiting = delivery(&app, &id).await;
    assert_eq!(
        (&waiting["status"], &waiting["attempts"][10]["attempt"]),
        (&json!("PENDING"), &json!(11))
    );
    assert_eq!(
        app.step_due_deliveries().await,
        0,
        "the next attempt has to wait"
    );
    step_all(&app).await;
    assert_eq!(receiver.heard().len(), 20);
    let ended = delivery(&app, &id).await;
    assert_eq!(
        (
            &ended["status"],
            ended["attempts"].as_array().unwrap().len()
        ),
        (&json!("EXHAUSTED"), 20)
    );
    assert!(
        receiver
            .heard()
            .iter()
            .all(|r| r.header("webhook-id") == id)
    );
}

#[tokio::test]
async fn what_is_pending_is_sent_at_once_and_not_twice() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    app.endpoint_of(&json!({"url": receiver.url, "event_types": ["export.completed"]}))
        .await;
    app.export_to_end(&create_body()).await;
    receiver.answer_next(500, None);
    app.step_due_deliveries().await;
    assert_eq!(app.step_due_deliveries().await, 0);
    let id = receiver.heard()[0].header("webhook-id").to_owned();
    for _ in 0..3 {
        resend(&app, &id).await.expect(202);
    }
    assert_eq!(app.step_due_deliveries().await, 1);
    assert_eq!(delivery(&app, &id).await["status"], "DELIVERED");
    step_all(&app).await;
    assert_eq!(receiver.heard().len(), 2);
}

#[tokio::test]
async fn all_that_failed_since_a_time_is_sent_again() {
    let (app, receiver, other) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let (endpoint, untouched) = (
        app.endpoint_at(&receiver.url).await,
        app.endpoint_at(&other.url).await,
    );
    app.export_to_end(&create_body()).await;
    step_all(&app).await;
    insert_failed(&app, &endpoint, 3, 1.0).await;
    insert_failed(&app, &endpoint, 5, 3.0).await;
    insert_failed(&app, &untouched, 2, 1.0).await;
    let id = recover(&app, &endpoint, &ago(2 * 3600)).await;
    assert_eq!(app.step_webhook_jobs().await, 1);
    let done = job(&app, &id).await;
    assert_eq!(
        (&done["status"], &done["examined"], &done["queued"]),
        (&json!("COMPLETED"), &json!(3), &json!(3))
    );
    assert!(done["finished_at"].is_string());
    assert_eq!(done["covered_until"], done["until"]);
    assert_eq!(app.step_webhook_jobs().await, 0);
    // The first of them fails again: it has the whole schedule.
    receiver.answer_next(500, None);
    step_all(&app).await;
    assert_eq!(
        (receiver.heard().len(), other.heard().len()),
        (2 + 4, 2),
        "not what was delivered, and not what failed earlier"
    );
    let again = recover(&app, &endpoint, &ago(2 * 3600)).await;
    app.step_webhook_jobs().await;
    assert_eq!(job(&app, &again).await["queued"], 0);
    let log = app.log_of(&endpoint).await;
    assert_eq!(
        log.iter()
            .filter(|line| line.ends_with("DELIVERED"))
            .count(),
        5
    );
}

#[tokio::test]
async fn what_was_abandoned_by_a_410_is_recovered_when_it_is_back() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    app.create(&create_body()).await.expect(202);
    app.step_exports().await;
    receiver.answer_next(410, None);
    step_all(&app).await;
    let path = format!("{}/recover", endpoint.path);
    app.post(&path, &json!({"since": ago(60)}))
        .await
        .expect_problem(409, "endpoint-disabled");
    app.patch(&endpoint.path, &json!({"disabled": false}))
        .await
        .expect(200);
    let id = recover(&app, &endpoint, &ago(60)).await;
    app.step_webhook_jobs().await;
    step_all(&app).await;
    assert_eq!(job(&app, &id).await["queued"], 1);
    assert_eq!(app.log_of(&endpoint).await, ["export.started DELIVERED"]);
    assert_eq!(
        receiver.heard()[0].header("webhook-id"),
        receiver.heard()[1].header("webhook-id")
    );
}

#[tokio::test]
async fn a_job_of_any_size_goes_on_after_a_restart() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    insert_failed(&app, &endpoint, 1301, 1.0).await;
    let id = recover(&app, &endpoint, &ago(2 * 3600)).await;
    assert_eq!(app.step_webhook_jobs().await, 1);
    let paused = job(&app, &id).await;
    assert_eq!(
        (&paused["status"], &paused["finished_at"]),
        (&json!("RUNNING"), &Value::Null)
    );
    assert_eq!(
        (&paused["examined"], &paused["queued"]),
        (&json!(1000), &json!(1000)),
        "it pauses while that many wait"
    );
    assert!(paused["covered_until"].is_string());
    app.step_webhook_jobs().await;
    assert_eq!(job(&app, &id).await["examined"], 1000, "and still does");
    let url = app.database_url.clone();
    drop(app);
    let app = TestApp::start_with(TestOptions {
        database_url: Some(url),
        ..TestOptions::default()
    })
    .await;
    assert_eq!(job(&app, &id).await, paused);
    let running = (
        Running::deliveries(&app),
        Running::start(&app.workers.webhook_jobs, &Signals::default()),
    );
    timeout(Duration::from_secs(60), receiver.hears(1301))
        .await
        .expect("all are sent");
    drop(running);
    let done = job(&app, &id).await;
    assert_eq!(
        (&done["status"], &done["examined"], &done["queued"]),
        (&json!("COMPLETED"), &json!(1301), &json!(1301))
    );
    let mut bodies: Vec<_> = receiver
        .heard()
        .iter()
        .map(|r| r.json()["n"].as_u64().unwrap())
        .collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (1..=1301).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn two_workers_share_a_job_and_send_nothing_twice() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    insert_failed(&app, &endpoint, 601, 1.0).await;
    let other = TestApp::start_with(TestOptions {
        database_url: Some(app.database_url.clone()),
        ..TestOptions::default()
    })
    .await;
    let id = recover(&app, &endpoint, &ago(2 * 3600)).await;
    tokio::join!(
        app.step_webhook_jobs(),
        other.step_webhook_jobs(),
        app.step_webhook_jobs()
    );
    let done = job(&app, &id).await;
    assert_eq!(
        (&done["status"], &done["examined"], &done["queued"]),
        (&json!("COMPLETED"), &json!(601), &json!(601))
    );
}

#[tokio::test]
async fn a_job_ends_with_its_endpoint() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let endpoint = app.endpoint_at(&receiver.url).await;
    insert_failed(&app, &endpoint, 3, 1.0).await;
    let id = recover(&app, &endpoint, &ago(2 * 3600)).await;
    app.send(app.request(Method::DELETE, &endpoint.path))
        .await
        .expect(204);
    app.step_webhook_jobs().await;
    app.get(&format!("/v1/webhook-jobs/{id}"))
        .await
        .expect_problem(404, "not-found");
    step_all(&app).await;
    assert!(receiver.heard().is_empty());
}
