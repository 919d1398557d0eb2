//! Lanes: AWS is called no faster than its limits allow, and trouble in one lane does not affect
//! others.

use std::time::Duration;

use serde_json::{Value, json};
use tableferry_simulator::{Age, Fault, FaultKind, TableSeed};

use crate::support::{BUCKET, TestApp, TestOptions, create_body};

/// A service with default limits, on an AWS with its limits and a table so small that the time goes
/// to what is tested; AWS still takes about 12 minutes for it.
async fn start_limited() -> TestApp {
    let options = TestOptions {
        limits: true,
        longest_poll: Duration::from_secs(120),
        ..TestOptions::default()
    };
    let app = TestApp::start_with(options).await;
    for region in ["us-east-1", "eu-west-1"] {
        let mut small = TableSeed::new("Small");
        small.region = Some(region.to_owned());
        small.age = Age(time::Duration::days(2));
        small.recovery_age = Some(Age(time::Duration::days(1)));
        small.items = vec![json!({"pk": {"S": "one"}}).as_object().unwrap().clone()];
        app.aws.create_table(&small).unwrap();
    }
    app
}

/// A body for the small table.
fn small_body() -> Value {
    json!({"table_arn": SMALL, "s3_bucket": BUCKET, "timeouts": {"create": "24h"}})
}

const SMALL: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/Small";

#[tokio::test]
async fn two_thousand_exports_against_aws_s_real_limits() {
    let app = start_limited().await;
    for _ in 0..2000 {
        app.create(&small_body()).await.expect(202);
    }
    let ended = "SELECT count(*) FROM exports WHERE export_status = 'COMPLETED'";
    let mut rounds = 0;
    while sqlx::query_scalar::<_, i64>(ended)
        .fetch_one(&app.pool)
        .await
        .unwrap()
        < 2000
    {
        while app.step_due_exports().await > 0 {}
        app.pass(Duration::from_secs(15)).await;
        rounds += 1;
        assert!(rounds < 1000, "it does not come to an end");
    }
    // The limit of 300 in flight is AWS's: AWS would have reported a violation.
    let calls = app.aws.calls();
    let (throttled, over): (Vec<_>, Vec<_>) = (
        calls
            .iter()
            .filter(|c| c.outcome == "ThrottlingException")
            .collect(),
        calls
            .iter()
            .filter(|c| c.outcome == "LimitExceededException")
            .collect(),
    );
    assert!(
        throttled.len() * 20 < calls.len(),
        "{} of {} calls were throttled",
        throttled.len(),
        calls.len()
    );
    assert!(over.is_empty(), "{} starts met a full quota", over.len());
    // In order: an ARN contains the millisecond of its start.
    let starts: Vec<String> = sqlx::query_scalar(
        "SELECT substring(export_arn from '/export/([0-9]+)-') FROM exports ORDER BY id",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert!(starts.is_sorted());
    assert_eq!(app.aws.exports().len(), 2000);
}

#[tokio::test]
async fn who_waits_for_a_place_is_told_so() {
    let app = start_limited().await;
    let mut last = String::new();
    for _ in 0..302 {
        last = app.create(&small_body()).await.expect(202).id();
    }
    for _ in 0..40 {
        while app.step_due_exports().await > 0 {}
        app.clock.advance(Duration::from_secs(10));
        // Starts may continue while polls find nothing ended.
        app.aws.advance(Duration::from_secs(10)).await;
        if app.export(&last).await["status_reason"]
            .to_string()
            .contains("300 exports")
        {
            break;
        }
    }
    let waiting = app.export(&last).await;
    assert_eq!(waiting["export_status"], "PENDING");
    assert_eq!(
        waiting["status_reason"],
        "waiting: 300 exports of this account already run in this region"
    );
    assert_eq!(
        app.event_types(&last).await,
        ["export.created", "export.delayed"]
    );
    for _ in 0..60 {
        app.aws.finish_exports().await;
        while app.step_due_exports().await > 0 {}
        app.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(app.export(&last).await["export_status"], "COMPLETED");
}

#[tokio::test]
async fn a_throttled_lane_does_not_slow_another() {
    let app = start_limited().await;
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Throttle).region("us-east-1"));
    let throttled = app.create(&small_body()).await.expect(202).id();
    app.step_due_exports().await;
    assert_eq!(app.step_due_exports().await, 0, "the lane pauses");
    let mut elsewhere = small_body();
    elsewhere["table_arn"] = json!("arn:aws:dynamodb:eu-west-1:123456789012:table/Small");
    let other = app.create(&elsewhere).await.expect(202).id();
    app.step_due_exports().await;
    assert_ne!(app.export(&other).await["export_status"], "PENDING");
    assert_eq!(app.export(&throttled).await["export_status"], "PENDING");
}

