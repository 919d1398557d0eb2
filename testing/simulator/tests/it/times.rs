//! Times of full exports and windows of incremental ones, against the table's age and its recovery
//! setting.

use serde_json::{Value, json};
use tableferry_simulator::{Age, TableSeed};
use time::Duration;

use crate::client::{Aws, ORDERS};

async fn incremental(aws: &Aws, table: &str, specification: Value) -> crate::client::Answer {
    let arn = ORDERS.replace("Orders", table);
    aws.export(json!({"TableArn": arn, "ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification})).await
}

#[tokio::test]
async fn a_full_export_is_of_a_restorable_time() {
    let aws = Aws::start().await;
    let at = async |ago: Duration| aws.export(json!({"ExportTime": aws.ago(ago)})).await;
    at(Duration::hours(-1))
        .await
        .refused("InvalidExportTimeException", "Export Time is invalid");
    at(Duration::days(11))
        .await
        .refused("InvalidExportTimeException", "Export Time is invalid");
    let recent = "Point in Time Recovery is not available for specified export time";
    at(Duration::SECOND)
        .await
        .refused("InvalidExportTimeException", recent);
    at(Duration::minutes(4))
        .await
        .refused("InvalidExportTimeException", recent);
    at(Duration::minutes(6)).await.ok();
    at(Duration::days(10)).await.ok();
}

#[tokio::test]
async fn the_recovery_period_bounds_the_past() {
    let aws = Aws::start().await;
    let input = json!({"TableName": "Orders", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 2}});
    aws.call("UpdateContinuousBackups", input).await.ok();
    aws.export(json!({"ExportTime": aws.ago(Duration::days(3))}))
        .await
        .refused("InvalidExportTimeException", "Export Time is invalid");
    aws.export(json!({"ExportTime": aws.ago(Duration::days(1))}))
        .await
        .ok();
}

#[tokio::test]
async fn a_window_is_15_minutes_to_24_hours_after_the_tables_creation_and_before_now() {
    let aws = Aws::start().await;
    let window = async |from: Duration, to: Duration| {
        incremental(
            &aws,
            "Orders",
            json!({"ExportFromTime": aws.ago(from), "ExportToTime": aws.ago(to)}),
        )
        .await
    };
    let short = "Difference between export period from time and export period to time is less than 15 minutes";
    window(Duration::minutes(10), Duration::ZERO)
        .await
        .refused("InvalidExportTimeException", short);
    window(Duration::hours(1), Duration::hours(2))
        .await
        .refused("InvalidExportTimeException", short);
    let long = "Difference between export period from time and export period to time is greater than 24 hours";
    window(Duration::hours(26), Duration::hours(1))
        .await
        .refused("InvalidExportTimeException", long);
    let future = window(Duration::hours(1), Duration::hours(-1)).await;
    assert!(
        future.message().starts_with(
            "Incremental export period to time cannot be greater than the current time : 20"
        ),
        "{}",
        future.body
    );
    // The table's age is checked before the window's length.
    let old = window(Duration::days(12), Duration::hours(1)).await;
    assert!(
        old.message().starts_with(
            "Incremental export period from time cannot be less than the table creation time : 20"
        ),
        "{}",
        old.body
    );
    window(Duration::minutes(15), Duration::ZERO).await.ok();
    window(Duration::hours(24), Duration::ZERO).await.ok();
}

#[tokio::test]
async fn a_fresh_table_needs_its_first_quarter_of_an_hour() {
    let aws = Aws::start().await;
    aws.control()
        .create_table(&TableSeed {
            recovery_age: Some(Age::default()),
            ..TableSeed::new("Fresh")
        })
        .unwrap();
    let from = aws.ago(Duration::ZERO);
    let early = incremental(&aws, "Fresh", json!({"ExportFromTime": from})).await;
    early.refused(
        "InvalidExportTimeException",
        "Difference between export period from time and export period to time is less than 15 minutes",
    );
    aws.control()
        .advance(std::time::Duration::from_secs(901))
        .await;
    incremental(&aws, "Fresh", json!({"ExportFromTime": from}))
        .await
        .ok();
}

#[tokio::test]
async fn a_full_export_is_possible_the_moment_recovery_is_on() {
    let aws = Aws::start().await;
    aws.control()
        .create_table(&TableSeed {
            recovery_age: Some(Age::default()),
            ..TableSeed::new("Fresh")
        })
        .unwrap();
    aws.export(json!({"TableArn": ORDERS.replace("Orders", "Fresh")}))
        .await
        .ok();
}

#[tokio::test]
async fn a_window_without_an_end_ends_now() {
    let aws = Aws::start().await;
    let body = incremental(
        &aws,
        "Orders",
        json!({"ExportFromTime": aws.ago(Duration::hours(1))}),
    )
    .await
    .ok();
    let description = &body["ExportDescription"];
    let specification = &description["IncrementalExportSpecification"];
    assert_eq!(specification["ExportToTime"], aws.ago(Duration::ZERO));
    assert_eq!(specification["ExportViewType"], "NEW_AND_OLD_IMAGES");
    assert!(description.get("ExportTime").is_none());
    assert_eq!(
        description["StartTime"],
        aws.ago(Duration::ZERO),
        "whole seconds"
    );
}
