//! DescribeExport: which members a description has and when, and every way in which it fails.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{ACCOUNT, Aws, BUCKET, LONG_ENOUGH, ORDERS};

fn members(description: &Value) -> BTreeSet<&str> {
    description
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

const ALWAYS: [&str; 11] = [
    "ClientToken",
    "DestinationType",
    "ExportArn",
    "ExportFormat",
    "ExportStatus",
    "ExportTime",
    "S3Bucket",
    "S3SseAlgorithm",
    "StartTime",
    "TableArn",
    "TableId",
];

#[tokio::test]
async fn progress_shows_nothing_and_the_end_everything() {
    let aws = Aws::start().await;
    let started = aws.export(json!({"ClientToken": "one"})).await.ok()["ExportDescription"].clone();
    let arn = started["ExportArn"].as_str().unwrap();
    assert_eq!(members(&started), BTreeSet::from(ALWAYS));
    assert_eq!(started["ExportStatus"], "IN_PROGRESS");
    assert_eq!(
        (&started["ExportFormat"], &started["S3SseAlgorithm"]),
        (&json!("DYNAMODB_JSON"), &json!("AES256"))
    );
    assert_eq!(started["ExportTime"], started["StartTime"]);
    assert_eq!(aws.description(arn).await, started);
    aws.control().advance(LONG_ENOUGH).await;
    let ended = aws.description(arn).await;
    let mut all = BTreeSet::from(ALWAYS);
    all.extend(["BilledSizeBytes", "EndTime", "ExportManifest", "ItemCount"]);
    assert_eq!(members(&ended), all);
    assert_eq!(ended["ExportStatus"], "COMPLETED");
    assert_eq!(
        (&ended["ItemCount"], &ended["BilledSizeBytes"]),
        (&json!(0), &json!(0))
    );
    let lasted = ended["EndTime"].as_f64().unwrap() - ended["StartTime"].as_f64().unwrap();
    assert!(
        (125.0..160.0).contains(&lasted),
        "an empty table takes {lasted} s"
    );
    assert_eq!(
        aws.description(arn).await,
        ended,
        "a record never changes after its end"
    );
}

#[tokio::test]
async fn what_was_asked_is_echoed() {
    let aws = Aws::start().await;
    let asked = json!({
        "S3Prefix": "foo/", "S3BucketOwner": ACCOUNT, "ExportType": "FULL_EXPORT", "ExportFormat": "ION",
        "S3SseAlgorithm": "KMS", "S3SseKmsKeyId": "alias/aws/s3", "ExportTime": aws.ago(time::Duration::hours(1)),
    });
    let done = aws.finished(asked.clone()).await;
    for (name, value) in asked.as_object().unwrap() {
        assert_eq!(&done[name], value, "{name}");
    }
    assert!(
        done["ExportManifest"]
            .as_str()
            .unwrap()
            .starts_with("foo/AWSDynamoDB/0")
    );
}

#[tokio::test]
async fn the_arn_ends_in_the_start_and_eight_digits() {
    let aws = Aws::start().await;
    let started = aws.export(json!({})).await.ok()["ExportDescription"].clone();
    let id = started["ExportArn"]
        .as_str()
        .unwrap()
        .strip_prefix(&format!("{ORDERS}/export/"))
        .unwrap();
    let (millis, random) = id.split_once('-').unwrap();
    assert_eq!((millis.len(), random.len()), (14, 8));
    assert!(
        random
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    let started_at = started["StartTime"].as_f64().unwrap();
    assert!((millis.parse::<f64>().unwrap() - started_at * 1_000.0).abs() < 0.5);
}

#[tokio::test]
async fn a_small_table_takes_about_twelve_minutes() {
    let aws = Aws::start().await;
    aws.put(json!({"pk": {"S": "a"}}), time::Duration::days(1));
    let arn = aws.started(json!({})).await;
    aws.control().advance(Duration::from_secs(690)).await;
    assert_eq!(aws.description(&arn).await["ExportStatus"], "IN_PROGRESS");
    aws.control().advance(Duration::from_secs(60)).await;
    assert_eq!(aws.description(&arn).await["ExportStatus"], "COMPLETED");
}

#[tokio::test]
async fn speed_divides_the_duration() {
    let aws = Aws::with(|settings| settings.speed = 1_000.0).await;
    let arn = aws.started(json!({})).await;
    aws.control().advance(Duration::from_millis(160)).await;
    assert_eq!(aws.description(&arn).await["ExportStatus"], "COMPLETED");
}

#[tokio::test]
async fn every_way_not_to_find_an_export() {
    let aws = Aws::start().await;
    let arn = aws.started(json!({})).await;
    let ask = async |arn: &str| aws.call("DescribeExport", json!({"ExportArn": arn})).await;
    for not_an_export in [
        ORDERS,
        &arn.replace("/export/", "/import/"),
        &"x".repeat(40),
    ] {
        ask(not_an_export)
            .await
            .refused("ValidationException", "Invalid Export ARN");
    }
    let tampered = format!("{}0", &arn[..arn.len() - 1]);
    let tampered = if tampered == arn {
        format!("{}1", &arn[..arn.len() - 1])
    } else {
        tampered
    };
    ask(&tampered).await.refused(
        "ExportNotFoundException",
        &format!("Export not found: Export not found: {tampered}"),
    );
    ask(&arn.replace(ACCOUNT, "999999999999"))
        .await
        .refused("AccessDeniedException", "Access is denied");
    ask(&arn.replace("us-east-1", "eu-west-1")).await.refused(
        "ExportNotFoundException",
        "Export not found: Invalid export arn",
    );
    let elsewhere = aws
        .call_as(
            ACCOUNT,
            "eu-west-1",
            "DescribeExport",
            json!({"ExportArn": arn}),
        )
        .await;
    elsewhere.refused(
        "ExportNotFoundException",
        "Export not found: Invalid export arn",
    );
    // The account is checked before everything else in an ARN.
    for other in [
        "arn:qwerty:dynamodb:us-east-1",
        "arn:aws:qwerty:us-east-1",
        "arn:aws:dynamodb:qwerty",
    ] {
        ask(&format!("{other}:000000000000:table/no-export-at-all"))
            .await
            .refused("AccessDeniedException", "Access is denied");
    }
    ask("arn:aws:dynamodb:us-east-1:qwerty:table/no-export-at-all")
        .await
        .refused("AccessDeniedException", "Access is denied");
    for other in [
        arn.replace("arn:aws:", "arn:aws-cn:"),
        arn.replace(":dynamodb:", ":s3:"),
    ] {
        ask(&other)
            .await
            .refused("AccessDeniedException", "Access is denied");
    }
    ask(&format!("qwerty:{ORDERS}"))
        .await
        .refused("ValidationException", "Invalid Export ARN");
    let short = ask("arn").await;
    assert!(
        short
            .message()
            .ends_with("Member must have length greater than or equal to 37")
    );
}

#[tokio::test]
async fn an_export_is_forgotten_after_90_days() {
    let aws = Aws::start().await;
    let arn = aws.started(json!({})).await;
    aws.control().advance(LONG_ENOUGH).await;
    aws.control()
        .advance(Duration::from_secs(89 * 86_400))
        .await;
    aws.description(&arn).await;
    aws.control().advance(Duration::from_secs(86_400)).await;
    let gone = aws.call("DescribeExport", json!({"ExportArn": arn})).await;
    gone.refused(
        "ExportNotFoundException",
        &format!("Export not found: Export not found: {arn}"),
    );
    assert_eq!(
        aws.call("ListExports", json!({})).await.ok()["ExportSummaries"],
        json!([])
    );
    let manifest = aws.control().exports()[0].manifest_key.clone().unwrap();
    assert_eq!(
        aws.s3(&format!("{BUCKET}/{manifest}")).await.status(),
        200,
        "objects stay"
    );
}

#[tokio::test]
async fn forced_ends_are_now() {
    let aws = Aws::start().await;
    let arn = aws.started(json!({})).await;
    aws.control().advance(Duration::from_secs(5)).await;
    aws.control().finish_exports().await;
    let done = aws.description(&arn).await;
    assert_eq!(done["ExportStatus"], "COMPLETED");
    let lasted = done["EndTime"].as_f64().unwrap() - done["StartTime"].as_f64().unwrap();
    assert!((4.9..5.1).contains(&lasted), "{lasted}");
}
