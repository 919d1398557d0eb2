//! ExportTableToPointInTime: what is rejected immediately, with which messages and in which order,
//! and what is accepted.

use serde_json::{Value, json};

use crate::client::{ACCOUNT, Aws, BUCKET, ORDERS, REGION};

const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/";

#[tokio::test]
async fn malformed_members_are_refused_in_aws_words() {
    let aws = Aws::start().await;
    let one = |member: &str, value: &str, rule: &str| {
        format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {rule}"
        )
    };
    let bucket_rule = r"satisfy regular expression pattern: ^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$";
    let cases: Vec<(Value, String)> = vec![
        (json!({"S3Bucket": ""}), one("s3Bucket", "", bucket_rule)),
        (
            json!({"S3Bucket": "arn:aws:s3:::exports"}),
            one("s3Bucket", "arn:aws:s3:::exports", bucket_rule),
        ),
        (
            json!({"S3BucketOwner": "not-an-account"}),
            one(
                "s3BucketOwner",
                "not-an-account",
                "satisfy regular expression pattern: [0-9]{12}",
            ),
        ),
        (
            json!({"ClientToken": ""}),
            one(
                "clientToken",
                "",
                r"satisfy regular expression pattern: ^[^\$]+$",
            ),
        ),
        (
            json!({"S3Prefix": ""}),
            one("s3Prefix", "", "have length greater than or equal to 1"),
        ),
        (
            json!({"S3Prefix": "p".repeat(1025)}),
            one(
                "s3Prefix",
                &"p".repeat(1025),
                "have length less than or equal to 1024",
            ),
        ),
        (
            json!({"S3SseAlgorithm": "aws:kms"}),
            one(
                "s3SseAlgorithm",
                "aws:kms",
                "satisfy enum value set: [AES256, KMS]",
            ),
        ),
        (
            json!({"ExportFormat": "CSV"}),
            one(
                "exportFormat",
                "CSV",
                "satisfy enum value set: [DYNAMODB_JSON, ION]",
            ),
        ),
        (
            json!({"ExportType": "PARTIAL_EXPORT"}),
            one(
                "exportType",
                "PARTIAL_EXPORT",
                "satisfy enum value set: [FULL_EXPORT, INCREMENTAL_EXPORT]",
            ),
        ),
        (
            json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {"ExportFromTime": 1, "ExportViewType": "NEW_IMAGES"}}),
            one(
                "incrementalExportSpecification.exportViewType",
                "NEW_IMAGES",
                "satisfy enum value set: [NEW_IMAGE, NEW_AND_OLD_IMAGES]",
            ),
        ),
    ];
    for (members, message) in cases {
        aws.export(members)
            .await
            .refused("ValidationException", &message);
    }
    let both = aws.call("ExportTableToPointInTime", json!({})).await;
    both.refused(
        "ValidationException",
        "2 validation errors detected: Value null at 'tableArn' failed to satisfy constraint: Member must not be null; Value null at 's3Bucket' failed to satisfy constraint: Member must not be null",
    );
}

#[tokio::test]
async fn the_table_is_named_by_an_arn_of_the_callers_account_and_region() {
    let aws = Aws::start().await;
    let with = async |arn: &str| aws.export(json!({"TableArn": arn})).await;
    with("Orders").await.refused(
        "ValidationException",
        "One or more parameter values were invalid: tableArn is not a valid ARN",
    );
    with("")
        .await
        .refused("ValidationException", "Invalid TableArn: Invalid Table ARN");
    with(&format!("{ORDERS}/index/by-date")).await.refused(
        "ValidationException",
        "Invalid Request: Table ARN is invalid.",
    );
    with(&ORDERS.replace(ACCOUNT, "999999999999"))
        .await
        .refused("AccessDeniedException", "Access is denied");
    // The account is checked before the resource.
    let index = format!("{}/index/by-date", ORDERS.replace(ACCOUNT, "999999999999"));
    with(&index)
        .await
        .refused("AccessDeniedException", "Access is denied");
    for other in [
        format!("{TABLE}Nowhere"),
        ORDERS.replace(REGION, "eu-west-1"),
        ORDERS.replace("arn:aws:", "arn:aws-cn:"),
    ] {
        with(&other).await.refused(
            "TableNotFoundException",
            &format!("Table not found: {other}"),
        );
    }
    let elsewhere = aws
        .call_as(
            ACCOUNT,
            "eu-west-1",
            "ExportTableToPointInTime",
            json!({"TableArn": ORDERS, "S3Bucket": BUCKET}),
        )
        .await;
    elsewhere.refused(
        "TableNotFoundException",
        &format!("Table not found: {ORDERS}"),
    );
}

