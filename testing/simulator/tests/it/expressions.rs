//! Expressions of item operations: conditions, filters, projections, key conditions and updates.

use serde_json::{Value, json};

use crate::client::Aws;

/// The table Readings with a sort key, and ten items of one partition and one of another.
async fn readings() -> Aws {
    let aws = Aws::start().await;
    let attribute = |name: &str, kind: &str| json!({"AttributeName": name, "AttributeType": kind});
    let key = |name: &str, role: &str| json!({"AttributeName": name, "KeyType": role});
    let table = json!({
        "TableName": "Readings", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [attribute("id", "S"), attribute("at", "N")],
        "KeySchema": [key("id", "HASH"), key("at", "RANGE")],
    });
    aws.call("CreateTable", table).await.ok();
    for at in 1..=10 {
        put(
            &aws,
            json!({"id": {"S": "a"}, "at": {"N": at.to_string()}, "even": {"BOOL": at % 2 == 0}}),
            json!({}),
        )
        .await;
    }
    put(&aws, json!({"id": {"S": "b"}, "at": {"N": "5"}}), json!({})).await;
    aws
}

async fn put(aws: &Aws, item: Value, members: Value) -> String {
    call(aws, "PutItem", json!({"Item": item}), members).await.1
}

/// Calls with the table's name and these members; returns the response and its error code.
async fn call(aws: &Aws, operation: &str, mut input: Value, members: Value) -> (Value, String) {
    input["TableName"] = json!("Readings");
    for (name, value) in members.as_object().unwrap() {
        input[name] = value.clone();
    }
    let answer = aws.call(operation, input).await;
    let code = answer.code().to_owned();
    (answer.body, code)
}

