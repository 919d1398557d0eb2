//! ClientToken: replay, conflict, its eight hours, and which calls do not use it up.

use std::time::Duration;

use serde_json::json;
use tableferry_simulator::{Age, TableSeed};

use crate::client::{ACCOUNT, Aws, LONG_ENOUGH, ORDERS, REGION};

const CONFLICT: &str = "Export conflict: Duplicate request detected with conflicting parameters";

#[tokio::test]
async fn the_same_request_gives_the_same_export_even_after_its_end() {
    let aws = Aws::start().await;
    let members = json!({"ClientToken": "one", "S3Prefix": "a"});
    let arn = aws.started(members.clone()).await;
    assert_eq!(aws.started(members.clone()).await, arn);
    aws.control().advance(LONG_ENOUGH).await;
    let replay = aws.export(members).await.ok();
    assert_eq!(replay["ExportDescription"]["ExportArn"], json!(arn));
    assert_eq!(replay["ExportDescription"]["ExportStatus"], "COMPLETED");
    assert_eq!(aws.control().exports().len(), 1);
}

#[tokio::test]
async fn a_failed_export_keeps_its_token() {
    let aws = Aws::start().await;
    let members = json!({"ClientToken": "one", "S3Bucket": "nowhere"});
    let arn = aws.started(members.clone()).await;
    aws.control().advance(LONG_ENOUGH).await;
    assert_eq!(aws.started(members).await, arn);
    aws.export(json!({"ClientToken": "one"}))
        .await
        .refused("ExportConflictException", CONFLICT);
    assert_ne!(aws.started(json!({"ClientToken": "two"})).await, arn);
}

#[tokio::test]
async fn any_changed_member_conflicts() {
    let aws = Aws::start().await;
    aws.control()
        .create_table(&TableSeed {
            recovery_age: Some(Age::default()),
            ..TableSeed::new("Other")
        })
        .unwrap();
    aws.started(json!({"ClientToken": "one"})).await;
    for changed in [
        json!({"S3Prefix": "b"}),
        json!({"S3Bucket": "other-bucket"}),
        json!({"ExportFormat": "ION"}),
        json!({"ExportFormat": "DYNAMODB_JSON"}),
        json!({"TableArn": ORDERS.replace("Orders", "Other")}),
        json!({"S3BucketOwner": ACCOUNT}),
        json!({"ExportTime": aws.ago(time::Duration::hours(1))}),
        json!({"S3SseAlgorithm": "KMS"}),
    ] {
        let mut members = changed.clone();
        members["ClientToken"] = json!("one");
        let answer = aws.export(members).await;
        assert_eq!(
            (answer.code(), answer.message()),
            ("ExportConflictException", CONFLICT),
            "{changed}"
        );
    }
}

#[tokio::test]
async fn without_a_token_every_call_starts_an_export() {
    let aws = Aws::start().await;
    assert_ne!(aws.started(json!({})).await, aws.started(json!({})).await);
}

#[tokio::test]
async fn a_refused_call_leaves_its_token_free() {
    let aws = Aws::start().await;
    aws.export(json!({"ClientToken": "one", "ExportTime": aws.ago(time::Duration::days(30))}))
        .await
        .refused("InvalidExportTimeException", "Export Time is invalid");
    aws.started(json!({"ClientToken": "one"})).await;
}

#[tokio::test]
async fn after_eight_hours_a_token_starts_anew() {
    let aws = Aws::start().await;
    let members = json!({"ClientToken": "one"});
    let first = aws.started(members.clone()).await;
    aws.control()
        .advance(Duration::from_secs(8 * 3_600 - 1))
        .await;
    assert_eq!(aws.started(members.clone()).await, first);
    aws.control().advance(Duration::from_secs(1)).await;
    let second = aws.started(members.clone()).await;
    assert_ne!(second, first);
    assert_eq!(aws.started(members).await, second);
}

#[tokio::test]
async fn a_replay_needs_the_table() {
    let aws = Aws::start().await;
    let members = json!({"ClientToken": "one"});
    aws.started(members.clone()).await;
    assert!(aws.control().delete_table(ACCOUNT, REGION, "Orders").await);
    aws.export(members).await.refused(
        "TableNotFoundException",
        &format!("Table not found: {ORDERS}"),
    );
}