#[tokio::test]
async fn members_must_fit_each_other() {
    let aws = Aws::start().await;
    let specification = json!({"ExportFromTime": 1});
    for (members, message) in [
        (
            json!({"IncrementalExportSpecification": specification}),
            "Invalid Request: Export Type expected to be Incremental Export when incremental export specification is provided",
        ),
        (
            json!({"ExportType": "FULL_EXPORT", "IncrementalExportSpecification": specification}),
            "Invalid Request: When Export Type is Full Export , Incremental Export Specification should not be provided",
        ),
        (
            json!({"ExportType": "INCREMENTAL_EXPORT"}),
            "Invalid Request: Incremental Export Specification expected when export type is set as Incremental Export",
        ),
        (
            json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {}}),
            "Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification",
        ),
        (
            json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {"ExportViewType": "NEW_IMAGE"}}),
            "Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification",
        ),
        (
            json!({"S3SseKmsKeyId": "a"}),
            "Invalid Request: KMS Key Id is not supported for this encryption type",
        ),
        (
            json!({"S3SseKmsKeyId": "a", "S3SseAlgorithm": "AES256"}),
            "Invalid Request: KMS Key Id is not supported for this encryption type",
        ),
        (
            json!({"S3SseKmsKeyId": "not a key", "S3SseAlgorithm": "KMS"}),
            "Invalid Request: 1 validation error detected: Value 'not a key' at 's3SseKmsKeyId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        ),
    ] {
        aws.export(members)
            .await
            .refused("ValidationException", message);
    }
}

