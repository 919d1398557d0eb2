//! Items: put, get, delete, batches and scans.

use serde_json::{Value, json};

use crate::client::Aws;

fn item(number: u32) -> Value {
    json!({"pk": {"S": format!("item-{number:03}")}, "n": {"N": number.to_string()}})
}

#[tokio::test]
async fn an_item_is_put_got_and_deleted() {
    let aws = Aws::start().await;
    let on = |member: &str, value: Value| json!({"TableName": "Orders", member: value, "ReturnValues": "ALL_OLD"});
    assert_eq!(
        aws.call("PutItem", on("Item", item(1))).await.ok(),
        json!({})
    );
    let key = json!({"pk": {"S": "item-001"}});
    assert_eq!(
        aws.call("GetItem", on("Key", key.clone())).await.ok(),
        json!({"Item": item(1)})
    );
    assert_eq!(
        aws.call("DeleteItem", on("Key", key.clone())).await.ok(),
        json!({"Attributes": item(1)})
    );
    assert_eq!(aws.call("GetItem", on("Key", key)).await.ok(), json!({}));
    let wrong = aws
        .call("GetItem", on("Key", json!({"id": {"S": "a"}})))
        .await;
    wrong.refused(
        "ValidationException",
        "The provided key element does not match the schema",
    );
    let missing = aws
        .call("PutItem", on("Item", json!({"n": {"N": "1"}})))
        .await;
    missing.refused(
        "ValidationException",
        "One or more parameter values were invalid: Missing the key pk in the item",
    );
    let nowhere = aws
        .call(
            "GetItem",
            json!({"TableName": "None", "Key": {"pk": {"S": "a"}}}),
        )
        .await;
    nowhere.refused("ResourceNotFoundException", "Requested resource not found");
}

#[tokio::test]
async fn what_is_not_evaluated_is_refused() {
    let aws = Aws::start().await;
    for (operation, member) in [
        ("PutItem", "Expected"),
        ("DeleteItem", "Expected"),
        ("UpdateItem", "AttributeUpdates"),
        ("Scan", "ScanFilter"),
        ("Query", "IndexName"),
    ] {
        let input =
            json!({"TableName": "Orders", "Item": item(1), "Key": {"pk": {"S": "a"}}, member: {}});
        let refused = aws.call(operation, input).await;
        refused.refused(
            "ValidationException",
            &format!("{member} is not evaluated by this simulator"),
        );
    }
}

#[tokio::test]
async fn too_large_an_item_is_refused() {
    let aws = Aws::start().await;
    let large =
        json!({"TableName": "Orders", "Item": {"pk": {"S": "a"}, "v": {"S": "x".repeat(410_000)}}});
    aws.call("PutItem", large).await.refused(
        "ValidationException",
        "Item size has exceeded the maximum allowed size",
    );
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let aws = Aws::start().await;
    let puts: Vec<Value> = (0..25)
        .map(|number| json!({"PutRequest": {"Item": item(number)}}))
        .collect();
    let written = aws
        .call("BatchWriteItem", json!({"RequestItems": {"Orders": puts}}))
        .await
        .ok();
    assert_eq!(written, json!({"UnprocessedItems": {}}));
    let bad = json!([{"DeleteRequest": {"Key": {"pk": {"S": "item-000"}}}}, {"PutRequest": {"Item": {"n": {"N": "1"}}}}]);
    assert_eq!(
        aws.call("BatchWriteItem", json!({"RequestItems": {"Orders": bad}}))
            .await
            .code(),
        "ValidationException"
    );
    assert_eq!(
        aws.call("Scan", json!({"TableName": "Orders", "Select": "COUNT"}))
            .await
            .ok()["Count"],
        25
    );
    let twice = json!([{"PutRequest": {"Item": item(1)}}, {"PutRequest": {"Item": item(1)}}]);
    let refused = aws
        .call("BatchWriteItem", json!({"RequestItems": {"Orders": twice}}))
        .await;
    refused.refused(
        "ValidationException",
        "Provided list of item keys contains duplicates",
    );
    let many: Vec<Value> = (0..26)
        .map(|number| json!({"PutRequest": {"Item": item(number)}}))
        .collect();
    assert_eq!(
        aws.call("BatchWriteItem", json!({"RequestItems": {"Orders": many}}))
            .await
            .code(),
        "ValidationException"
    );
}

#[tokio::test]
async fn a_scan_goes_through_everything_once() {
    let aws = Aws::start().await;
    for number in 0..23 {
        aws.put(item(number), time::Duration::days(1));
    }
    let mut found = Vec::new();
    let mut start = Value::Null;
    loop {
        let page = aws
            .call(
                "Scan",
                json!({"TableName": "Orders", "Limit": 5, "ExclusiveStartKey": start}),
            )
            .await
            .ok();
        found.extend(page["Items"].as_array().unwrap().clone());
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            break;
        }
    }
    assert_eq!(found, (0..23).map(item).collect::<Vec<_>>());
    let mut together = 0;
    for segment in 0..3 {
        let part = aws
            .call(
                "Scan",
                json!({"TableName": "Orders", "Segment": segment, "TotalSegments": 3}),
            )
            .await
            .ok();
        together += part["Count"].as_u64().unwrap();
    }
    assert_eq!(together, 23);
}

#[tokio::test]
async fn the_sample_has_every_type_of_attribute() {
    let aws =
        Aws::with(|settings| settings.seed = Some(tableferry_simulator::Seed::sample())).await;
    let mut items = Vec::new();
    let mut start = Value::Null;
    loop {
        let page = aws
            .call(
                "Scan",
                json!({"TableName": "Orders", "ExclusiveStartKey": start}),
            )
            .await
            .ok();
        items.extend(page["Items"].as_array().unwrap().clone());
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            break;
        }
    }
    assert!(items.len() >= 1_000, "{}", items.len());
    let kinds: std::collections::BTreeSet<&String> = items
        .iter()
        .flat_map(|item| item.as_object().unwrap().values())
        .flat_map(|value| value.as_object().unwrap().keys())
        .collect();
    assert_eq!(
        kinds.into_iter().map(String::as_str).collect::<Vec<_>>(),
        ["B", "BOOL", "BS", "L", "M", "N", "NS", "NULL", "S", "SS"]
    );
    let done = aws
        .finished(json!({"S3Bucket": "tableferry-exports"}))
        .await;
    assert_eq!(done["ItemCount"], items.len());
}
