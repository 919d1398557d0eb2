//! What set-up scripts and Terraform call besides tables and items: tags, time to live, limits,
//! changes of a table.

use serde_json::{Value, json};

use crate::client::{ACCOUNT, Aws, BUCKET, ORDERS};

#[tokio::test]
async fn tables_have_tags() {
    let aws = Aws::start().await;
    let tags = async || {
        aws.call("ListTagsOfResource", json!({"ResourceArn": ORDERS}))
            .await
            .ok()["Tags"]
            .clone()
    };
    assert_eq!(tags().await, json!([]));
    let tag = json!([{"Key": "team", "Value": "data"}, {"Key": "stage", "Value": ""}]);
    aws.call("TagResource", json!({"ResourceArn": ORDERS, "Tags": tag}))
        .await
        .ok();
    assert_eq!(
        tags().await,
        json!([{"Key": "stage", "Value": ""}, {"Key": "team", "Value": "data"}])
    );
    aws.call(
        "UntagResource",
        json!({"ResourceArn": ORDERS, "TagKeys": ["stage"]}),
    )
    .await
    .ok();
    assert_eq!(tags().await, json!([{"Key": "team", "Value": "data"}]));
    let ask = async |arn: &str| {
        aws.call("ListTagsOfResource", json!({"ResourceArn": arn}))
            .await
    };
    ask("Orders").await.refused(
        "ValidationException",
        "One or more parameter values were invalid: ARNs must start with 'arn:': Orders",
    );
    ask(&ORDERS.replace(ACCOUNT, "999999999999"))
        .await
        .refused("AccessDeniedException", "Access is denied");
    let elsewhere = ORDERS.replace("us-east-1", "eu-west-1");
    ask(&elsewhere).await.refused(
        "ValidationException",
        &format!("Invalid TableArn: Invalid ResourceArn provided as input {elsewhere}"),
    );
    assert_eq!(
        ask(&ORDERS.replace("Orders", "Nowhere")).await.code(),
        "ResourceNotFoundException"
    );
    let twice = json!({"ResourceArn": ORDERS, "Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]});
    assert_eq!(
        aws.call("TagResource", twice).await.code(),
        "ValidationException"
    );
}

#[tokio::test]
async fn tables_have_a_time_to_live() {
    let aws = Aws::start().await;
    let shown = async || {
        aws.call("DescribeTimeToLive", json!({"TableName": "Orders"}))
            .await
            .ok()["TimeToLiveDescription"]
            .clone()
    };
    assert_eq!(shown().await, json!({"TimeToLiveStatus": "DISABLED"}));
    let set = async |enabled: bool, attribute: &str| {
        let wanted = json!({"Enabled": enabled, "AttributeName": attribute});
        aws.call(
            "UpdateTimeToLive",
            json!({"TableName": "Orders", "TimeToLiveSpecification": wanted}),
        )
        .await
    };
    set(false, "ends")
        .await
        .refused("ValidationException", "TimeToLive is already disabled");
    set(true, "ends").await.ok();
    assert_eq!(
        shown().await,
        json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"})
    );
    set(true, "ends")
        .await
        .refused("ValidationException", "TimeToLive is already enabled");
    let sentence =
        "TimeToLive is active on a different AttributeName: current AttributeName is ends";
    set(true, "other")
        .await
        .refused("ValidationException", sentence);
    set(false, "ends").await.ok();
    assert_eq!(shown().await, json!({"TimeToLiveStatus": "DISABLED"}));
    assert_eq!(
        aws.call("DescribeTimeToLive", json!({"TableName": "Nowhere"}))
            .await
            .code(),
        "ResourceNotFoundException"
    );
    let elsewhere = ORDERS.replace("us-east-1", "eu-west-1");
    let sentence = format!("1 validation error detected: Invalid AWS region in '{elsewhere}'");
    aws.call("DescribeTimeToLive", json!({"TableName": elsewhere}))
        .await
        .refused("ValidationException", &sentence);
}

#[tokio::test]
async fn a_protected_table_stays_until_it_is_protected_no_more() {
    let aws = Aws::start().await;
    let change = async |members: Value| {
        let mut input = members;
        input["TableName"] = json!("Orders");
        aws.call("UpdateTable", input).await
    };
    assert!(
        change(json!({}))
            .await
            .message()
            .starts_with("At least one of ProvisionedThroughput, BillingMode")
    );
    let shown = change(json!({"DeletionProtectionEnabled": true}))
        .await
        .ok();
    assert_eq!(shown["TableDescription"]["DeletionProtectionEnabled"], true);
    let sentence = "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.";
    aws.call("DeleteTable", json!({"TableName": "Orders"}))
        .await
        .refused("ValidationException", sentence);
    change(json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 2}})).await.ok();
    let table = aws
        .call("DescribeTable", json!({"TableName": "Orders"}))
        .await
        .ok()["Table"]
        .clone();
    assert_eq!(
        (
            &table["ProvisionedThroughput"]["ReadCapacityUnits"],
            &table["TableStatus"]
        ),
        (&json!(3), &json!("ACTIVE"))
    );
    assert_eq!(
        change(json!({"StreamSpecification": {"StreamEnabled": true}}))
            .await
            .code(),
        "ValidationException"
    );
    change(json!({"DeletionProtectionEnabled": false}))
        .await
        .ok();
    aws.call("DeleteTable", json!({"TableName": "Orders"}))
        .await
        .ok();
}

