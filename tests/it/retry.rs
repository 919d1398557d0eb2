//! Retries, requested and automatic: each is a new export with its own token, started once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry_simulator::{BucketSeed, Fault, FaultKind};

use crate::support::{Answer, FAR_AHEAD, TestApp, ago, create_body};

async fn retry(app: &TestApp, id: &str) -> Answer {
    app.send(app.request(Method::POST, &format!("/v1/exports/{id}/retry")))
        .await
}

fn fail_inside_aws(app: &TestApp, times: u32) {
    let kind = FaultKind::FailExport {
        code: "InternalServerError".to_owned(),
        message: "Internal server error".to_owned(),
    };
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", kind).times(times));
}

fn with_attempts(max_attempts: u32) -> Value {
    let mut body = create_body();
    body["retry"] = json!({"max_attempts": max_attempts});
    body
}

#[tokio::test]
async fn a_failed_export_is_retried_once_and_both_name_each_other() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["s3_bucket"] = json!("later");
    body["labels"] = json!({"team": "orders"});
    let id = app.export_to_end(&body).await;
    app.aws.create_bucket(BucketSeed::new("later")).unwrap();
    let next = retry(&app, &id).await.expect(202);
    assert_eq!(
        next.header("location"),
        format!("/v1/exports/{}", next.id())
    );
    assert_eq!(
        (&next.json["retry_of"], &next.json["attempt"]),
        (&json!(id), &json!(2))
    );
    assert_eq!(
        (&next.json["export_status"], &next.json["labels"]),
        (&json!("PENDING"), &body["labels"])
    );
    let first = app.export(&id).await;
    assert_eq!(first["retried_by"], json!(next.id()));
    assert_ne!(first["client_token"], next.json["client_token"]);
    assert_eq!(retry(&app, &id).await.expect(200).id(), next.id());
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    assert_eq!(app.export(&next.id()).await["export_status"], "COMPLETED");
    assert_eq!(retry(&app, &id).await.expect(200).id(), next.id());
    retry(&app, &next.id())
        .await
        .expect_problem(409, "not-retryable");
    assert_eq!(
        (app.stored_exports().await, app.aws.exports().len()),
        (2, 2)
    );
}

#[tokio::test]
async fn many_calls_at_once_make_one_retry() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["s3_bucket"] = json!("nowhere");
    let id = app.export_to_end(&body).await;
    let answers = futures_util::future::join_all((0..8).map(|_| retry(&app, &id))).await;
    let made = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(made, 1);
    assert!(answers.iter().all(|answer| answer.id() == answers[0].id()));
    assert_eq!(app.stored_exports().await, 2);
}

#[tokio::test]
async fn only_what_came_to_nothing_is_retried() {
    let app = TestApp::start().await;
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Throttle).times(1));
    let id = app.create(&create_body()).await.expect(202).id();
    retry(&app, &id).await.expect_problem(409, "not-retryable");
    app.step_exports().await;
    app.send(app.request(Method::POST, &format!("/v1/exports/{id}/cancel")))
        .await
        .expect(200);
    let next = retry(&app, &id).await.expect(202).id();
    app.step_exports().await;
    retry(&app, &next)
        .await
        .expect_problem(409, "not-retryable");
    let mut body = create_body();
    body["timeouts"] = json!({"create": "1s"});
    let unstarted = app.create(&body).await.expect(202).id();
    app.pass(Duration::from_secs(5)).await;
    app.step_exports().await;
    assert_eq!(app.export(&unstarted).await["export_status"], "TIMED_OUT");
    retry(&app, &unstarted).await.expect(202);
    retry(&app, "01a20630-aef5-7191-be2b-f860bc0e97d9")
        .await
        .expect_problem(404, "not-found");
}

#[tokio::test]
async fn times_that_aws_would_refuse_by_now_are_told() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["s3_bucket"] = json!("nowhere");
    body["export_time"] = json!(ago(24 * 3600));
    let id = app.export_to_end(&body).await;
    app.clock.advance(Duration::from_secs(35 * 24 * 3600));
    assert_eq!(
        retry(&app, &id)
            .await
            .expect_problem(422, "validation-failed")
            .pointers(),
        ["/export_time"]
    );
    assert_eq!(app.stored_exports().await, 1);
}

#[tokio::test]
async fn a_snapshot_of_now_is_taken_anew() {
    let app = TestApp::start().await;
    fail_inside_aws(&app, 1);
    let id = app.export_to_end(&create_body()).await;
    assert!(app.export(&id).await["export_time"].is_string());
    let next = retry(&app, &id).await.expect(202);
    assert_eq!(next.json["export_time"], Value::Null);
    app.step_exports().await;
    assert_eq!(app.export(&next.id()).await["export_status"], "IN_PROGRESS");
}

