//! An export's lifecycle: how each state is reached, and which responses are not an end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry_simulator::{Fault, FaultKind};

use crate::support::{TestApp, create_body};

#[tokio::test]
async fn aws_fails_it_later() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["s3_bucket"] = json!("no-such-bucket");
    let id = app.export_to_end(&body).await;
    let failed = app.export(&id).await;
    assert_eq!(failed["export_status"], "FAILED");
    assert_eq!(failed["failure"]["code"], "S3NoSuchBucket");
    assert_eq!(failed["failure"]["source"], "aws");
    assert_eq!(failed["failure"]["retryable"], false);
    assert!(
        failed["failure"]["hint"]
            .as_str()
            .unwrap()
            .contains("bucket")
    );
    assert!(failed["arn"].is_string() && failed["end_time"].is_string());
    assert_eq!(
        app.event_types(&id).await,
        ["export.created", "export.started", "export.failed"]
    );
    assert_eq!(app.step_exports().await, 0, "it is not polled any more");
}

#[tokio::test]
async fn aws_refuses_to_start_it() {
    let app = TestApp::start().await;
    for (table, code) in [
        ("NoBackups", "PointInTimeRecoveryUnavailableException"),
        ("Nowhere", "TableNotFoundException"),
    ] {
        let mut body = create_body();
        body["table_arn"] = json!(format!(
            "arn:aws:dynamodb:us-east-1:123456789012:table/{table}"
        ));
        let id = app.create(&body).await.expect(202).id();
        app.step_exports().await;
        let failed = app.export(&id).await;
        assert_eq!(failed["export_status"], "FAILED");
        assert_eq!(failed["failure"]["code"], code);
        assert_eq!(failed["failure"]["source"], "refused");
        assert_eq!(failed["arn"], Value::Null);
        assert!(
            failed["status_reason"]
                .as_str()
                .unwrap()
                .contains("refused")
        );
    }
    assert_eq!(app.step_exports().await, 0);
}

#[tokio::test]
async fn cancelled_while_pending_and_not_afterwards() {
    let app = TestApp::start().await;
    let cancel = async |id: &str| {
        app.send(app.request(Method::POST, &format!("/v1/exports/{id}/cancel")))
            .await
    };
    let id = app.create(&create_body()).await.expect(202).id();
    assert_eq!(
        cancel(&id).await.expect(200).json["export_status"],
        "CANCELLED"
    );
    assert_eq!(app.step_exports().await, 0);
    assert!(app.aws.calls().is_empty());
    cancel(&id).await.expect_problem(409, "not-cancellable");

    let started = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    cancel(&started)
        .await
        .expect_problem(409, "not-cancellable");
    assert_eq!(app.export(&started).await["export_status"], "IN_PROGRESS");
}

#[tokio::test]
async fn a_start_without_an_answer_cannot_be_cancelled_but_a_throttled_one_can() {
    let app = TestApp::start().await;
    let cancel = async |id: &str| {
        app.send(app.request(Method::POST, &format!("/v1/exports/{id}/cancel")))
            .await
    };
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let in_doubt = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    assert_eq!(app.export(&in_doubt).await["export_status"], "PENDING");
    let refused = cancel(&in_doubt)
        .await
        .expect_problem(409, "not-cancellable");
    assert!(
        refused.json["detail"]
            .as_str()
            .unwrap()
            .contains("being sent to AWS")
    );
    app.step_exports().await;
    assert_eq!(app.export(&in_doubt).await["export_status"], "IN_PROGRESS");

    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Throttle).times(1));
    let throttled = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    let waiting = app.export(&throttled).await;
    assert_eq!(waiting["export_status"], "PENDING");
    assert!(
        waiting["status_reason"]
            .as_str()
            .unwrap()
            .starts_with("throttled by AWS; next try in a moment")
    );
    cancel(&throttled).await.expect(200);
}

#[tokio::test]
async fn deleted_when_ended_or_by_force() {
    let app = TestApp::start().await;
    let delete = async |path: String| app.send(app.request(Method::DELETE, &path)).await;
    let id = app.create(&create_body()).await.expect(202).id();
    delete(format!("/v1/exports/{id}"))
        .await
        .expect_problem(409, "not-ended");
    delete(format!("/v1/exports/{id}?force=false"))
        .await
        .expect_problem(409, "not-ended");
    delete(format!("/v1/exports/{id}?force=true"))
        .await
        .expect(204);
    app.get(&format!("/v1/exports/{id}"))
        .await
        .expect_problem(404, "not-found");
    assert_eq!(app.step_exports().await, 0);

    let ended = app.export_to_end(&create_body()).await;
    delete(format!("/v1/exports/{ended}")).await.expect(204);
    delete(format!("/v1/exports/{ended}"))
        .await
        .expect_problem(404, "not-found");
}

