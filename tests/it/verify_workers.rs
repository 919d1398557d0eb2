//! Verification as a job: it survives restarts, is run by one worker at a time, and waits for S3.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tableferry::aws::Aws;
use tableferry::signals::Signals;
use tableferry::worker::runner::Worker as _;
use tableferry::worker::verification_worker::VerificationWorker;

use crate::support::{BUCKET, FAR_AHEAD, NOWHERE, TestApp, create_body};

#[tokio::test]
async fn another_worker_goes_on_where_one_stopped() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    app.verify(&id, true).await.expect(202);
    let one = app.slow_verifier().await;
    app.step_verifications_of(&one).await;
    app.step_verifications_of(&one).await;
    let halfway = app.export(&id).await["verification"].clone();
    assert_eq!(
        (
            &halfway["status"],
            &halfway["files_checked"],
            &halfway["files_total"]
        ),
        (&json!("running"), &json!(2), &json!(4))
    );
    drop(one);
    // A checked file is not read again: its disappearance goes unnoticed.
    let lines = app.file_lines(&id).await;
    app.s3_delete(lines[0]["dataFileS3Key"].as_str().unwrap())
        .await;
    app.step_verifications().await;
    let export = app.export(&id).await;
    assert_eq!(export["verification"]["status"], "passed", "{export}");
    assert_eq!(
        export["verification"]["items_counted"],
        export["item_count"]
    );
}

#[tokio::test]
async fn a_stop_writes_what_was_checked_and_hands_back() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    app.verify(&id, true).await.expect(202);
    let worker = app.slow_verifier().await;
    worker.signals.stopping.cancel();
    let claimed = worker.claim(1, FAR_AHEAD).await.unwrap().remove(0);
    worker.work(claimed).await;
    assert_eq!(
        app.workers
            .verifications
            .claim(10, Duration::ZERO)
            .await
            .unwrap()
            .len(),
        1,
        "due at once"
    );
}

#[tokio::test]
async fn a_late_worker_changes_nothing() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    app.verify(&id, false).await.expect(202);
    let late = app.slow_verifier().await;
    let held = late.claim(10, Duration::ZERO).await.unwrap().remove(0);
    assert!(
        app.workers
            .verifications
            .claim(10, Duration::ZERO)
            .await
            .unwrap()
            .is_empty(),
        "it is in another's hand"
    );
    app.step_verifications().await;
    let ended = app.export(&id).await;
    assert_eq!(ended["verification"]["status"], "passed");
    late.work(held.clone()).await;
    assert_eq!(app.export(&id).await, ended);
    // Nor does it change the verification that was started after the one it holds.
    let begun = app.verify(&id, true).await.expect(202).json;
    late.work(held).await;
    assert_eq!(app.export(&id).await, begun);
}

#[tokio::test]
async fn two_workers_never_hold_the_same_verification() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        let id = app.export_to_end(&create_body()).await;
        app.verify(&id, false).await.expect(202);
    }
    let other = app.slow_verifier().await;
    let (first, second) = tokio::join!(
        app.workers.verifications.claim(10, Duration::ZERO),
        other.claim(10, Duration::ZERO)
    );
    let mut ids: Vec<_> = first
        .unwrap()
        .iter()
        .chain(&second.unwrap())
        .map(|claimed| claimed.export.id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn it_waits_while_s3_is_away() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    app.verify(&id, true).await.expect(202);
    let aws = Arc::new(Aws::at_endpoints(&app.dynamodb_url, NOWHERE).await);
    let cut_off = VerificationWorker::new(app.store(), aws, app.clock.clone(), Signals::default());
    for _ in 0..3 {
        app.step_verifications_of(&cut_off).await;
        assert_eq!(app.export(&id).await["verification"]["status"], "running");
    }
    let failures: i32 = sqlx::query_scalar("SELECT failures FROM export_verifications")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(failures, 3);
    assert!(
        app.workers
            .verifications
            .claim(10, Duration::ZERO)
            .await
            .unwrap()
            .is_empty(),
        "not before its delay"
    );
    app.step_verifications().await;
    assert_eq!(app.export(&id).await["verification"]["status"], "passed");
}

#[tokio::test]
async fn a_bucket_that_may_not_be_read_fails_it_and_names_what_is_missing() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["s3_bucket_owner"] = json!("123456789012");
    let id = app.export_to_end(&body).await;
    app.aws
        .change_bucket(BUCKET, |bucket| bucket.owner = "999999999999".to_owned())
        .unwrap();
    let verification = app.verified(&id, false).await;
    assert_eq!(verification["status"], "failed");
    let detail = verification["problems"][0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("AccessDenied")
            && detail.contains("s3:GetObject")
            && detail.contains("s3:ListBucket"),
        "{detail}"
    );
    for call in ["manifest", "files", "items"] {
        let refused = app
            .get(&format!("/v1/exports/{id}/{call}"))
            .await
            .expect_problem(422, "refused-by-aws");
        assert!(
            refused.json["detail"]
                .as_str()
                .unwrap()
                .contains("s3:GetObject"),
            "{}",
            refused.text
        );
    }
}

#[tokio::test]
async fn a_bucket_that_is_gone_fails_it() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    app.aws.delete_bucket(BUCKET).unwrap();
    let verification = app.verified(&id, false).await;
    assert_eq!(verification["problems"][0]["key"], BUCKET);
    assert!(
        verification["problems"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("NoSuchBucket"),
        "{verification}"
    );
    app.get(&format!("/v1/exports/{id}/manifest"))
        .await
        .expect_problem(422, "refused-by-aws");
}

#[tokio::test]
async fn a_verification_goes_with_its_export() {
    let app = TestApp::start().await;
    let id = app.export_to_end(&create_body()).await;
    app.verify(&id, false).await.expect(202);
    let held = app
        .workers
        .verifications
        .claim(10, Duration::ZERO)
        .await
        .unwrap()
        .remove(0);
    app.send(app.request(reqwest::Method::DELETE, &format!("/v1/exports/{id}")))
        .await
        .expect(204);
    app.workers.verifications.work(held).await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM export_verifications")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
    assert_eq!(
        app.get(&format!("/v1/exports/{id}")).await.expect(404).json["verification"],
        Value::Null
    );
}
