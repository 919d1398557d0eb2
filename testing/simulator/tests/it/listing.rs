//! ListExports: order, pages, and the effect of a table's deletion.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{ACCOUNT, Aws, LONG_ENOUGH, ORDERS, REGION};

fn arns(body: &Value) -> Vec<String> {
    let summaries = body["ExportSummaries"].as_array().unwrap();
    summaries
        .iter()
        .map(|summary| summary["ExportArn"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn newest_first_a_page_at_a_time() {
    let aws = Aws::start().await;
    let mut started = Vec::new();
    for _ in 0..30 {
        started.push(aws.started(json!({})).await);
        aws.control().advance(Duration::from_millis(10)).await;
    }
    started.sort();
    started.reverse();
    let first = aws
        .call("ListExports", json!({"TableArn": ORDERS}))
        .await
        .ok();
    assert_eq!(arns(&first), started[..25]);
    let rest = aws
        .call(
            "ListExports",
            json!({"TableArn": ORDERS, "NextToken": first["NextToken"]}),
        )
        .await
        .ok();
    assert_eq!(arns(&rest), started[25..]);
    assert!(rest.get("NextToken").is_none());
    let mut token = Value::Null;
    let mut seen = Vec::new();
    loop {
        let page = aws
            .call("ListExports", json!({"MaxResults": 7, "NextToken": token}))
            .await
            .ok();
        assert!(page["ExportSummaries"].as_array().unwrap().len() <= 7);
        seen.extend(arns(&page));
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen, started);
}

#[tokio::test]
async fn summaries_show_the_type_and_the_state() {
    let aws = Aws::start().await;
    let full = aws.started(json!({})).await;
    let failed = aws.started(json!({"S3Bucket": "nowhere"})).await;
    aws.control().advance(LONG_ENOUGH).await;
    let from = aws.ago(time::Duration::hours(1));
    let running =
        aws.started(json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {"ExportFromTime": from}})).await;
    let listed = aws.call("ListExports", json!({})).await.ok();
    let find = |arn: &str| {
        listed["ExportSummaries"]
            .as_array()
            .unwrap()
            .iter()
            .find(|summary| summary["ExportArn"] == *arn)
            .unwrap()
            .clone()
    };
    assert_eq!(
        find(&full),
        json!({"ExportArn": full, "ExportStatus": "COMPLETED", "ExportType": "FULL_EXPORT"})
    );
    assert_eq!(find(&failed)["ExportStatus"], "FAILED");
    assert_eq!(
        find(&running),
        json!({"ExportArn": running, "ExportStatus": "IN_PROGRESS", "ExportType": "INCREMENTAL_EXPORT"})
    );
}

#[tokio::test]
async fn sizes_and_tokens_are_checked() {
    let aws = Aws::start().await;
    for (most, rule) in [
        (0, "greater than or equal to 1"),
        (26, "less than or equal to 25"),
    ] {
        aws.call("ListExports", json!({"MaxResults": most})).await.refused(
            "ValidationException",
            &format!(
                "1 validation error detected: Value '{most}' at 'maxResults' failed to satisfy constraint: Member must have value {rule}"
            ),
        );
    }
    let bad = aws.call("ListExports", json!({"NextToken": "abc"})).await;
    bad.refused(
        "ValidationException",
        "Invalid Request: Provided nextToken is invalid: abc",
    );
    let foreign = aws
        .call(
            "ListExports",
            json!({"TableArn": ORDERS.replace(ACCOUNT, "999999999999")}),
        )
        .await;
    foreign.refused("AccessDeniedException", "Access is denied");
}

#[tokio::test]
async fn a_deleted_table_lists_nothing_but_its_exports_are_described() {
    let aws = Aws::start().await;
    let arn = aws.started(json!({})).await;
    aws.control().advance(LONG_ENOUGH).await;
    let before = aws.description(&arn).await;
    aws.call("DeleteTable", json!({"TableName": "Orders"}))
        .await
        .ok();
    let listed = aws
        .call("ListExports", json!({"TableArn": ORDERS}))
        .await
        .ok();
    assert_eq!(listed["ExportSummaries"], json!([]));
    assert_eq!(aws.description(&arn).await, before);
    // A new table of the same name is another table.
    aws.control()
        .create_table(&tableferry_simulator::TableSeed::new("Orders"))
        .unwrap();
    assert_eq!(
        aws.call("ListExports", json!({"TableArn": ORDERS}))
            .await
            .ok()["ExportSummaries"],
        json!([])
    );
}

#[tokio::test]
async fn an_export_outlives_its_table() {
    let aws = Aws::start().await;
    aws.put(json!({"pk": {"S": "a"}}), time::Duration::days(1));
    let arn = aws.started(json!({})).await;
    assert!(aws.control().delete_table(ACCOUNT, REGION, "Orders").await);
    aws.control().advance(LONG_ENOUGH).await;
    let done = aws.description(&arn).await;
    assert_eq!(
        (&done["ExportStatus"], &done["ItemCount"]),
        (&json!("COMPLETED"), &json!(1))
    );
}
