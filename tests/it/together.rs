//! Concurrent steps are written by one statement: all of them count, each once, and none makes
//! another fail.

use futures_util::future::join_all;
use serde_json::json;
use tableferry::domain::lifecycle::outcome::Claimed;
use tableferry_simulator::{Fault, FaultKind};

use crate::support::{NOWHERE, TestApp, create_body};

async fn step_at_once(app: &TestApp, claimed: &[Claimed]) {
    join_all(
        claimed
            .iter()
            .map(|one| app.workers.exports.stepper.step(one, None)),
    )
    .await;
}

#[tokio::test]
async fn all_steps_of_a_group_are_written() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(app.create(&create_body()).await.expect(202).id());
    }
    step_at_once(&app, &app.claim_everything().await).await;
    assert_eq!(app.aws.exports().len(), 40);
    app.aws.finish_exports().await;
    step_at_once(&app, &app.claim_everything().await).await;
    for id in &ids {
        assert_eq!(app.export(id).await["export_status"], "COMPLETED");
        assert_eq!(
            app.event_types(id).await,
            ["export.created", "export.started", "export.completed"]
        );
    }
    assert!(app.claim_everything().await.is_empty());
}

#[tokio::test]
async fn of_two_steps_of_one_export_in_a_group_one_counts() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    app.aws.finish_exports().await;
    // Polls are not fenced by their claim: both may write, and only the export's version
    // distinguishes them.
    let twice = [app.claim_everything().await, app.claim_everything().await].concat();
    assert_eq!(twice.len(), 2);
    step_at_once(&app, &twice).await;
    assert_eq!(
        app.event_types(&id).await,
        ["export.created", "export.started", "export.completed"]
    );
}

#[tokio::test]
async fn a_step_that_postgres_refuses_fails_alone() {
    let app = TestApp::start().await;
    let mut odd = create_body();
    odd["labels"] = json!({"odd": "yes"});
    let mut even = Vec::new();
    for _ in 0..5 {
        even.push(app.create(&create_body()).await.expect(202).id());
    }
    let odd = app.create(&odd).await.expect(202).id();
    let rule = r#"ALTER TABLE exports ADD CONSTRAINT none_odd CHECK (export_status = 'PENDING' OR NOT labels @> '{"odd": "yes"}')"#;
    app.run_sql(rule).await;
    step_at_once(&app, &app.claim_everything().await).await;
    for id in &even {
        assert_eq!(app.export(id).await["export_status"], "IN_PROGRESS");
    }
    assert_eq!(app.export(&odd).await["export_status"], "PENDING");
    // Once it can be written it is, and AWS has still started it only once.
    app.run_sql("ALTER TABLE exports DROP CONSTRAINT none_odd")
        .await;
    app.step_exports().await;
    assert_eq!(app.export(&odd).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.aws.exports().len(), 6);
}

#[tokio::test]
async fn steps_that_endpoints_hear_of_are_written_in_groups_too() {
    let app = TestApp::start().await;
    let endpoint = app.endpoint_at(NOWHERE).await.id;
    let picky = app
        .endpoint_of(
            &json!({"url": NOWHERE, "event_types": ["export.completed"], "labels": {"team": "a"}}),
        )
        .await
        .id;
    let mut ids = Vec::new();
    for n in 0..40 {
        let mut body = create_body();
        body["labels"] = json!({"team": if n % 2 == 0 { "a" } else { "b" }});
        if n % 4 == 0 {
            body["callback_url"] = json!(format!("{NOWHERE}/callback"));
        }
        ids.push(app.create(&body).await.expect(202).id());
    }
    step_at_once(&app, &app.claim_everything().await).await;
    app.aws.finish_exports().await;
    let before = written_in_groups(&app).await;
    step_at_once(&app, &app.claim_everything().await).await;
    assert!(
        written_in_groups(&app).await - before <= 3,
        "40 steps are written by a few statements"
    );
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(app.export(id).await["export_status"], "COMPLETED");
        let mut told: Vec<(Option<String>, String)> =
            sqlx::query_as("SELECT endpoint_id::text, event_type FROM webhook_deliveries WHERE export_id = $1::uuid ORDER BY id")
                .bind(id)
                .fetch_all(&app.pool)
                .await
                .unwrap();
        let mut wanted = vec![
            (Some(endpoint.clone()), "export.started".to_owned()),
            (Some(endpoint.clone()), "export.completed".to_owned()),
        ];
        wanted.extend((n % 2 == 0).then(|| (Some(picky.clone()), "export.completed".to_owned())));
        wanted.extend((n % 4 == 0).then(|| (None, "export.completed".to_owned())));
        told.sort();
        wanted.sort();
        assert_eq!(told, wanted, "export {n}");
    }
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT id FROM webhook_deliveries")
        .fetch_all(&app.pool)
        .await
        .unwrap();
    assert!(
        ids.iter()
            .all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122),
        "{ids:?}"
    );
}

/// The number of transactions that have changed exports: each leaves its own number in the rows
/// that it wrote.
async fn written_in_groups(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM export_events")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn steps_that_no_webhook_tells_of_are_written_beside_an_endpoint_that_hears_of_everything() {
    let app = TestApp::start().await;
    app.endpoint_at(NOWHERE).await;
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::AccessDenied).times(2));
    let ids = [
        app.create(&create_body()).await.expect(202).id(),
        app.create(&create_body()).await.expect(202).id(),
    ];
    step_at_once(&app, &app.claim_everything().await).await;
    for id in &ids {
        assert_eq!(
            app.event_types(id).await,
            ["export.created", "export.delayed"]
        );
        assert!(
            app.export(id).await["status_reason"]
                .as_str()
                .unwrap()
                .contains("AWS denies the call")
        );
    }
    let deliveries: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_deliveries")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(deliveries, 0);
}
