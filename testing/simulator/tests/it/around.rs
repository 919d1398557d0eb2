//! The surroundings of an export: HeadBucket, bucket policies, KMS keys, and roles to assume.

use serde_json::json;
use tableferry_simulator::{BucketSeed, Fault, FaultKind};

use crate::client::{ACCOUNT, Aws, BUCKET, REGION};

fn scope(account: &str, region: &str, service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

async fn head(aws: &Aws, bucket: &str, region: &str, owner: Option<&str>) -> (u16, Option<String>) {
    let mut request = aws
        .http
        .head(format!("{}/{bucket}", aws.sim().s3_url()))
        .header("authorization", scope(ACCOUNT, region, "s3"));
    if let Some(owner) = owner {
        request = request.header("x-amz-expected-bucket-owner", owner);
    }
    let answer = request.send().await.unwrap();
    let region = answer
        .headers()
        .get("x-amz-bucket-region")
        .map(|region| region.to_str().unwrap().to_owned());
    (answer.status().as_u16(), region)
}

#[tokio::test]
async fn head_bucket_tells_missing_foreign_and_distant_buckets_apart() {
    let aws = Aws::start().await;
    aws.control()
        .create_bucket(BucketSeed {
            region: Some("eu-west-1".to_owned()),
            ..BucketSeed::new("distant")
        })
        .unwrap();
    let there = |region: &str| Some(region.to_owned());
    assert_eq!(head(&aws, BUCKET, REGION, None).await, (200, there(REGION)));
    assert_eq!(
        head(&aws, BUCKET, REGION, Some(ACCOUNT)).await,
        (200, there(REGION))
    );
    assert_eq!(
        head(&aws, BUCKET, REGION, Some("999999999999")).await,
        (403, there(REGION))
    );
    assert_eq!(head(&aws, "nowhere", REGION, None).await, (404, None));
    assert_eq!(
        head(&aws, "distant", REGION, None).await,
        (301, there("eu-west-1"))
    );
    assert_eq!(
        head(&aws, "distant", "eu-west-1", None).await,
        (200, there("eu-west-1"))
    );
    aws.control()
        .add_fault(Fault::new("HeadBucket", FaultKind::AccessDenied).times(1));
    assert_eq!(head(&aws, BUCKET, REGION, None).await, (403, there(REGION)));
}

#[tokio::test]
async fn a_policy_that_denies_can_be_read() {
    let aws = Aws::start().await;
    let none = aws.s3(&format!("{BUCKET}?policy")).await;
    assert_eq!(none.status(), 404);
    assert!(
        none.text()
            .await
            .unwrap()
            .contains("<Code>NoSuchBucketPolicy</Code>")
    );
    aws.control()
        .change_bucket(BUCKET, |bucket| bucket.deny_exports = true)
        .unwrap();
    let policy: serde_json::Value = aws
        .s3(&format!("{BUCKET}?policy"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(policy["Statement"][0]["Effect"], "Deny");
}

#[tokio::test]
async fn keys_are_described_in_their_region() {
    let aws = Aws::start().await;
    let arn = "arn:aws:kms:us-east-1:123456789012:key/abc";
    aws.control().add_kms_key(arn);
    let describe = async |key: &str| {
        let request = aws
            .http
            .post(aws.sim().dynamodb_url())
            .header("authorization", scope(ACCOUNT, REGION, "kms"));
        let request = request
            .header("x-amz-target", "TrentService.DescribeKey")
            .header("content-type", "application/x-amz-json-1.1");
        request
            .body(json!({"KeyId": key}).to_string())
            .send()
            .await
            .unwrap()
            .json::<serde_json::Value>()
            .await
            .unwrap()
    };
    for key in [arn, "abc", "alias/aws/s3"] {
        assert_eq!(
            describe(key).await["KeyMetadata"]["KeyState"],
            "Enabled",
            "{key}"
        );
    }
    let missing = describe(&arn.replace("abc", "nope")).await;
    assert_eq!(
        missing["__type"],
        "com.amazonaws.kms.v20141101#NotFoundException"
    );
    assert_eq!(
        missing["message"],
        "Key 'arn:aws:kms:us-east-1:123456789012:key/nope' does not exist"
    );
    assert_eq!(
        describe(&arn.replace("us-east-1", "eu-west-1")).await["message"],
        "Invalid arn eu-west-1"
    );
}

#[tokio::test]
async fn an_assumed_role_acts_in_its_account() {
    let aws = Aws::start().await;
    let role = "arn:aws:iam::999999999999:role/exporter";
    let assume = async |more: &str| {
        let body = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=test{more}"
        );
        let request = aws
            .http
            .post(aws.sim().dynamodb_url())
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, text) = assume("").await;
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains("<AccessKeyId>999999999999</AccessKeyId>"),
        "{text}"
    );
    aws.control().require_external_id(role, "secret");
    for wrong in ["", "&ExternalId=guess"] {
        let (status, text) = assume(wrong).await;
        assert_eq!(status, 403);
        assert!(
            text.contains("<Code>AccessDenied</Code>") && text.contains("sts:AssumeRole"),
            "{text}"
        );
    }
    assert_eq!(assume("&ExternalId=secret").await.0, 200);
    aws.control()
        .add_fault(Fault::new("AssumeRole", FaultKind::AccessDenied).times(1));
    assert_eq!(assume("&ExternalId=secret").await.0, 403);
}
