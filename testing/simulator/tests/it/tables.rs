//! Tables and their backup setting, as created with the AWS CLI.

use serde_json::json;

use crate::client::Aws;

#[tokio::test]
async fn a_table_is_made_described_listed_and_deleted() {
    let aws = Aws::start().await;
    let input = json!({
        "TableName": "Mine",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    let made = aws.call("CreateTable", input.clone()).await.ok();
    assert_eq!(made["TableDescription"]["TableStatus"], "CREATING");
    aws.call("CreateTable", input)
        .await
        .refused("ResourceInUseException", "Table already exists: Mine");
    let table = aws
        .call("DescribeTable", json!({"TableName": "Mine"}))
        .await
        .ok()["Table"]
        .clone();
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(
        table["TableArn"],
        "arn:aws:dynamodb:us-east-1:123456789012:table/Mine"
    );
    assert_eq!(
        table["BillingModeSummary"]["BillingMode"],
        "PAY_PER_REQUEST"
    );
    assert_eq!(
        table["KeySchema"][1],
        json!({"AttributeName": "sk", "KeyType": "RANGE"})
    );
    assert_eq!(
        aws.call("DescribeTable", json!({"TableName": table["TableArn"]}))
            .await
            .ok()["Table"],
        table
    );
    assert_eq!(
        aws.call("ListTables", json!({"Limit": 1})).await.ok(),
        json!({"TableNames": ["Mine"], "LastEvaluatedTableName": "Mine"})
    );
    let rest = aws
        .call("ListTables", json!({"ExclusiveStartTableName": "Mine"}))
        .await
        .ok();
    assert_eq!(rest, json!({"TableNames": ["Orders"]}));
    let gone = aws
        .call("DeleteTable", json!({"TableName": "Mine"}))
        .await
        .ok();
    assert_eq!(gone["TableDescription"]["TableStatus"], "DELETING");
    let missing = aws
        .call("DescribeTable", json!({"TableName": "Mine"}))
        .await;
    missing.refused(
        "ResourceNotFoundException",
        "Requested resource not found: Table: Mine not found",
    );
}

#[tokio::test]
async fn a_table_needs_keys_that_are_defined() {
    let aws = Aws::start().await;
    let base = json!({"TableName": "Mine", "BillingMode": "PAY_PER_REQUEST"});
    let with = |schema: serde_json::Value, definitions: serde_json::Value| {
        let mut input = base.clone();
        input["KeySchema"] = schema;
        input["AttributeDefinitions"] = definitions;
        input
    };
    for input in [
        base.clone(),
        with(json!([]), json!([])),
        with(
            json!([{"AttributeName": "pk", "KeyType": "HASH"}]),
            json!([]),
        ),
        with(
            json!([{"AttributeName": "pk", "KeyType": "RANGE"}]),
            json!([{"AttributeName": "pk", "AttributeType": "S"}]),
        ),
        with(
            json!([{"AttributeName": "pk", "KeyType": "HASH"}]),
            json!([{"AttributeName": "pk", "AttributeType": "M"}]),
        ),
    ] {
        assert_eq!(
            aws.call("CreateTable", input.clone()).await.code(),
            "ValidationException",
            "{input}"
        );
    }
}

#[tokio::test]
async fn recovery_is_turned_on_and_off() {
    let aws = Aws::start().await;
    aws.control()
        .create_table(&tableferry_simulator::TableSeed::new("Mine"))
        .unwrap();
    let recovery = async || {
        let body = aws
            .call("DescribeContinuousBackups", json!({"TableName": "Mine"}))
            .await
            .ok();
        body["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].clone()
    };
    assert_eq!(
        recovery().await,
        json!({"PointInTimeRecoveryStatus": "DISABLED"})
    );
    let set = async |on: bool| {
        let specification = json!({"PointInTimeRecoveryEnabled": on});
        aws.call(
            "UpdateContinuousBackups",
            json!({"TableName": "Mine", "PointInTimeRecoverySpecification": specification}),
        )
        .await
        .ok()
    };
    set(true).await;
    let enabled_at = aws.ago(time::Duration::ZERO);
    assert_eq!(
        (
            &recovery().await["EarliestRestorableDateTime"],
            &recovery().await["LatestRestorableDateTime"]
        ),
        (&enabled_at, &enabled_at)
    );
    aws.control()
        .advance(std::time::Duration::from_secs(3_600))
        .await;
    set(true).await;
    let later = recovery().await;
    assert_eq!(
        later["EarliestRestorableDateTime"], enabled_at,
        "turning it on again changes nothing"
    );
    assert_eq!(
        later["LatestRestorableDateTime"],
        aws.ago(time::Duration::minutes(5))
    );
    aws.control()
        .advance(std::time::Duration::from_secs(40 * 86_400))
        .await;
    assert_eq!(
        recovery().await["EarliestRestorableDateTime"],
        aws.ago(time::Duration::days(35))
    );
    set(false).await;
    assert_eq!(recovery().await["PointInTimeRecoveryStatus"], "DISABLED");
    let missing = aws
        .call("DescribeContinuousBackups", json!({"TableName": "None"}))
        .await;
    missing.refused("TableNotFoundException", "Table not found: None");
}
