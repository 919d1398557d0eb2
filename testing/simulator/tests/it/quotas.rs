//! Quotas and throttles: bursts, what counts, and how capacity comes back.

use std::time::Duration;

use serde_json::json;
use tableferry_simulator::Limits;

use crate::client::{Aws, LONG_ENOUGH};

#[tokio::test]
async fn some_twenty_starts_pass_and_refused_ones_count() {
    let aws = Aws::with(|settings| settings.limits = Limits::default()).await;
    for _ in 0..10 {
        aws.export(json!({})).await.ok();
        assert_eq!(
            aws.export(json!({"ExportFormat": "CSV"})).await.code(),
            "ValidationException"
        );
    }
    aws.export(json!({}))
        .await
        .refused("ThrottlingException", "Rate exceeded");
    assert_eq!(aws.control().exports().len(), 10);
    aws.control().advance(Duration::from_secs(1)).await;
    aws.export(json!({})).await.ok();
    aws.export(json!({}))
        .await
        .refused("ThrottlingException", "Rate exceeded");
    // Another region has its own quota.
    let elsewhere = aws
        .call_as(
            crate::client::ACCOUNT,
            "eu-west-1",
            "ExportTableToPointInTime",
            json!({}),
        )
        .await;
    assert_eq!(elsewhere.code(), "ValidationException");
}

#[tokio::test]
async fn some_fifteen_describes_pass() {
    let aws = Aws::with(|settings| settings.limits = Limits::default()).await;
    let arn = aws.started(json!({})).await;
    for _ in 0..15 {
        aws.description(&arn).await;
    }
    let more = aws.call("DescribeExport", json!({"ExportArn": arn})).await;
    more.refused("ThrottlingException", "Rate exceeded");
    assert_eq!(
        more.body["__type"],
        "com.amazon.coral.availability#ThrottlingException"
    );
    aws.control().advance(Duration::from_millis(100)).await;
    aws.description(&arn).await;
}

#[tokio::test]
async fn so_many_exports_at_once_and_no_more() {
    let aws = Aws::with(|settings| settings.limits.concurrent_exports = Some(3)).await;
    for _ in 0..3 {
        aws.export(json!({"ClientToken": format!("{}", aws.control().exports().len())}))
            .await
            .ok();
    }
    let refused = aws.export(json!({"ClientToken": "later"})).await;
    assert_eq!(
        (refused.status, refused.code()),
        (400, "LimitExceededException")
    );
    aws.export(json!({"ClientToken": "0"})).await.ok();
    aws.control().advance(LONG_ENOUGH).await;
    aws.export(json!({"ClientToken": "later"})).await.ok();
}
