//! Crashes, lost answers, late workers: one start, and nothing lost.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tableferry_simulator::{Fault, FaultKind};

use crate::support::{TestApp, create_body, everything};

#[tokio::test]
async fn an_answer_that_was_lost_does_not_start_a_second_export() {
    let app = TestApp::start().await;
    app.aws.add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(3));
    let id = app.create(&create_body()).await.expect(202).id();
    for _ in 0..4 {
        app.step_exports().await;
    }
    assert_eq!(app.export(&id).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.aws.exports().len(), 1);
    assert_eq!(app.calls("ExportTableToPointInTime"), 4);
}

#[tokio::test]
async fn a_worker_that_dies_after_the_call_does_not_start_a_second_export() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let dead = app.second_worker().await;
    let claimed = app.claim_everything().await;
    // It asks AWS, and dies before it can write the answer.
    let export = &claimed[0].export;
    dead.stepper.aws.start(&export.request, export.origin.client_token().unwrap()).await.unwrap();
    drop(dead);
    assert_eq!(app.step_due_exports().await, 0, "the claim holds for a while");
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.aws.exports().len(), 1);
}

#[tokio::test]
async fn a_late_worker_changes_nothing() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let late = app.second_worker().await;
    let stale = app.claim_everything().await.remove(0);
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    let before = app.export(&id).await;
    assert_eq!(before["export_status"], "COMPLETED");
    late.stepper.step(&stale, None).await;
    assert_eq!(app.export(&id).await, before);
    assert_eq!(app.aws.exports().len(), 1);
}

#[tokio::test]
async fn a_late_worker_does_not_reschedule_what_another_holds() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    let store = app.store();
    let late = app.claim_everything().await.remove(0);
    let holder = app.claim_everything().await.remove(0);
    // The late one hands its claim back; the export stays in the other's hand and cannot be cancelled.
    store.unclaim(&late, Duration::ZERO).await.unwrap();
    let cancel = || app.send(app.request(Method::POST, &format!("/v1/exports/{id}/cancel")));
    cancel().await.expect_problem(409, "not-cancellable");
    assert_eq!(app.step_due_exports().await, 0);
    // Nor does what the late one writes count, although the export is still the version that it saw.
    app.second_worker().await.stepper.step(&late, None).await;
    assert_eq!(app.export(&id).await["export_status"], "PENDING");
    app.second_worker().await.stepper.step(&holder, None).await;
    assert_eq!(app.export(&id).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.aws.exports().len(), 1);
}

#[tokio::test]
async fn two_workers_never_hold_the_same_export() {
    let app = TestApp::start().await;
    for _ in 0..20 {
        app.create(&create_body()).await.expect(202);
    }
    let (one, two, all) = (app.store(), app.store(), everything());
    let (first, second) = tokio::join!(
        one.claim_exports(&all, 100, Duration::ZERO, app.chance.now()),
        two.claim_exports(&all, 100, Duration::ZERO, app.chance.now())
    );
    let mut ids: Vec<_> = first.unwrap().iter().chain(&second.unwrap()).map(|c| c.claimed.export.id).collect();
    assert_eq!(ids.len(), 20);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn a_token_of_seven_and_a_half_hours_is_searched_for_and_found() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "24h"});
    app.aws.add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let accepted = app.create(&body).await.expect(202);
    app.step_exports().await;
    app.chance.advance(Duration::from_secs(7 * 3600 + 1800));
    app.step_exports().await;
    let found = app.export(&accepted.id()).await;
    assert_eq!((&found["export_status"], &found["client_token"]), (&json!("IN_PROGRESS"), &accepted.json["client_token"]));
    assert_eq!((app.calls("ExportTableToPointInTime"), app.aws.exports().len()), (1, 1));
}

#[tokio::test]
async fn a_token_of_seven_and_a_half_hours_that_aws_does_not_know_is_replaced() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "24h"});
    app.aws.add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Error500).times(1));
    let not_accepted = app.create(&body).await.expect(202);
    app.step_exports().await;
    app.advance(Duration::from_secs(7 * 3600 + 1800)).await;
    app.step_exports().await;
    assert_eq!(app.calls("ExportTableToPointInTime"), 1, "the old token is not sent again");
    app.step_exports().await;
    let started = app.export(&not_accepted.id()).await;
    assert_eq!(started["export_status"], "IN_PROGRESS");
    assert_ne!(started["client_token"], not_accepted.json["client_token"]);
    assert_eq!(app.aws.exports().len(), 1);
    assert!(app.event_types(&not_accepted.id()).await.contains(&"export.token_replaced".to_owned()));
}

#[tokio::test]
async fn a_lost_start_of_a_table_that_was_made_anew_is_found_in_the_account() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "10m"});
    app.aws.add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    assert!(app.aws.delete_table("123456789012", "us-east-1", "Orders").await);
    app.aws.create_table(&tableferry_simulator::TableSeed::new("Orders")).unwrap();
    app.chance.advance(Duration::from_secs(600));
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.aws.exports().len(), 1);
}

#[tokio::test]
async fn a_lost_start_that_is_overdue_is_found_and_not_started_anew() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "10m"});
    app.aws.add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let accepted = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    app.chance.advance(Duration::from_secs(600));
    app.step_exports().await;
    assert_eq!(app.export(&accepted).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.calls("ExportTableToPointInTime"), 1);
    assert!(app.calls("ListExports") >= 1);

    app.aws.add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Error500).times(1));
    let never_accepted = app.create(&body).await.expect(202).id();
    app.step_due_exports().await;
    app.chance.advance(Duration::from_secs(600));
    app.step_exports().await;
    assert_eq!(app.export(&never_accepted).await["export_status"], "TIMED_OUT");
    assert_eq!(app.aws.exports().len(), 1);
}

#[tokio::test]
async fn a_refused_repetition_is_not_believed_before_the_export_was_searched_for() {
    let app = TestApp::start().await;
    app.aws.add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let id = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    // The table goes; AWS refuses the repetition with TableNotFoundException although it runs the export.
    assert!(app.aws.delete_table("123456789012", "us-east-1", "Orders").await);
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "IN_PROGRESS");
    app.aws.finish_exports().await;
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "COMPLETED");
}

#[tokio::test]
async fn cancelling_and_claiming_cannot_both_win() {
    let app = TestApp::start().await;
    for _ in 0..20 {
        let id = app.create(&create_body()).await.expect(202).id();
        let cancel = app.send(app.request(Method::POST, &format!("/v1/exports/{id}/cancel")));
        let (cancelled, _) = tokio::join!(cancel, app.step_due_exports());
        let export = app.export(&id).await;
        match cancelled.status.as_u16() {
            200 => assert_eq!(export["export_status"], "CANCELLED"),
            409 => assert_eq!(export["export_status"], "IN_PROGRESS"),
            other => panic!("{other}: {}", cancelled.text),
        }
    }
    let cancelled: i64 =
        sqlx::query_scalar("SELECT count(*) FROM exports WHERE export_status = 'CANCELLED'").fetch_one(&app.pool).await.unwrap();
    assert_eq!(i64::try_from(app.aws.exports().len()).unwrap() + cancelled, 20);
}
