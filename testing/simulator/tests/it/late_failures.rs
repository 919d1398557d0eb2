//! Exports that are accepted and fail later, because of S3 or KMS, with AWS's messages.

use serde_json::{Value, json};
use tableferry_simulator::BucketSeed;

use crate::client::{ACCOUNT, Aws, BUCKET};

fn assert_failed(done: &Value, code: &str, message: &str) {
    assert_eq!(
        (&done["ExportStatus"], &done["FailureCode"]),
        (&json!("FAILED"), &json!(code)),
        "{done}"
    );
    assert!(
        done["FailureMessage"]
            .as_str()
            .unwrap()
            .starts_with(message),
        "{done}"
    );
    assert!(done.get("EndTime").is_some());
    for absent in ["ExportManifest", "ItemCount", "BilledSizeBytes"] {
        assert!(done.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn a_missing_bucket_fails_within_seconds() {
    let aws = Aws::start().await;
    let started = aws.export(json!({"S3Bucket": "nowhere"})).await.ok();
    assert_eq!(started["ExportDescription"]["ExportStatus"], "IN_PROGRESS");
    let arn = started["ExportDescription"]["ExportArn"].as_str().unwrap();
    aws.control()
        .advance(std::time::Duration::from_secs(15))
        .await;
    let done = aws.description(arn).await;
    assert_failed(
        &done,
        "S3NoSuchBucket",
        "The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Request ID: ",
    );
}

#[tokio::test]
async fn a_bucket_of_another_owner_denies_access() {
    let aws = Aws::start().await;
    aws.control()
        .create_bucket(BucketSeed {
            owner: Some("999999999999".to_owned()),
            ..BucketSeed::new("theirs")
        })
        .unwrap();
    let denied = "Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied;";
    assert_failed(
        &aws.finished(json!({"S3BucketOwner": "999999999999"})).await,
        "S3AccessDenied",
        denied,
    );
    assert_failed(
        &aws.finished(json!({"S3Bucket": "theirs"})).await,
        "S3AccessDenied",
        denied,
    );
    let named = aws
        .finished(json!({"S3Bucket": "theirs", "S3BucketOwner": "999999999999"}))
        .await;
    assert_eq!(named["ExportStatus"], "COMPLETED");
    assert_eq!(
        aws.finished(json!({"S3BucketOwner": ACCOUNT})).await["ExportStatus"],
        "COMPLETED"
    );
}

#[tokio::test]
async fn a_policy_denies_access_by_name() {
    let aws = Aws::start().await;
    aws.control()
        .change_bucket(BUCKET, |bucket| bucket.deny_exports = true)
        .unwrap();
    let done = aws.finished(json!({})).await;
    assert_failed(
        &done,
        "S3AccessDenied",
        "User: arn:aws:sts::123456789012:assumed-role/",
    );
    assert!(done["FailureMessage"].as_str().unwrap().contains(
        "is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::exports/"
    ));
}

#[tokio::test]
async fn keys_must_exist_where_the_bucket_is() {
    let aws = Aws::start().await;
    let key = "arn:aws:kms:us-east-1:123456789012:key/abc";
    let with = async |key: &str| {
        aws.finished(json!({"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": key}))
            .await
    };
    let missing = format!(
        "Key '{key}' does not exist (Service: Amazon S3; Status Code: 400; Error Code: KMS.NotFoundException;"
    );
    assert_failed(&with(key).await, "KmsNotFoundException", &missing);
    assert_failed(
        &with(&key.replace("us-east-1", "eu-west-1")).await,
        "KmsNotFoundException",
        "Invalid arn eu-west-1 (Service: Amazon S3;",
    );
    aws.control().add_kms_key(key);
    assert_eq!(with(key).await["ExportStatus"], "COMPLETED");
    let own = with("alias/aws/s3").await;
    assert_eq!(
        (&own["ExportStatus"], &own["S3SseKmsKeyId"]),
        (&json!("COMPLETED"), &json!("alias/aws/s3"))
    );
    let without = aws.finished(json!({"S3SseAlgorithm": "KMS"})).await;
    assert_eq!(without["ExportStatus"], "COMPLETED");
    assert!(without.get("S3SseKmsKeyId").is_none());
}

#[tokio::test]
async fn a_bucket_in_another_region_is_fine() {
    let aws = Aws::start().await;
    aws.control()
        .create_bucket(BucketSeed {
            region: Some("eu-west-1".to_owned()),
            ..BucketSeed::new("far-away")
        })
        .unwrap();
    assert_eq!(
        aws.finished(json!({"S3Bucket": "far-away"})).await["ExportStatus"],
        "COMPLETED"
    );
}

#[tokio::test]
async fn a_bucket_that_vanishes_meanwhile_fails_the_export() {
    let aws = Aws::start().await;
    let arn = aws.started(json!({})).await;
    aws.control().delete_bucket(BUCKET).unwrap();
    aws.control().advance(crate::client::LONG_ENOUGH).await;
    assert_failed(
        &aws.description(&arn).await,
        "S3NoSuchBucket",
        "The specified bucket does not exist",
    );
}