#[tokio::test]
async fn by_itself_until_it_succeeds() {
    let app = TestApp::start().await;
    fail_inside_aws(&app, 2);
    let first = app.export_to_end(&with_attempts(3)).await;
    let failed = app.export(&first).await;
    assert_eq!(
        (&failed["export_status"], &failed["failure"]["cause"]),
        (&json!("FAILED"), &json!("aws_internal"))
    );
    let second = failed["retried_by"].as_str().unwrap().to_owned();
    assert!(
        failed["status_reason"]
            .as_str()
            .unwrap()
            .contains(&format!("attempt 2 of 3 follows as {second}")),
        "{failed}"
    );
    let waiting = app.export(&second).await;
    assert_eq!(
        (
            &waiting["export_status"],
            &waiting["attempt"],
            &waiting["retry_of"]
        ),
        (&json!("PENDING"), &json!(2), &json!(first))
    );
    assert_eq!(app.step_due_exports().await, 0, "it waits before its start");
    app.pass(Duration::from_secs(60)).await;
    app.step_due_exports().await;
    assert_eq!(app.export(&second).await["export_status"], "IN_PROGRESS");
    app.aws.finish_exports().await;
    app.step_exports().await;
    let third = app.export(&second).await["retried_by"]
        .as_str()
        .unwrap()
        .to_owned();
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    assert_eq!(app.export(&third).await["export_status"], "COMPLETED");
    assert_eq!(
        (app.stored_exports().await, app.aws.exports().len()),
        (3, 3)
    );
    assert_eq!(retry(&app, &first).await.expect(200).id(), second);
}

#[tokio::test]
async fn the_attempts_end_and_what_cannot_pass_is_not_attempted_again() {
    let app = TestApp::start().await;
    fail_inside_aws(&app, 2);
    let first = app.export_to_end(&with_attempts(2)).await;
    let second = app.export(&first).await["retried_by"]
        .as_str()
        .unwrap()
        .to_owned();
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    let last = app.export(&second).await;
    assert_eq!(
        (&last["export_status"], &last["retried_by"]),
        (&json!("FAILED"), &Value::Null)
    );
    let mut body = with_attempts(10);
    body["s3_bucket"] = json!("nowhere");
    let id = app.export_to_end(&body).await;
    assert_eq!(app.export(&id).await["retried_by"], Value::Null);
    for bad in [
        json!(0),
        json!(11),
        json!(1.5),
        json!("2"),
        json!(18_446_744_073_709_551_615_u64),
    ] {
        let mut body = create_body();
        body["retry"] = json!({"max_attempts": bad});
        assert_eq!(
            app.create(&body)
                .await
                .expect_problem(422, "validation-failed")
                .pointers(),
            ["/retry/max_attempts"]
        );
    }
    // JSON does not distinguish 5 from 5.0.
    let mut body = create_body();
    body["retry"] = json!({"max_attempts": 5.0});
    assert_eq!(
        app.create(&body).await.expect(202).json["retry"]["max_attempts"],
        5
    );
}

#[tokio::test]
async fn a_worker_that_comes_late_retries_nothing() {
    let app = TestApp::start().await;
    fail_inside_aws(&app, 1);
    let id = app.create(&with_attempts(3)).await.expect(202).id();
    app.step_exports().await;
    app.aws.finish_exports().await;
    let late = app.second_worker().await;
    // Both learn of the failure; one of them writes it, together with the next attempt.
    app.aws
        .add_fault(Fault::new("DescribeExport", FaultKind::Delay { ms: 200 }).times(1));
    let (first, _) = tokio::join!(
        tableferry::worker::runner::step(&late, FAR_AHEAD),
        app.step_exports()
    );
    first.unwrap();
    app.step_due_exports().await;
    assert_eq!(app.stored_exports().await, 2);
    let next = app.export(&id).await["retried_by"].clone();
    assert!(next.is_string());
}

#[tokio::test]
async fn the_callback_hears_of_each_attempt() {
    let app = TestApp::start().await;
    let receiver = crate::support::Receiver::start().await;
    fail_inside_aws(&app, 1);
    let mut body = with_attempts(2);
    body["callback_url"] = json!(receiver.url);
    let first = app.export_to_end(&body).await;
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    app.step_deliveries().await;
    let second = app.export(&first).await["retried_by"].clone();
    let heard: Vec<(String, Value, Value)> = receiver
        .heard()
        .iter()
        .map(|received| received.json())
        .map(|body| {
            (
                body["type"].as_str().unwrap().to_owned(),
                body["data"]["export"]["id"].clone(),
                body["data"]["export"]["retried_by"].clone(),
            )
        })
        .collect();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(
        heard.contains(&("export.failed".to_owned(), json!(first), second.clone())),
        "{heard:?}"
    );
    assert!(
        heard.contains(&("export.completed".to_owned(), second, Value::Null)),
        "{heard:?}"
    );
}