#[tokio::test]
async fn a_table_exports_a_file_for_each_of_its_partitions() {
    let aws = Aws::start().await;
    let files = async |table: &str, reads: u32, writes: u32| {
        let throughput = json!({"ReadCapacityUnits": reads, "WriteCapacityUnits": writes});
        let billing = if reads == 0 {
            json!("PAY_PER_REQUEST")
        } else {
            json!("PROVISIONED")
        };
        aws.call(
            "CreateTable",
            json!({
                "TableName": table, "BillingMode": billing,
                "ProvisionedThroughput": if reads == 0 { Value::Null } else { throughput },
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            }),
        )
        .await
        .ok();
        let on = json!({"TableName": table, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}});
        aws.call("UpdateContinuousBackups", on).await.ok();
        let exported = aws
            .finished(json!({"TableArn": ORDERS.replace("Orders", table), "S3Bucket": BUCKET}))
            .await;
        aws.files(&exported).await.len()
    };
    assert_eq!(files("Small", 5, 5).await, 1);
    assert_eq!(files("Larger", 3_000, 1_001).await, 3);
    assert_eq!(files("OnDemand", 0, 0).await, 4);
}

#[tokio::test]
async fn names_and_keys_have_their_sizes() {
    let aws = Aws::start().await;
    let put = async |item: Value| {
        aws.call("PutItem", json!({"TableName": "Orders", "Item": item}))
            .await
    };
    put(json!({"pk": {"S": "x".repeat(2048)}})).await.ok();
    let sentence = "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes";
    put(json!({"pk": {"S": "x".repeat(2049)}}))
        .await
        .refused("ValidationException", sentence);
    assert_eq!(
        put(json!({"pk": {"S": "a"}, "": {"S": "b"}})).await.code(),
        "ValidationException"
    );
    assert_eq!(
        put(json!({"pk": {"S": "a"}, "m": {"M": {"": {"S": "b"}}}}))
            .await
            .code(),
        "ValidationException"
    );
}

#[tokio::test]
async fn items_are_read_in_batches_and_other_calls_say_that_they_are_unknown() {
    let aws = Aws::start().await;
    for key in ["a", "b"] {
        aws.call(
            "PutItem",
            json!({"TableName": "Orders", "Item": {"pk": {"S": key}}}),
        )
        .await
        .ok();
    }
    let keys = json!([{"pk": {"S": "a"}}, {"pk": {"S": "nothing"}}, {"pk": {"S": "b"}}]);
    let read = aws
        .call(
            "BatchGetItem",
            json!({"RequestItems": {"Orders": {"Keys": keys}}}),
        )
        .await
        .ok();
    assert_eq!(
        read["Responses"]["Orders"],
        json!([{"pk": {"S": "a"}}, {"pk": {"S": "b"}}])
    );
    assert_eq!(read["UnprocessedKeys"], json!({}));
    let twice = json!([{"pk": {"S": "a"}}, {"pk": {"S": "a"}}]);
    let refused = aws
        .call(
            "BatchGetItem",
            json!({"RequestItems": {"Orders": {"Keys": twice}}}),
        )
        .await;
    refused.refused(
        "ValidationException",
        "Provided list of item keys contains duplicates",
    );
    assert_eq!(
        aws.call("DescribeLimits", json!({})).await.ok()["TableMaxReadCapacityUnits"],
        40_000
    );
    let unknown = aws.call("ExecuteStatement", json!({})).await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (400, "UnknownOperationException")
    );
    assert!(
        unknown.message().contains("'ExecuteStatement'"),
        "{}",
        unknown.message()
    );
}
