//! The estimated duration and cost of an export, and the final cost.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TABLE, TestApp, ago, create_body};

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is not a number"))
}

/// Runs an export of the usual table to its end by AWS's own clock. Returns its id.
async fn exported(app: &TestApp) -> String {
    let id = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    app.advance(Duration::from_secs(1000)).await;
    app.step_exports().await;
    id
}

#[tokio::test]
async fn first_what_is_known_of_aws_then_what_the_table_took() {
    let app = TestApp::start().await;
    let first = exported(&app).await;
    let done = app.export(&first).await;
    assert_eq!(
        (
            &done["estimate"]["basis"],
            &done["estimate"]["size_in_bytes"]
        ),
        (&json!("known_range"), &Value::Null)
    );
    assert!(done["estimate"]["expected_end_time"].is_string());
    let billed = number(&done["billed_size_in_bytes"]);
    assert!((number(&done["billed_cost"]) - billed / 1e9 * 0.1).abs() < 1e-6);
    let second = app.create(&create_body()).await.expect(202);
    let estimate = &second.json["estimate"];
    assert_eq!(
        (&estimate["basis"], &estimate["size_in_bytes"]),
        (
            &json!("past_exports_of_this_table"),
            &done["billed_size_in_bytes"]
        )
    );
    assert!((number(&estimate["cost"]) - number(&done["billed_cost"])).abs() < 1e-9);
    assert_eq!(second.json["billed_cost"], Value::Null);
    app.step_exports().await;
    let running = app.export(&second.id()).await;
    assert_ne!(running["estimate"]["expected_end_time"], Value::Null);
    let list = app.get("/v1/exports").await.expect(200);
    assert!(
        list.json["exports"]
            .as_array()
            .unwrap()
            .iter()
            .all(|export| export["estimate"].is_object())
    );
}

#[tokio::test]
async fn a_preflight_tells_the_size_and_others_of_that_size_the_duration() {
    let app = TestApp::start().await;
    exported(&app).await;
    let mut body = create_body();
    body["table_arn"] = json!(TABLE.replace("Orders", "Empty"));
    let empty = app.create(&body).await.expect(202);
    assert_eq!(empty.json["estimate"]["basis"], "known_range");
    let sized = app
        .send(
            app.request(Method::POST, "/v1/exports?preflight=true")
                .json(&create_body()),
        )
        .await
        .expect(202);
    assert!(number(&sized.json["estimate"]["size_in_bytes"]) > 0.0);
    // Delete the same table's exports, except for one of another name and its size.
    sqlx::query("UPDATE exports SET table_arn = replace(table_arn, 'Orders', 'Similar')")
        .execute(&app.pool)
        .await
        .unwrap();
    let similar = app
        .send(
            app.request(Method::POST, "/v1/exports?preflight=true")
                .json(&create_body()),
        )
        .await
        .expect(202);
    assert_eq!(similar.json["estimate"]["basis"], "similar_size");
}

#[tokio::test]
async fn an_incremental_export_costs_ten_megabytes_at_least() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["export_type"] = json!("INCREMENTAL_EXPORT");
    body["incremental_export_specification"] =
        json!({"export_from_time": ago(7200), "export_to_time": ago(3600)});
    let created = app.create(&body).await.expect(202);
    assert_eq!(created.json["estimate"]["size_in_bytes"], 10_000_000);
    assert!((number(&created.json["estimate"]["cost"]) - 0.001).abs() < 1e-9);
}