#[tokio::test]
async fn a_full_quota_at_aws_keeps_exports_pending_in_order() {
    let app = start_limited().await;
    let ids = [
        app.create(&small_body()).await.expect(202).id(),
        app.create(&small_body()).await.expect(202).id(),
    ];
    // Other users of the account use up the quota.
    let aws = app.another_aws().await;
    for n in 0..300 {
        elsewhere(&aws, n).await;
        app.aws.advance(Duration::from_millis(1000)).await;
    }
    app.step_due_exports().await;
    let first = app.export(&ids[0]).await;
    assert_eq!(first["export_status"], "PENDING");
    assert!(
        first["status_reason"]
            .as_str()
            .unwrap()
            .contains("reached AWS's limit of concurrent exports"),
        "{first}"
    );
    let starts = app.calls("ExportTableToPointInTime");
    assert_eq!(starts, 301, "the second was not even tried");
    app.aws.finish_exports().await;
    for _ in 0..40 {
        app.pass(Duration::from_secs(10)).await;
        while app.step_due_exports().await > 0 {}
    }
    let (first, second) = (app.export(&ids[0]).await, app.export(&ids[1]).await);
    let millisecond = |export: &Value| {
        export["arn"].as_str().unwrap().rsplit('/').next().unwrap()[..14].to_owned()
    };
    assert!(millisecond(&first) <= millisecond(&second));
}

async fn elsewhere(aws: &tableferry::aws::Aws, n: u32) {
    use tableferry::domain::ids::ClientToken;
    let request = crate::support::plain_request(SMALL);
    aws.start(
        &request,
        &ClientToken::from_trusted(format!("elsewhere-{n}")),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn starts_in_doubt_hold_their_place_and_are_not_kept_from_being_repeated_by_it() {
    let app = TestApp::start_with(TestOptions {
        max_in_flight: Some(1),
        ..TestOptions::default()
    })
    .await;
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let doubtful = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    let waiting = app.create(&create_body()).await.expect(202).id();
    app.step_due_exports().await;
    let told = app.export(&waiting).await["status_reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        told,
        "waiting: 1 export of this account already runs in this region"
    );
    app.step_exports().await;
    assert_eq!(app.export(&doubtful).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.export(&waiting).await["export_status"], "PENDING");
    app.aws.finish_exports().await;
    for _ in 0..2 {
        app.step_exports().await;
    }
    assert_eq!(app.export(&waiting).await["export_status"], "IN_PROGRESS");
    assert_eq!(app.aws.exports().len(), 2);
}

#[tokio::test]
async fn a_timed_out_export_holds_no_place() {
    let app = TestApp::start_with(TestOptions {
        max_in_flight: Some(1),
        ..TestOptions::default()
    })
    .await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "1s"});
    let slow = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    app.clock.advance(Duration::from_secs(1));
    app.step_exports().await;
    assert_eq!(app.export(&slow).await["export_status"], "TIMED_OUT");
    let next = app.create(&create_body()).await.expect(202).id();
    app.step_due_exports().await;
    assert_eq!(app.export(&next).await["export_status"], "IN_PROGRESS");
}

#[tokio::test]
async fn who_waits_too_long_for_a_place_times_out_without_a_call() {
    let app = TestApp::start_with(TestOptions {
        max_in_flight: Some(1),
        ..TestOptions::default()
    })
    .await;
    app.create(&create_body()).await.expect(202);
    app.step_exports().await;
    let mut body = create_body();
    body["timeouts"] = json!({"create": "10m"});
    let waiting = app.create(&body).await.expect(202).id();
    app.step_due_exports().await;
    assert_eq!(app.export(&waiting).await["export_status"], "PENDING");
    app.clock.advance(Duration::from_secs(600));
    app.step_due_exports().await;
    assert_eq!(app.export(&waiting).await["export_status"], "TIMED_OUT");
    assert_eq!(app.calls("ExportTableToPointInTime"), 1);
}

#[tokio::test]
async fn a_throttled_export_is_not_overtaken() {
    let app = start_limited().await;
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Throttle).times(8));
    let ids = [
        app.create(&small_body()).await.expect(202).id(),
        app.create(&small_body()).await.expect(202).id(),
    ];
    for _ in 0..60 {
        app.step_due_exports().await;
        assert!(
            app.export(&ids[0]).await["export_status"] != "PENDING"
                || app.export(&ids[1]).await["export_status"] == "PENDING"
        );
        app.pass(Duration::from_secs(3)).await;
    }
    assert_eq!(app.export(&ids[1]).await["export_status"], "IN_PROGRESS");
}

#[tokio::test]
async fn one_page_stands_for_many_looks_at_one_table() {
    let app = TestApp::start().await;
    for _ in 0..20 {
        app.create(&create_body()).await.expect(202);
    }
    app.step_exports().await;
    app.aws.clear_calls();
    while app.step_exports().await > 0 && app.calls("ListExports") == 0 {}
    assert_eq!(app.calls("DescribeExport"), 0, "all of them still run");
    app.aws.finish_exports().await;
    while app.step_exports().await > 0 {}
    assert_eq!(app.calls("DescribeExport"), 20, "each end is described");
}