#[tokio::test]
async fn errors_are_waited_out_and_told() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    for (kind, says) in [
        (FaultKind::Throttle, "throttled"),
        (FaultKind::Error500, "InternalServerError"),
        (FaultKind::AccessDenied, "AccessDeniedException"),
        (FaultKind::ExpiredCredentials, "ExpiredTokenException"),
    ] {
        app.aws
            .add_fault(Fault::new("ExportTableToPointInTime", kind).times(1));
        app.step_exports().await;
        let waiting = app.export(&id).await;
        assert_eq!(waiting["export_status"], "PENDING");
        assert!(
            waiting["status_reason"].as_str().unwrap().contains(says),
            "{waiting}"
        );
    }
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "IN_PROGRESS");
    for kind in [
        FaultKind::Throttle,
        FaultKind::Error500,
        FaultKind::AccessDenied,
        FaultKind::DropAnswer,
    ] {
        app.aws
            .add_fault(Fault::new("DescribeExport", kind).times(1));
        app.step_exports().await;
        let running = app.export(&id).await;
        assert_eq!(running["export_status"], "IN_PROGRESS");
        assert!(running["status_reason"].is_string());
    }
    app.step_exports().await;
    assert_eq!(
        app.export(&id).await["status_reason"],
        Value::Null,
        "AWS answers again"
    );
    let events = app.event_types(&id).await;
    assert_eq!(events.iter().filter(|t| *t == "export.delayed").count(), 8);
    assert_eq!(events.last().unwrap(), "export.resumed");
}

#[tokio::test]
async fn pauses_grow_while_errors_last() {
    let app = TestApp::start().await;
    app.create(&create_body()).await.expect(202);
    app.aws.add_fault(Fault::new("*", FaultKind::AccessDenied));
    let mut pauses = Vec::new();
    for _ in 0..6 {
        app.step_exports().await;
        let due: f64 = sqlx::query_scalar(
            "SELECT extract(epoch FROM due_at - now())::float8 FROM export_schedule",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap();
        pauses.push(due);
    }
    assert!(
        pauses.windows(2).all(|pair| pair[1] > pair[0]),
        "{pauses:?}"
    );
    assert_eq!(app.step_due_exports().await, 0, "it is not due");
}

#[tokio::test]
async fn timed_out_while_pending_it_is_never_started() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "10m"});
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Throttle).times(1));
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    app.advance(Duration::from_secs(600)).await;
    app.step_exports().await;
    let timed_out = app.export(&id).await;
    assert_eq!(timed_out["export_status"], "TIMED_OUT");
    assert_eq!(timed_out["failure"]["source"], "tableferry");
    assert_eq!(app.step_exports().await, 0);
    assert_eq!(app.aws.exports().len(), 0);
}

#[tokio::test]
async fn timed_out_in_progress_its_late_end_is_still_recorded() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "1s"});
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    app.clock.advance(Duration::from_secs(1));
    app.step_exports().await;
    let timed_out = app.export(&id).await;
    assert_eq!(timed_out["export_status"], "TIMED_OUT");
    assert!(timed_out["arn"].is_string());
    assert_eq!(app.step_due_exports().await, 0, "it is followed slowly");
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "TIMED_OUT");
    app.aws.finish_exports().await;
    app.step_exports().await;
    let late = app.export(&id).await;
    assert_eq!(
        (&late["export_status"], &late["failure"]),
        (&json!("COMPLETED"), &Value::Null)
    );
    let events = app.event_types(&id).await;
    assert_eq!(
        events,
        [
            "export.created",
            "export.started",
            "export.timed_out",
            "export.completed"
        ]
    );
}

#[tokio::test]
async fn a_timed_out_export_is_followed_until_aws_forgets() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "1s"});
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    app.clock.advance(Duration::from_secs(2));
    app.step_exports().await;
    app.clock.advance(Duration::from_secs(89 * 24 * 3600));
    app.aws
        .add_fault(Fault::new("DescribeExport", FaultKind::AccessDenied).times(1));
    assert_eq!(app.step_exports().await, 1);
    app.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(app.step_exports().await, 1);
    assert_eq!(app.step_exports().await, 0, "it is forgotten");
    let kept = app.export(&id).await;
    assert_eq!(kept["export_status"], "TIMED_OUT");
    assert!(kept["status_reason"].as_str().unwrap().contains("90 days"));
}
