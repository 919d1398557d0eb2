//! The protocol: headers, checksums, unknown operations, malformed bodies.

use serde_json::json;

use crate::client::{ACCOUNT, Aws, REGION};

#[tokio::test]
async fn answers_carry_a_request_id_and_the_checksum_of_the_body() {
    let aws = Aws::start().await;
    let response = aws
        .send(ACCOUNT, REGION, "ListTables", json!({}))
        .await
        .unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/x-amz-json-1.0");
    assert_eq!(header("x-amzn-requestid").len(), 52);
    let sum: u32 = header("x-amz-crc32").parse().unwrap();
    assert_eq!(crc32fast::hash(&response.bytes().await.unwrap()), sum);
}

#[tokio::test]
async fn errors_are_namespaced_as_aws_does() {
    let aws = Aws::start().await;
    let unknown = aws.call("DescribeEverything", json!({})).await;
    assert_eq!(unknown.status, 400);
    assert_eq!(
        unknown.body["__type"],
        "com.amazon.coral.service#UnknownOperationException"
    );
    let invalid = aws.call("DescribeExport", json!({})).await;
    assert_eq!(
        invalid.body["__type"],
        "com.amazon.coral.validate#ValidationException"
    );
    let missing = aws
        .export(json!({"TableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/None"}))
        .await;
    assert_eq!(
        missing.body["__type"],
        "com.amazonaws.dynamodb.v20120810#TableNotFoundException"
    );
    let foreign = aws
        .export(json!({"TableArn": "arn:aws:dynamodb:us-east-1:999999999999:table/Orders"}))
        .await;
    assert_eq!(
        foreign.body["__type"],
        "com.amazon.coral.service#AccessDeniedException"
    );
}

#[tokio::test]
async fn members_of_the_wrong_type_cannot_be_read() {
    let aws = Aws::start().await;
    for members in [
        json!({"S3Bucket": 1}),
        json!({"ExportTime": "now"}),
        json!({"FilterSpecification": []}),
    ] {
        let answer = aws.export(members.clone()).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "SerializationException"),
            "{members}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let aws = Aws::start().await;
    let request = aws
        .http
        .post(aws.sim().dynamodb_url())
        .header("x-amz-target", "DynamoDB_20120810.ListTables")
        .body("{");
    assert_eq!(request.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let aws = Aws::start().await;
    aws.export(json!({"DefinitelyNotAMember": true})).await.ok();
}

#[tokio::test]
async fn tables_live_per_account_and_region() {
    let aws = Aws::start().await;
    let names = |body: serde_json::Value| body["TableNames"].clone();
    assert_eq!(
        names(aws.call("ListTables", json!({})).await.ok()),
        json!(["Orders"])
    );
    assert_eq!(
        names(
            aws.call_as(ACCOUNT, "eu-west-1", "ListTables", json!({}))
                .await
                .ok()
        ),
        json!([])
    );
    assert_eq!(
        names(
            aws.call_as("111122223333", REGION, "ListTables", json!({}))
                .await
                .ok()
        ),
        json!([])
    );
    assert_eq!(
        names(
            aws.call_as("AKIDNOTANACCOUNT", REGION, "ListTables", json!({}))
                .await
                .ok()
        ),
        json!(["Orders"])
    );
}
