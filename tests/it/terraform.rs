//! The three examples of the Terraform resource, by name, and its import.

use serde_json::json;

use crate::support::{BUCKET, TABLE, TestApp, ago, create_body};

#[tokio::test]
async fn basic_usage() {
    let app = TestApp::start().await;
    let created = app.create(&create_body()).await.expect(202);
    assert_eq!(
        created.header("location"),
        format!("/v1/exports/{}", created.id())
    );
    assert_eq!(created.json["export_status"], "PENDING");
    assert_eq!(created.json["export_format"], "DYNAMODB_JSON");
    assert_eq!(created.json["export_type"], "FULL_EXPORT");
    assert_eq!(created.json["timeouts"]["create"], "60m");
    assert_eq!(created.json["arn"], json!(null));

    app.step_exports().await;
    let running = app.export(&created.id()).await;
    assert_eq!(running["export_status"], "IN_PROGRESS");
    assert!(
        running["arn"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{TABLE}/export/"))
    );
    assert!(running["start_time"].is_string() && running["end_time"].is_null());
    assert!(
        running["export_time"].is_string(),
        "AWS settled the time that was left open"
    );

    app.aws.finish_exports().await;
    app.step_exports().await;
    let done = app.export(&created.id()).await;
    assert_eq!(done["export_status"], "COMPLETED");
    assert!(done["item_count"].as_i64().unwrap() >= 1000);
    assert!(done["billed_size_in_bytes"].as_i64().unwrap() > 0);
    assert!(done["end_time"].is_string());
    assert!(
        done["manifest_files_s3_key"]
            .as_str()
            .unwrap()
            .ends_with("/manifest-summary.json")
    );
    assert_eq!(done["s3_sse_algorithm"], "AES256");
    assert_eq!(
        app.event_types(&created.id()).await,
        ["export.created", "export.started", "export.completed"]
    );
}

#[tokio::test]
async fn example_with_export_time() {
    let app = TestApp::start().await;
    // An offset, as in the resource's own example; it is returned in UTC and stays that way.
    let utc = ago(3 * 3600);
    let with_offset = shift_one_hour_east(&utc);
    let mut body = create_body();
    body["export_time"] = json!(with_offset);
    let created = app.create(&body).await.expect(202);
    assert_eq!(created.json["export_time"], utc);
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    let done = app.export(&created.id()).await;
    assert_eq!(
        (&done["export_status"], &done["export_time"]),
        (&json!("COMPLETED"), &json!(utc))
    );
}

#[tokio::test]
async fn incremental_export() {
    let app = TestApp::start().await;
    let (from, to) = (ago(3 * 3600), ago(2 * 3600));
    let mut body = create_body();
    body["export_type"] = json!("INCREMENTAL_EXPORT");
    body["incremental_export_specification"] = json!({"export_from_time": shift_one_hour_east(&from), "export_to_time": shift_one_hour_east(&to)});
    let id = app.export_to_end(&body).await;
    let done = app.export(&id).await;
    assert_eq!(done["export_status"], "COMPLETED", "{done}");
    let window = &done["incremental_export_specification"];
    assert_eq!(
        window,
        &json!({"export_from_time": from, "export_to_time": to, "export_view_type": "NEW_AND_OLD_IMAGES"})
    );
    assert!(
        done["billed_size_in_bytes"].as_i64().unwrap() >= 10_000_000,
        "AWS bills 10 MB at least"
    );
}

#[tokio::test]
async fn every_argument_reaches_aws_and_comes_back() {
    let app = TestApp::start().await;
    let body = json!({
        "table_arn": TABLE, "s3_bucket": BUCKET, "s3_bucket_owner": "123456789012", "s3_prefix": "a/b/", "s3_sse_algorithm": "KMS",
        "export_format": "ION", "export_time": ago(7200), "timeouts": {"create": "1h30m"}, "labels": {"team": "orders"},
        "filter_specification": {
            "filter_expression": "#s = :open", "expression_attribute_names": {"#s": "status"}, "expression_attribute_values": {":open": {"S": "open"}},
        },
    });
    let id = app.export_to_end(&body).await;
    let done = app.export(&id).await;
    assert_eq!(done["export_status"], "COMPLETED", "{done}");
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&done[name], value, "{name}");
    }
    assert!(
        done["manifest_files_s3_key"]
            .as_str()
            .unwrap()
            .starts_with("a/b/AWSDynamoDB/")
    );
}

/// The same moment, written with the offset +01:00.
fn shift_one_hour_east(utc: &str) -> String {
    use time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::parse(utc, &Rfc3339).unwrap();
    time.to_offset(time::UtcOffset::from_hms(1, 0, 0).unwrap())
        .format(&Rfc3339)
        .unwrap()
}
