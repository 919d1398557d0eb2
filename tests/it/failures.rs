//! Explanations of failures: each cause with the steps to fix it, if a preflight could not check it
//! or was not requested.

use serde_json::{Value, json};
use tableferry_simulator::{BucketSeed, Fault, FaultKind};

use crate::support::{BUCKET, TABLE, TestApp, create_body};

/// Starts an export with these additional members; returns its failure.
async fn failure(app: &TestApp, members: Value) -> Value {
    let mut body = create_body();
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    let id = app.export_to_end(&body).await;
    let export = app.export(&id).await;
    assert_eq!(export["export_status"], "FAILED", "{export}");
    export["failure"].clone()
}

#[track_caller]
fn is(failure: &Value, code: &str, cause: &str, hint: &[&str]) {
    assert_eq!(
        (&failure["code"], &failure["cause"]),
        (&json!(code), &json!(cause)),
        "{failure}"
    );
    for words in hint {
        assert!(
            failure["hint"].as_str().unwrap().contains(words),
            "{words}: {failure}"
        );
    }
    assert!(!failure["message"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn what_aws_reports_late_is_explained() {
    let app = TestApp::start().await;
    app.aws
        .create_bucket(BucketSeed {
            owner: Some("999999999999".to_owned()),
            ..BucketSeed::new("theirs")
        })
        .unwrap();
    app.aws
        .create_bucket(BucketSeed {
            deny_exports: true,
            ..BucketSeed::new("denying")
        })
        .unwrap();
    is(
        &failure(&app, json!({"s3_bucket": "nowhere"})).await,
        "S3NoSuchBucket",
        "bucket_missing",
        &["nowhere"],
    );
    let account = "\"AWS\":\"arn:aws:iam::123456789012:root\"";
    let foreign = failure(&app, json!({"s3_bucket": "theirs", "s3_prefix": "a/b/"})).await;
    is(
        &foreign,
        "S3AccessDenied",
        "bucket_access",
        &[
            "s3_bucket_owner",
            account,
            "\"arn:aws:s3:::theirs/a/b/*\"",
            "s3:AbortMultipartUpload",
        ],
    );
    let wrong = failure(&app, json!({"s3_bucket_owner": "999999999999"})).await;
    is(
        &wrong,
        "S3AccessDenied",
        "bucket_access",
        &["not owned by account 999999999999"],
    );
    let denied = failure(&app, json!({"s3_bucket": "denying"})).await;
    is(
        &denied,
        "S3AccessDenied",
        "bucket_access",
        &["denying statement", account],
    );
    for key in ["nope", "arn:aws:kms:eu-west-1:123456789012:key/far"] {
        let failed = failure(
            &app,
            json!({"s3_sse_algorithm": "KMS", "s3_sse_kms_key_id": key}),
        )
        .await;
        is(
            &failed,
            "KmsNotFoundException",
            "kms_key",
            &[key, "kms:GenerateDataKey", "s3_sse_kms_key_id"],
        );
        assert_eq!(failed["retryable"], false);
    }
}

#[tokio::test]
async fn what_aws_refuses_is_explained() {
    let app = TestApp::start().await;
    let missing = failure(
        &app,
        json!({"table_arn": TABLE.replace("Orders", "Nothing")}),
    )
    .await;
    is(
        &missing,
        "TableNotFoundException",
        "table_missing",
        &["Nothing", "us-east-1"],
    );
    assert_eq!(missing["source"], "refused");
    let off = TABLE.replace("Orders", "NoBackups");
    let failed = failure(&app, json!({"table_arn": off})).await;
    is(
        &failed,
        "PointInTimeRecoveryUnavailableException",
        "pitr_off",
        &["update-continuous-backups", &off],
    );
    let young = failure(
        &app,
        json!({"export_time": crate::support::ago(20 * 24 * 3600)}),
    )
    .await;
    is(
        &young,
        "InvalidExportTimeException",
        "export_time",
        &["preflight"],
    );
}

#[tokio::test]
async fn an_unknown_code_keeps_aws_words() {
    let app = TestApp::start().await;
    let new = FaultKind::FailExport {
        code: "SomethingNew".to_owned(),
        message: "an unknown error".to_owned(),
    };
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", new).times(1));
    let failed = failure(&app, json!({"s3_bucket": BUCKET})).await;
    is(&failed, "SomethingNew", "unknown", &[]);
    assert_eq!(
        (&failed["message"], &failed["hint"]),
        (&json!("an unknown error"), &Value::Null)
    );
}
