//! Crashes, lost responses, late workers: one start, and nothing is lost.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tableferry::domain::ids::ClientToken;
use tableferry_simulator::{Fault, FaultKind};

use crate::support::{TABLE, TestApp, create_body, everything, plain_request};

#[tokio::test]
async fn an_answer_that_was_lost_does_not_start_a_second_export() {
    let app = TestApp::start().await;
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(3));
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
    // It calls AWS, and dies before it can write the response.
    let export = &claimed[0].export;
    dead.stepper
        .aws
        .start(&export.request, export.origin.client_token().unwrap())
        .await
        .unwrap();
    drop(dead);
    assert_eq!(
        app.step_due_exports().await,
        0,
        "the claim holds for a while"
    );
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
    // The late worker releases its claim; the export stays claimed by the other one and cannot be
    // cancelled.
    store.unclaim(&late, Duration::ZERO).await.unwrap();
    let cancel = || app.send(app.request(Method::POST, &format!("/v1/exports/{id}/cancel")));
    cancel().await.expect_problem(409, "not-cancellable");
    assert_eq!(app.step_due_exports().await, 0);
    // The late worker's write does not count either, although the export still has the version that
    // it read.
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
        one.claim_exports(&all, 100, Duration::ZERO, app.clock.now()),
        two.claim_exports(&all, 100, Duration::ZERO, app.clock.now())
    );
    let mut ids: Vec<_> = first
        .unwrap()
        .iter()
        .chain(&second.unwrap())
        .map(|c| c.claimed.export.id)
        .collect();
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
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let accepted = app.create(&body).await.expect(202);
    app.step_exports().await;
    app.clock.advance(Duration::from_secs(7 * 3600 + 1800));
    app.step_exports().await;
    let found = app.export(&accepted.id()).await;
    assert_eq!(
        (&found["export_status"], &found["client_token"]),
        (&json!("IN_PROGRESS"), &accepted.json["client_token"])
    );
    assert_eq!(
        (
            app.calls("ExportTableToPointInTime"),
            app.aws.exports().len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_token_of_seven_and_a_half_hours_that_was_never_sent_is_replaced() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "24h"});
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::AccessDenied).times(1));
    let denied = app.create(&body).await.expect(202);
    app.step_exports().await;
    app.advance(Duration::from_secs(7 * 3600 + 1800)).await;
    app.step_exports().await;
    assert_eq!(
        app.calls("ExportTableToPointInTime"),
        1,
        "the old token is not sent again"
    );
    app.step_exports().await;
    let started = app.export(&denied.id()).await;
    assert_eq!(started["export_status"], "IN_PROGRESS");
    assert_ne!(started["client_token"], denied.json["client_token"]);
    assert_eq!(app.aws.exports().len(), 1);
    assert!(
        app.event_types(&denied.id())
            .await
            .contains(&"export.token_replaced".to_owned())
    );
}