fn times(answer: &Value) -> Vec<i64> {
    answer["Items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["at"]["N"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn a_query_reads_one_partition_in_the_order_of_its_sort_key() {
    let aws = readings().await;
    let query = async |condition: &str, members: Value| {
        let values = json!({":a": {"S": "a"}, ":two": {"N": "2"}, ":nine": {"N": "9"}, ":yes": {"BOOL": true}});
        let text = format!("{condition} {members}");
        let used: Value = values
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| text.contains(name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        call(
            &aws,
            "Query",
            json!({"KeyConditionExpression": condition, "ExpressionAttributeValues": used}),
            members,
        )
        .await
    };
    assert_eq!(
        times(&query("id = :a", json!({})).await.0),
        (1..=10).collect::<Vec<_>>()
    );
    let names = json!({"ExpressionAttributeNames": {"#at": "at"}, "ScanIndexForward": false});
    assert_eq!(
        times(
            &query("id = :a AND #at BETWEEN :two AND :nine", names)
                .await
                .0
        ),
        [9, 8, 7, 6, 5, 4, 3, 2]
    );
    let even = json!({"FilterExpression": "even = :yes", "Limit": 5});
    let first = query("id = :a", even.clone()).await.0;
    assert_eq!(
        (times(&first), &first["ScannedCount"]),
        (vec![2, 4], &json!(5))
    );
    let mut rest = even;
    rest["ExclusiveStartKey"] = first["LastEvaluatedKey"].clone();
    assert_eq!(times(&query("id = :a", rest).await.0), [6, 8, 10]);
    let projected = query(
        "id = :a",
        json!({"ProjectionExpression": "even", "Limit": 1}),
    )
    .await
    .0;
    assert_eq!(projected["Items"], json!([{"even": {"BOOL": false}}]));
    assert_eq!(
        query("even = :yes", json!({})).await.1,
        "ValidationException"
    );
    assert_eq!(
        call(&aws, "Query", json!({}), json!({})).await.1,
        "ValidationException"
    );
    let scanned = call(
        &aws,
        "Scan",
        json!({"FilterExpression": "attribute_not_exists(even)"}),
        json!({}),
    )
    .await
    .0;
    assert_eq!(
        (times(&scanned), &scanned["ScannedCount"]),
        (vec![5], &json!(11))
    );
}

#[tokio::test]
async fn writes_have_conditions() {
    let aws = readings().await;
    let absent = json!({"ConditionExpression": "attribute_not_exists(#id)", "ExpressionAttributeNames": {"#id": "id"}});
    let item = |at: &str| json!({"id": {"S": "a"}, "at": {"N": at}});
    assert_eq!(
        put(&aws, item("1"), absent.clone()).await,
        "ConditionalCheckFailedException"
    );
    assert_eq!(put(&aws, item("11"), absent).await, "");
    let even = json!({"ConditionExpression": "even = :yes", "ExpressionAttributeValues": {":yes": {"BOOL": true}}});
    assert_eq!(
        call(&aws, "DeleteItem", json!({"Key": item("1")}), even.clone())
            .await
            .1,
        "ConditionalCheckFailedException"
    );
    assert_eq!(
        call(&aws, "DeleteItem", json!({"Key": item("2")}), even)
            .await
            .1,
        ""
    );
    let bad = call(
        &aws,
        "DeleteItem",
        json!({"Key": item("3")}),
        json!({"ConditionExpression": "even ="}),
    )
    .await;
    assert_eq!(bad.1, "ValidationException");
    assert!(
        bad.0["message"]
            .as_str()
            .unwrap()
            .contains("ConditionExpression"),
        "{}",
        bad.0
    );
}

#[tokio::test]
async fn an_item_is_updated_or_made() {
    let aws = readings().await;
    let update = async |at: &str, expression: &str, members: Value| {
        let input = json!({"Key": {"id": {"S": "a"}, "at": {"N": at}}, "UpdateExpression": expression, "ReturnValues": "ALL_NEW"});
        call(&aws, "UpdateItem", input, members).await
    };
    let values = |values: Value| json!({"ExpressionAttributeValues": values});
    let made = update(
        "20",
        "SET n = if_not_exists(n, :zero) + :one, #t = :s ADD tags :tags",
        json!({
            "ExpressionAttributeNames": {"#t": "text"},
            "ExpressionAttributeValues": {":zero": {"N": "0"}, ":one": {"N": "1.5"}, ":s": {"S": "x"}, ":tags": {"SS": ["a", "b"]}},
        }),
    );
    let expected = json!({"id": {"S": "a"}, "at": {"N": "20"}, "n": {"N": "1.5"}, "text": {"S": "x"}, "tags": {"SS": ["a", "b"]}});
    assert_eq!(made.await.0["Attributes"], expected);
    let changed = update(
        "20",
        "REMOVE text ADD n :one, tags :c DELETE other :c",
        values(json!({":one": {"N": "1"}, ":c": {"SS": ["c", "a"]}})),
    )
    .await
    .0;
    assert_eq!(
        changed["Attributes"],
        json!({"id": {"S": "a"}, "at": {"N": "20"}, "n": {"N": "2.5"}, "tags": {"SS": ["a", "b", "c"]}})
    );
    let less = update(
        "20",
        "DELETE tags :all SET l = list_append(:l, :l)",
        values(json!({":all": {"SS": ["a", "b", "c"]}, ":l": {"L": [{"N": "1"}]}})),
    )
    .await
    .0;
    assert_eq!(
        less["Attributes"],
        json!({"id": {"S": "a"}, "at": {"N": "20"}, "n": {"N": "2.5"}, "l": {"L": [{"N": "1"}, {"N": "1"}]}})
    );
    let mut only_even = values(json!({":yes": {"BOOL": true}, ":s": {"S": "x"}}));
    only_even["ConditionExpression"] = json!("even = :yes");
    assert_eq!(
        update("1", "SET t = :s", only_even.clone()).await.1,
        "ConditionalCheckFailedException"
    );
    assert_eq!(update("2", "SET t = :s", only_even).await.1, "");
    for (expression, given) in [
        ("SET id = :s", json!({":s": {"S": "b"}})),
        ("SET a.b = :s", json!({":s": {"S": "b"}})),
        ("SET a = :missing", json!({":s": {"S": "b"}})),
        ("SET a :s", json!({":s": {"S": "b"}})),
        ("SET a = nothing", json!({":s": {"S": "b"}})),
        ("PUT a :s", json!({":s": {"S": "b"}})),
    ] {
        assert_eq!(
            update("1", expression, values(given)).await.1,
            "ValidationException",
            "{expression}"
        );
    }
}
