//! The output of a filtered export, and what it is billed for.

use serde_json::{Value, json};
use time::Duration;

use crate::client::Aws;

fn order(key: &str, status: &str, amount: u32) -> Value {
    json!({"pk": {"S": key}, "Status": {"S": status}, "amount": {"N": amount.to_string()}, "parts": {"L": [{"S": "first"}, {"S": "second"}]}})
}

fn open() -> Value {
    json!({
        "FilterExpression": "#s = :open AND amount >= :least",
        "ExpressionAttributeNames": {"#s": "Status"},
        "ExpressionAttributeValues": {":open": {"S": "open"}, ":least": {"N": "10"}},
    })
}

/// The records' items or images by their partition keys, in order.
fn keys<'a>(records: &'a [Value], image: &str) -> Vec<&'a str> {
    let mut keys: Vec<_> = records
        .iter()
        .filter_map(|record| record[image]["pk"]["S"].as_str())
        .collect();
    keys.sort_unstable();
    keys
}

async fn orders() -> Aws {
    let aws = Aws::start().await;
    for (key, status, amount) in [
        ("a", "open", 9),
        ("b", "open", 10),
        ("c", "closed", 50),
        ("d", "open", 100),
    ] {
        aws.put(order(key, status, amount), Duration::days(1));
    }
    aws
}

#[tokio::test]
async fn a_filter_keeps_items_and_all_are_billed() {
    let aws = orders().await;
    let whole = aws.finished(json!({})).await;
    for format in ["DYNAMODB_JSON", "ION"] {
        let done = aws
            .finished(json!({"FilterSpecification": open(), "ExportFormat": format}))
            .await;
        assert_eq!(
            (&done["ItemCount"], &done["BilledSizeBytes"]),
            (&json!(2), &whole["BilledSizeBytes"]),
            "{format}"
        );
        let files = aws.files(&done).await;
        assert_eq!(
            files
                .iter()
                .map(|file| file["itemCount"].as_u64().unwrap())
                .sum::<u64>(),
            2,
            "{format}"
        );
        assert_eq!(aws.lines(&done).await.len(), 2, "{format}");
    }
    let done = aws.finished(json!({"FilterSpecification": open()})).await;
    let records = aws.records(&done).await;
    assert_eq!(keys(&records, "Item"), ["b", "d"]);
    assert!(
        records.contains(&json!({"Item": order("b", "open", 10)})),
        "the whole item"
    );
    let summary = aws.json(done["ExportManifest"].as_str().unwrap()).await;
    assert_eq!(summary["itemCount"], 2);
}

#[tokio::test]
async fn a_key_condition_limits_what_is_billed_and_a_projection_what_is_written() {
    let aws = orders().await;
    let whole = aws.finished(json!({})).await;
    let filter = json!({
        "KeyConditionExpression": "pk = :d", "ProjectionExpression": "amount, parts[1]", "ExpressionAttributeValues": {":d": {"S": "d"}},
    });
    let done = aws.finished(json!({"FilterSpecification": filter})).await;
    assert_eq!(
        aws.records(&done).await,
        [json!({"Item": {"amount": {"N": "100"}, "parts": {"L": [{"S": "second"}]}}})]
    );
    let bytes = |done: &Value| done["BilledSizeBytes"].as_u64().unwrap();
    assert!(
        bytes(&done) > 0 && bytes(&done) < bytes(&whole) / 2,
        "{} of {}",
        bytes(&done),
        bytes(&whole)
    );
    let nothing = json!({"KeyConditionExpression": "pk = :d", "FilterExpression": "attribute_not_exists(amount)",
        "ExpressionAttributeValues": {":d": {"S": "d"}}});
    let nothing = aws.finished(json!({"FilterSpecification": nothing})).await;
    assert_eq!(
        (&nothing["ItemCount"], bytes(&nothing)),
        (&json!(0), bytes(&done)),
        "read, but not kept"
    );
    assert_eq!(aws.files(&nothing).await.len(), 4, "empty files");
}

/// Inserts and updates by their latest image, deletes by the old one.
#[tokio::test]
async fn an_incremental_export_is_filtered_by_the_right_image() {
    let aws = Aws::start().await;
    let minutes = Duration::minutes;
    for key in [
        "closes",
        "opens",
        "deleted",
        "deleted while closed",
        "untouched",
    ] {
        let status = if ["opens", "deleted while closed"].contains(&key) {
            "closed"
        } else {
            "open"
        };
        aws.put(order(key, status, 10), minutes(300));
    }
    aws.put(order("closes", "closed", 10), minutes(150));
    aws.put(order("opens", "open", 10), minutes(150));
    aws.put(order("inserted", "open", 10), minutes(150));
    aws.put(order("inserted closed", "closed", 10), minutes(150));
    aws.delete(json!({"pk": {"S": "deleted"}}), minutes(150));
    aws.delete(json!({"pk": {"S": "deleted while closed"}}), minutes(150));
    let window =
        json!({"ExportFromTime": aws.ago(minutes(180)), "ExportToTime": aws.ago(minutes(60))});
    let members = |filter: Value, view: &str| {
        let mut specification = window.clone();
        specification["ExportViewType"] = json!(view);
        json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification, "FilterSpecification": filter})
    };
    for view in ["NEW_AND_OLD_IMAGES", "NEW_IMAGE"] {
        let done = aws.finished(members(open(), view)).await;
        assert_eq!(
            keys(&aws.records(&done).await, "Keys"),
            ["deleted", "inserted", "opens"],
            "{view}"
        );
        assert_eq!(done["ItemCount"], 3);
    }
    let mut projected = open();
    projected["ProjectionExpression"] = json!("#s");
    let records = aws
        .records(&aws.finished(members(projected, "NEW_AND_OLD_IMAGES")).await)
        .await;
    let opens = records
        .iter()
        .find(|record| record["Keys"]["pk"]["S"] == "opens")
        .unwrap();
    assert_eq!(opens["Keys"], json!({"pk": {"S": "opens"}}), "keys stay");
    assert_eq!(opens["NewImage"], json!({"Status": {"S": "open"}}));
    assert_eq!(opens["OldImage"], json!({"Status": {"S": "closed"}}));
    let condition = json!({"KeyConditionExpression": "pk = :k", "ExpressionAttributeValues": {":k": {"S": "deleted"}}});
    let done = aws.finished(members(condition, "NEW_IMAGE")).await;
    assert_eq!(keys(&aws.records(&done).await, "Keys"), ["deleted"]);
    assert_eq!(done["BilledSizeBytes"], 10_000_000, "the floor");
}