/// Ways in which a list of AWS can be useless.
fn useless_lists() -> [(&'static str, Vec<FaultKind>); 4] {
    [
        ("shuffled", vec![FaultKind::ShuffleList]),
        ("incomplete", vec![FaultKind::HideFromList]),
        ("cut off", vec![FaultKind::RefusePageToken]),
        (
            "all of it",
            vec![
                FaultKind::ShuffleList,
                FaultKind::HideFromList,
                FaultKind::RefusePageToken,
            ],
        ),
    ]
}

/// An export whose start AWS accepted although the response was lost, among 60 newer ones, so that
/// it is on the third page.
async fn start_unheard(app: &TestApp, timeout: &str) -> String {
    let mut body = create_body();
    body["timeouts"] = json!({"create": timeout});
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    app.advance(Duration::from_secs(1)).await;
    let elsewhere = app.another_aws().await;
    for n in 0..60 {
        elsewhere
            .start(
                &plain_request(TABLE),
                &ClientToken::from_trusted(format!("elsewhere {n}")),
            )
            .await
            .unwrap();
    }
    id
}

#[tokio::test]
async fn a_start_in_doubt_is_never_started_again_whatever_the_list_says() {
    for (how, kinds) in useless_lists() {
        let app = TestApp::start().await;
        let id = start_unheard(&app, "24h").await;
        for kind in kinds {
            app.aws.add_fault(Fault::new("ListExports", kind));
        }
        app.advance(Duration::from_secs(7 * 3600 + 1800)).await;
        // The token is too old to be sent again, and a search that finds nothing does not permit a
        // new start.
        for _ in 0..3 {
            app.step_exports().await;
        }
        assert_eq!(
            (
                app.calls("ExportTableToPointInTime"),
                app.aws.exports().len()
            ),
            (61, 61),
            "{how}"
        );
        // Once the list contains it, it is followed as usual.
        app.aws.clear_faults();
        app.aws.finish_exports().await;
        app.step_exports().await;
        app.step_exports().await;
        assert_eq!(app.export(&id).await["export_status"], "COMPLETED", "{how}");
        assert_eq!(app.aws.exports().len(), 61, "{how}");
    }
}

#[tokio::test]
async fn a_start_in_doubt_ends_at_its_time_out_with_a_reason_and_is_still_found_later() {
    for (how, kinds) in useless_lists().into_iter().skip(1) {
        let app = TestApp::start().await;
        let id = start_unheard(&app, "10m").await;
        for kind in kinds {
            app.aws.add_fault(Fault::new("ListExports", kind));
        }
        app.advance(Duration::from_secs(600)).await;
        app.step_exports().await;
        let ended = app.export(&id).await;
        if how == "incomplete" && ended["export_status"] == "IN_PROGRESS" {
            continue; // every second export is hidden, and it was not this one
        }
        assert_eq!(ended["export_status"], "TIMED_OUT", "{how}");
        let reason = ended["status_reason"].as_str().unwrap();
        assert!(
            reason.contains("the answer to a start request was lost")
                && reason.contains("AWS may be running it"),
            "{how}: {reason}"
        );
        assert_eq!(ended["failure"]["retryable"], false, "{how}");
        let hint = ended["failure"]["hint"].as_str().unwrap();
        assert!(
            hint.contains(ended["client_token"].as_str().unwrap()) && hint.contains("list-exports"),
            "{how}: {hint}"
        );
        let again = app
            .send(app.request(Method::POST, &format!("/v1/exports/{id}/retry")))
            .await;
        assert!(
            again.expect_problem(409, "not-retryable").json["detail"]
                .as_str()
                .unwrap()
                .contains("AWS may have accepted a start")
        );
        // AWS ended it meanwhile; the search continues after the timeout and adopts it.
        app.aws.finish_exports().await;
        app.aws.clear_faults();
        app.step_exports().await;
        assert_eq!(app.export(&id).await["export_status"], "COMPLETED", "{how}");
        assert_eq!(
            (
                app.calls("ExportTableToPointInTime"),
                app.aws.exports().len()
            ),
            (61, 61),
            "{how}"
        );
    }
}

#[tokio::test]
async fn a_start_in_doubt_that_is_not_found_for_a_day_is_no_longer_searched_for() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "10m"});
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Error500).times(1));
    let id = app.create(&body).await.expect(202).id();
    app.step_due_exports().await;
    app.advance(Duration::from_secs(600)).await;
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "TIMED_OUT");
    app.advance(Duration::from_secs(24 * 3600)).await;
    app.step_exports().await;
    assert_eq!(
        app.event_types(&id).await.last().unwrap(),
        "export.forgotten"
    );
    assert!(app.claim_everything().await.is_empty());
}

#[tokio::test]
async fn a_start_in_doubt_that_somebody_found_at_aws_is_settled_by_its_import() {
    let app = TestApp::start().await;
    let id = start_unheard(&app, "10m").await;
    let arn = app.aws.exports()[0].arn.clone();
    app.aws
        .add_fault(Fault::new("ListExports", FaultKind::RefusePageToken));
    app.advance(Duration::from_secs(600)).await;
    app.step_exports().await;
    app.advance(Duration::from_secs(24 * 3600)).await;
    app.step_exports().await;
    assert_eq!(
        app.event_types(&id).await.last().unwrap(),
        "export.forgotten"
    );
    let imported = app
        .post("/v1/exports/import", &json!({"export_arn": arn}))
        .await
        .expect(200);
    assert_eq!(
        (
            imported.id(),
            &imported.json["export_status"],
            &imported.json["arn"]
        ),
        (id.clone(), &json!("COMPLETED"), &json!(arn))
    );
    assert!(app.claim_everything().await.is_empty());
    assert_eq!(app.aws.exports().len(), 61);
}

#[tokio::test]
async fn a_lost_start_of_a_table_that_was_made_anew_is_found_in_the_account() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "10m"});
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    assert!(
        app.aws
            .delete_table("123456789012", "us-east-1", "Orders")
            .await
    );
    app.aws
        .create_table(&tableferry_simulator::TableSeed::new("Orders"))
        .unwrap();
    app.clock.advance(Duration::from_secs(600));
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.aws.exports().len(), 1);
}

#[tokio::test]
async fn a_lost_start_that_is_overdue_is_found_and_not_started_anew() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "10m"});
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let accepted = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    app.clock.advance(Duration::from_secs(600));
    app.step_exports().await;
    assert_eq!(app.export(&accepted).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.calls("ExportTableToPointInTime"), 1);
    assert!(app.calls("ListExports") >= 1);

    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Error500).times(1));
    let never_accepted = app.create(&body).await.expect(202).id();
    app.step_due_exports().await;
    app.clock.advance(Duration::from_secs(600));
    app.step_exports().await;
    assert_eq!(
        app.export(&never_accepted).await["export_status"],
        "TIMED_OUT"
    );
    assert_eq!(app.aws.exports().len(), 1);
}

#[tokio::test]
async fn a_refused_repetition_is_not_believed_before_the_export_was_searched_for() {
    let app = TestApp::start().await;
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let id = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    // The table is deleted; AWS rejects the repetition with TableNotFoundException although it runs
    // the export.
    assert!(
        app.aws
            .delete_table("123456789012", "us-east-1", "Orders")
            .await
    );
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
        sqlx::query_scalar("SELECT count(*) FROM exports WHERE export_status = 'CANCELLED'")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!(
        i64::try_from(app.aws.exports().len()).unwrap() + cancelled,
        20
    );
}