#[tokio::test]
async fn filters_are_checked_and_echoed() {
    let aws = Aws::start().await;
    let with = async |filter: Value| aws.export(json!({"FilterSpecification": filter})).await;
    let invalid = "Invalid Request: Invalid FilterSpecification:";
    with(json!({})).await.refused(
        "ValidationException",
        &format!("{invalid} The specification can not be empty"),
    );
    let long = with(json!({"FilterExpression": "a".repeat(4097)})).await;
    assert!(
        long.message()
            .contains("Expression size has exceeded the maximum allowed size")
    );
    for (filter, message) in [
        (
            json!({"KeyConditionExpression": "v = :v", "ExpressionAttributeValues": {":v": {"S": "a"}}}),
            "Query condition missed key schema element: pk",
        ),
        (
            json!({"KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}),
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            json!({"FilterExpression": "a ==== b"}),
            "Invalid FilterExpression: Syntax error; token: \"=\", near: \"===\"",
        ),
        (
            json!({"FilterExpression": "a = :v"}),
            "Invalid FilterExpression: An expression attribute value used in expression is not defined; attribute value: :v",
        ),
        (
            json!({"FilterExpression": "Status = :v", "ExpressionAttributeValues": {":v": {"S": "open"}}}),
            "Invalid FilterExpression: Attribute name is a reserved keyword; reserved keyword: Status",
        ),
        (
            json!({"FilterExpression": "attribute_exists(a)", "ExpressionAttributeNames": {"#t": "total"}}),
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#t}",
        ),
    ] {
        with(filter)
            .await
            .refused("ValidationException", &format!("{invalid} {message}"));
    }
    let named = json!({
        "KeyConditionExpression": "#k = :v", "FilterExpression": "pk <> :w", "ExpressionAttributeNames": {"#k": "pk"},
        "ExpressionAttributeValues": {":v": {"S": "a"}, ":w": {"S": "b"}},
    });
    assert!(
        with(named)
            .await
            .message()
            .contains("non-primary key attributes")
    );
    let filter = json!({"KeyConditionExpression": "pk = :v", "FilterExpression": "v > :w", "ExpressionAttributeValues": {":v": {"S": "a"}, ":w": {"N": "1"}}});
    let body = with(filter.clone()).await.ok();
    assert_eq!(body["ExportDescription"]["FilterSpecification"], filter);
}

/// Which error is reported first when several things are wrong.
#[tokio::test]
async fn checks_come_in_aws_order() {
    let aws = Aws::start().await;
    let off = format!("{TABLE}Off");
    aws.control()
        .create_table(&tableferry_simulator::TableSeed::new("Off"))
        .unwrap();
    // Members before account, account before couplings, couplings before the table.
    let foreign = ORDERS.replace(ACCOUNT, "999999999999");
    assert_eq!(
        aws.export(json!({"TableArn": foreign, "ExportFormat": "CSV"}))
            .await
            .code(),
        "ValidationException"
    );
    assert_eq!(
        aws.export(json!({"TableArn": foreign, "ExportType": "INCREMENTAL_EXPORT"}))
            .await
            .code(),
        "AccessDeniedException"
    );
    let nowhere = format!("{TABLE}Nowhere");
    assert_eq!(
        aws.export(json!({"TableArn": nowhere, "ExportType": "INCREMENTAL_EXPORT"}))
            .await
            .code(),
        "ValidationException"
    );
    // Recovery before S3.
    let refused = aws
        .export(json!({"TableArn": off, "S3Bucket": "no-such-bucket"}))
        .await;
    refused.refused(
        "PointInTimeRecoveryUnavailableException",
        "Point in time recovery is not enabled for table 'Off'",
    );
    // The window of an incremental export before recovery.
    let early = json!({"ExportFromTime": aws.ago(time::Duration::hours(1))});
    let refused = aws.export(json!({"TableArn": off, "ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": early})).await;
    assert_eq!(refused.code(), "InvalidExportTimeException");
    assert!(
        aws.call("ListExports", json!({})).await.ok()["ExportSummaries"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn upper_case_buckets_and_any_account_by_setting() {
    let aws = Aws::with(|settings| settings.any_account = true).await;
    aws.export(json!({"S3Bucket": "UPPER-Case.bucket_1"}))
        .await
        .ok();
    let table = tableferry_simulator::TableSeed {
        account: Some("999999999999".to_owned()),
        ..tableferry_simulator::TableSeed::new("Theirs")
    };
    aws.control().create_table(&table).unwrap();
    let now = aws.control().now();
    aws.control()
        .set_recovery("999999999999", REGION, "Theirs", Some(now))
        .unwrap();
    let theirs = "arn:aws:dynamodb:us-east-1:999999999999:table/Theirs";
    let done = aws.finished(json!({"TableArn": theirs})).await;
    assert_eq!(done["ExportStatus"], "COMPLETED");
    let listed = aws
        .call("ListExports", json!({"TableArn": theirs}))
        .await
        .ok();
    assert_eq!(listed["ExportSummaries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn partitions_follow_the_region() {
    let aws = Aws::start().await;
    for (region, partition) in [
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
    ] {
        let table = tableferry_simulator::TableSeed {
            region: Some(region.to_owned()),
            ..tableferry_simulator::TableSeed::new("There")
        };
        aws.control().create_table(&table).unwrap();
        let now = aws.control().now();
        aws.control()
            .set_recovery(ACCOUNT, region, "There", Some(now))
            .unwrap();
        let arn = format!("arn:{partition}:dynamodb:{region}:{ACCOUNT}:table/There");
        let started = aws
            .call_as(
                ACCOUNT,
                region,
                "ExportTableToPointInTime",
                json!({"TableArn": arn, "S3Bucket": BUCKET}),
            )
            .await
            .ok();
        assert!(
            started["ExportDescription"]["ExportArn"]
                .as_str()
                .unwrap()
                .starts_with(&format!("{arn}/export/"))
        );
    }
}
