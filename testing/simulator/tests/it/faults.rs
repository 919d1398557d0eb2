//! Fault rules of each kind, and the call log that shows their effect.

use serde_json::{Value, json};
use tableferry_simulator::{Fault, FaultKind};

use crate::client::{ACCOUNT, Aws, LONG_ENOUGH, REGION};

#[tokio::test]
async fn errors_instead_of_an_answer() {
    let aws = Aws::start().await;
    for (kind, status, code) in [
        (FaultKind::Throttle, 400, "ThrottlingException"),
        (FaultKind::Error500, 500, "InternalServerError"),
        (FaultKind::AccessDenied, 400, "AccessDeniedException"),
        (FaultKind::ExpiredCredentials, 400, "ExpiredTokenException"),
    ] {
        aws.control()
            .add_fault(Fault::new("ExportTableToPointInTime", kind).times(1));
        let answer = aws.export(json!({})).await;
        assert_eq!((answer.status, answer.code()), (status, code));
        assert!(
            aws.control().exports().is_empty(),
            "the call was not handled"
        );
    }
    aws.export(json!({})).await.ok();
}

#[tokio::test]
async fn a_dropped_answer_is_of_a_handled_call() {
    let aws = Aws::start().await;
    aws.control()
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let input = json!({"TableArn": crate::client::ORDERS, "S3Bucket": crate::client::BUCKET, "ClientToken": "one"});
    assert!(
        aws.send(ACCOUNT, REGION, "ExportTableToPointInTime", input.clone())
            .await
            .is_err(),
        "the connection was cut"
    );
    let exports = aws.control().exports();
    assert_eq!(exports.len(), 1);
    let replay = aws.call("ExportTableToPointInTime", input).await.ok();
    assert_eq!(
        replay["ExportDescription"]["ExportArn"],
        json!(exports[0].arn)
    );
    let calls = aws.control().calls();
    assert_eq!(
        (calls.len(), calls[0].accepted, calls[0].fault.as_deref()),
        (2, true, Some("drop answer"))
    );
    assert_eq!(calls[0].client_token.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_call_that_hangs_is_not_handled() {
    let aws = Aws::start().await;
    aws.control()
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::Hang).times(1));
    let never = aws.export(json!({}));
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(100), never).await;
    assert!(gave_up.is_err());
    assert!(aws.control().exports().is_empty());
    assert_eq!(aws.control().calls()[0].outcome, "Hang");
}

#[tokio::test]
async fn a_delayed_call_is_handled() {
    let aws = Aws::start().await;
    aws.control()
        .add_fault(Fault::new("*", FaultKind::Delay { ms: 1 }).times(1));
    aws.export(json!({})).await.ok();
    assert_eq!(
        aws.control().calls()[0].fault.as_deref(),
        Some("delay 1 ms")
    );
}

#[tokio::test]
async fn the_next_export_fails_late() {
    let aws = Aws::start().await;
    let kind = FaultKind::FailExport {
        code: "S3AccessDenied".to_owned(),
        message: "on order".to_owned(),
    };
    aws.control().add_fault(Fault::new("*", kind).times(1));
    let failed = aws.started(json!({})).await;
    let fine = aws.started(json!({})).await;
    aws.control().advance(LONG_ENOUGH).await;
    let failed = aws.description(&failed).await;
    assert_eq!(
        (&failed["FailureCode"], &failed["FailureMessage"]),
        (&json!("S3AccessDenied"), &json!("on order"))
    );
    assert_eq!(aws.description(&fine).await["ExportStatus"], "COMPLETED");
}

#[tokio::test]
async fn rules_can_name_a_table_or_a_region() {
    let aws = Aws::start().await;
    aws.control()
        .add_fault(Fault::new("*", FaultKind::Error500).table("Orders"));
    aws.control()
        .add_fault(Fault::new("*", FaultKind::Throttle).region("eu-west-1"));
    assert_eq!(
        aws.call("DescribeTable", json!({"TableName": "Orders"}))
            .await
            .status,
        500
    );
    assert_eq!(aws.export(json!({})).await.status, 500);
    aws.call("ListTables", json!({})).await.ok();
    assert_eq!(
        aws.call_as(ACCOUNT, "eu-west-1", "ListTables", json!({}))
            .await
            .code(),
        "ThrottlingException"
    );
    aws.control().clear_faults();
    aws.export(json!({})).await.ok();
}

#[tokio::test]
async fn the_control_interface_does_the_same_over_http() {
    let aws = Aws::start().await;
    let url = |path: &str| format!("{}/_control/{path}", aws.sim().dynamodb_url());
    let get = async |path: &str| {
        aws.http
            .get(url(path))
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    };
    assert_eq!(get("health").await, json!({"status": "ok"}));
    let fault = json!({"operation": "ListTables", "kind": "delay", "ms": 1, "times": 3});
    assert_eq!(
        aws.http
            .post(url("faults"))
            .json(&fault)
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(get("faults").await[0]["kind"], "delay");
    assert_eq!(
        aws.http
            .delete(url("faults"))
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(get("faults").await, json!([]));
    let bad = aws
        .http
        .post(url("faults"))
        .json(&json!({"kind": "explode"}))
        .send()
        .await
        .unwrap();
    assert!(bad.status().is_client_error());

    let arn = aws.started(json!({"ClientToken": "one"})).await;
    let shown = get("exports").await;
    assert_eq!(
        (
            &shown[0]["arn"],
            &shown[0]["client_token"],
            &shown[0]["status"]
        ),
        (&json!(arn), &json!("one"), &json!("IN_PROGRESS"))
    );
    assert_eq!(get("state").await["exports_in_progress"], 1);
    let before = aws.control().now();
    let clock = aws
        .http
        .post(url("clock"))
        .json(&json!({"advance_ms": 3_600_000}))
        .send()
        .await
        .unwrap();
    assert_eq!(clock.json::<Value>().await.unwrap()["frozen"], true);
    assert_eq!(aws.control().now() - before, time::Duration::HOUR);
    assert_eq!(get("exports").await[0]["status"], "COMPLETED");
    aws.started(json!({})).await;
    let finished = aws
        .http
        .post(url("exports/finish"))
        .send()
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap();
    assert!(
        finished
            .as_array()
            .unwrap()
            .iter()
            .all(|export| export["status"] == "COMPLETED")
    );
    assert_eq!(
        get("calls").await[0]["operation"],
        "ExportTableToPointInTime"
    );

    let bucket = json!({"name": "made-here", "owner": "999999999999"});
    assert_eq!(
        aws.http
            .post(url("buckets"))
            .json(&bucket)
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(
        aws.http
            .delete(url("buckets/made-here"))
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    let table = json!({"name": "MadeHere", "partition_key": {"name": "id", "kind": "N"}, "age": "2d", "generate": {"count": 10}});
    assert_eq!(
        aws.http
            .post(url("tables"))
            .json(&table)
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(
        aws.call("Scan", json!({"TableName": "MadeHere"}))
            .await
            .ok()["Count"],
        10
    );
}
