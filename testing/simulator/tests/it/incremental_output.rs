//! The files of an incremental export: the change of each item, both views, the shared folder, the
//! minimum billed size.

use serde_json::{Value, json};
use time::Duration;

use crate::client::Aws;

fn item(key: &str, version: u32) -> Value {
    json!({"pk": {"S": key}, "v": {"N": version.to_string()}})
}

fn key(key: &str) -> Value {
    json!({"pk": {"S": key}})
}

/// A window of two hours, from three hours ago, with every kind of change.
async fn changed() -> (Aws, Value) {
    let aws = Aws::start().await;
    let minutes = Duration::minutes;
    aws.put(item("untouched", 1), minutes(300));
    aws.put(item("updated", 1), minutes(300));
    aws.put(item("updated", 2), minutes(170));
    aws.put(item("updated", 3), minutes(160));
    aws.put(item("deleted", 1), minutes(300));
    aws.delete(key("deleted"), minutes(150));
    aws.put(item("inserted", 1), minutes(140));
    aws.put(item("came and went", 1), minutes(130));
    aws.delete(key("came and went"), minutes(120));
    aws.put(item("later", 1), minutes(30));
    let window =
        json!({"ExportFromTime": aws.ago(minutes(180)), "ExportToTime": aws.ago(minutes(60))});
    (aws, window)
}

async fn export(aws: &Aws, window: &Value, view: Option<&str>) -> Value {
    let mut specification = window.clone();
    if let Some(view) = view {
        specification["ExportViewType"] = json!(view);
    }
    aws.finished(json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification})).await
}

fn of<'a>(records: &'a [Value], name: &str) -> &'a Value {
    records
        .iter()
        .find(|record| record["Keys"]["pk"]["S"] == *name)
        .unwrap()
}

#[tokio::test]
async fn both_images_tell_insert_update_and_delete_apart() {
    let (aws, window) = changed().await;
    let done = export(&aws, &window, None).await;
    let records = aws.records(&done).await;
    assert_eq!((records.len(), &done["ItemCount"]), (3, &json!(3)));
    let inserted = of(&records, "inserted");
    assert_eq!(
        (&inserted["NewImage"], inserted.get("OldImage")),
        (&item("inserted", 1), None)
    );
    let updated = of(&records, "updated");
    assert_eq!(
        (&updated["NewImage"], &updated["OldImage"]),
        (&item("updated", 3), &item("updated", 1))
    );
    let deleted = of(&records, "deleted");
    assert_eq!(
        (deleted.get("NewImage"), &deleted["OldImage"]),
        (None, &item("deleted", 1))
    );
    for record in &records {
        assert!(
            record["Metadata"]["WriteTimestampMicros"]["N"]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .is_ok()
        );
    }
}

#[tokio::test]
async fn the_new_image_alone_shows_a_delete_as_keys() {
    let (aws, window) = changed().await;
    let done = export(&aws, &window, Some("NEW_IMAGE")).await;
    assert_eq!(
        done["IncrementalExportSpecification"]["ExportViewType"],
        "NEW_IMAGE"
    );
    let records = aws.records(&done).await;
    assert!(
        records
            .iter()
            .all(|record| record.get("OldImage").is_none())
    );
    assert_eq!(of(&records, "updated")["NewImage"], item("updated", 3));
    let deleted = of(&records, "deleted");
    assert_eq!(
        deleted.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["Keys", "Metadata"]
    );
    let summary = aws.json(done["ExportManifest"].as_str().unwrap()).await;
    assert_eq!(summary["outputView"], "NEW_IMAGE");
}

#[tokio::test]
async fn the_window_includes_its_start_and_not_its_end() {
    let aws = Aws::start().await;
    let (from, to) = (aws.ago(Duration::hours(3)), aws.ago(Duration::hours(2)));
    let control = aws.control();
    for (name, seconds) in [("start", &from), ("end", &to)] {
        let at = time::OffsetDateTime::from_unix_timestamp(seconds.as_i64().unwrap()).unwrap();
        control
            .put_item(
                crate::client::ACCOUNT,
                crate::client::REGION,
                "Orders",
                &item(name, 1),
                at,
            )
            .unwrap();
    }
    let done = export(
        &aws,
        &json!({"ExportFromTime": from, "ExportToTime": to}),
        None,
    )
    .await;
    let records = aws.records(&done).await;
    assert_eq!(records.len(), 1);
    of(&records, "start");
}

#[tokio::test]
async fn windows_of_one_prefix_share_a_folder_and_an_empty_one_costs_the_floor() {
    let (aws, window) = changed().await;
    let first = export(&aws, &window, None).await;
    let empty = json!({"ExportFromTime": aws.ago(Duration::minutes(20)), "ExportToTime": aws.ago(Duration::minutes(1))});
    let second = export(&aws, &empty, None).await;
    assert_eq!(
        (&second["ItemCount"], &second["BilledSizeBytes"]),
        (&json!(0), &json!(10_000_000))
    );
    assert_eq!(first["BilledSizeBytes"], json!(10_000_000));
    let mut keys = Vec::new();
    for done in [&first, &second] {
        for file in aws.files(done).await {
            let key = file["dataFileS3Key"].as_str().unwrap().to_owned();
            assert!(key.starts_with("AWSDynamoDB/data/"), "{key}");
            keys.push(key);
        }
        assert!(
            done["ExportManifest"]
                .as_str()
                .unwrap()
                .starts_with("AWSDynamoDB/0")
        );
        assert!(
            done["ExportArn"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()[..14]
                .ends_with("000"),
            "whole seconds"
        );
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 8, "no file is of two exports");
    let summary = aws.json(first["ExportManifest"].as_str().unwrap()).await;
    assert_eq!(summary["version"], "2023-08-01");
    assert_eq!(summary["exportType"], "INCREMENTAL_EXPORT");
    assert_eq!(summary["outputView"], "NEW_AND_OLD_IMAGES");
    assert!(summary["exportFromTime"].is_string() && summary["exportToTime"].is_string());
    assert!(summary.get("exportTime").is_none());
}

#[tokio::test]
async fn ion_has_the_same_records() {
    let (aws, window) = changed().await;
    let members = json!({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": window, "ExportFormat": "ION"});
    let done = aws.finished(members).await;
    let lines = aws.lines(&done).await;
    assert_eq!(lines.len(), 3);
    let updated = lines.iter().find(|line| line.contains("updated")).unwrap();
    assert!(
        updated.starts_with("$ion_1_0 {Record:{Keys:{pk:"),
        "{updated}"
    );
    assert!(
        updated.ends_with(r#",OldImage:{pk:"updated",v:1.},NewImage:{pk:"updated",v:3.}}}"#),
        "{updated}"
    );
}
