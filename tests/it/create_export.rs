//! `POST /v1/exports`: what is rejected before anything is stored, and how.

use serde_json::{Value, json};

use crate::support::{BUCKET, TABLE, TestApp, TestOptions, ago, create_body};

fn with(changes: Value) -> Value {
    let mut body = create_body();
    body.as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn every_offline_rule_is_checked_and_names_its_field() {
    let app = TestApp::start().await;
    let incremental = |spec: Value| {
        with(json!({"export_type": "INCREMENTAL_EXPORT", "incremental_export_specification": spec}))
    };
    for (body, pointer) in [
        (json!({"s3_bucket": BUCKET}), "/table_arn"),
        (json!({"table_arn": TABLE}), "/s3_bucket"),
        (with(json!({"table_arn": "Orders"})), "/table_arn"),
        (
            with(json!({"table_arn": format!("{TABLE}/index/ByDate")})),
            "/table_arn",
        ),
        (with(json!({"table_arn": 7})), "/table_arn"),
        (with(json!({"s3_bucket": "arn:aws:s3:::b"})), "/s3_bucket"),
        (with(json!({"s3_bucket": "-"})), "/s3_bucket"),
        (
            with(json!({"s3_bucket_owner": "12345"})),
            "/s3_bucket_owner",
        ),
        (with(json!({"s3_prefix": "p".repeat(1025)})), "/s3_prefix"),
        (
            with(json!({"s3_sse_algorithm": "aws:kms"})),
            "/s3_sse_algorithm",
        ),
        (
            with(json!({"s3_sse_kms_key_id": "k"})),
            "/s3_sse_kms_key_id",
        ),
        (
            with(json!({"s3_sse_algorithm": "AES256", "s3_sse_kms_key_id": "k"})),
            "/s3_sse_kms_key_id",
        ),
        (with(json!({"export_format": "CSV"})), "/export_format"),
        (with(json!({"export_type": "HALF"})), "/export_type"),
        (with(json!({"export_time": "yesterday"})), "/export_time"),
        (with(json!({"export_time": ago(-3600)})), "/export_time"),
        (
            with(json!({"export_time": ago(36 * 24 * 3600)})),
            "/export_time",
        ),
        (with(json!({"export_time": 1700000000})), "/export_time"),
        (
            with(json!({"export_type": "INCREMENTAL_EXPORT"})),
            "/incremental_export_specification",
        ),
        (
            with(json!({"incremental_export_specification": {"export_from_time": ago(7200)}})),
            "/incremental_export_specification",
        ),
        (
            incremental(json!({})),
            "/incremental_export_specification/export_from_time",
        ),
        (incremental(json!([])), "/incremental_export_specification"),
        (
            incremental(json!({"export_from_time": ago(7200), "export_to_time": ago(7000)})),
            "/incremental_export_specification/export_to_time",
        ),
        (
            incremental(json!({"export_from_time": ago(600)})),
            "/incremental_export_specification/export_from_time",
        ),
        (
            incremental(json!({"export_from_time": ago(90000)})),
            "/incremental_export_specification/export_from_time",
        ),
        (
            incremental(json!({"export_from_time": ago(7200), "export_view_type": "OLD"})),
            "/incremental_export_specification/export_view_type",
        ),
        (
            incremental(json!({"export_from_time": ago(7200), "x": 1})),
            "/incremental_export_specification/x",
        ),
        (
            with(json!({"filter_specification": {}})),
            "/filter_specification",
        ),
        (
            with(json!({"filter_specification": {"filter_expression": "a".repeat(4097)}})),
            "/filter_specification/filter_expression",
        ),
        (
            with(
                json!({"filter_specification": {"filter_expression": vec!["a=:v"; 301].join(" ")}}),
            ),
            "/filter_specification/filter_expression",
        ),
        (
            with(
                json!({"filter_specification": {"filter_expression": "a=:v", "expression_attribute_values": {":v": "x"}}}),
            ),
            "/filter_specification/expression_attribute_values/:v",
        ),
        (
            with(json!({"timeouts": {"create": "soon"}})),
            "/timeouts/create",
        ),
        (
            with(json!({"timeouts": {"delete": "60m"}})),
            "/timeouts/delete",
        ),
        (with(json!({"callback_url": "ftp://x/"})), "/callback_url"),
        (
            with(json!({"callback_secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"})),
            "/callback_secret",
        ),
        (
            with(json!({"callback_url": "https://example.com/", "callback_secret": "hunter2"})),
            "/callback_secret",
        ),
        (
            with(json!({"callback_headers": {"X-Team": "orders"}})),
            "/callback_headers",
        ),
        (
            with(
                json!({"callback_url": "https://example.com/", "callback_headers": {"Host": "hunter2"}}),
            ),
            "/callback_headers/Host",
        ),
        (
            with(
                json!({"callback_url": "https://example.com/", "callback_headers": {"Webhook-Id": "x"}}),
            ),
            "/callback_headers/Webhook-Id",
        ),
        (
            with(
                json!({"callback_url": "https://example.com/", "callback_headers": {"X-A": "hunter2\r\nX-B: c"}}),
            ),
            "/callback_headers/X-A",
        ),
        (
            with(json!({"callback_url": "https://example.com/", "callback_headers": {"X-A": 5}})),
            "/callback_headers/X-A",
        ),
        (
            with(
                json!({"callback_url": "https://example.com/", "callback_headers": (0..17).map(|i| (format!("X-{i}"), "x".to_owned()))
                .collect::<std::collections::BTreeMap<_, _>>()}),
            ),
            "/callback_headers",
        ),
        (with(json!({"labels": {"a:b": "c"}})), "/labels/a:b"),
        (with(json!({"labels": {"a/b": 1}})), "/labels/a~1b"),
        (
            with(
                json!({"labels": (0..33).map(|i| (i.to_string(), "x".to_owned())).collect::<std::collections::BTreeMap<_, _>>()}),
            ),
            "/labels",
        ),
        (with(json!({"tabel_arn": "x"})), "/tabel_arn"),
        (with(json!({"s3_prefix": "a\u{0}b"})), "/s3_prefix"),
    ] {
        let answer = app
            .create(&body)
            .await
            .expect_problem(422, "validation-failed");
        assert_eq!(answer.pointers(), [pointer], "{body}: {}", answer.text);
        assert!(!answer.text.contains("hunter2"));
    }
    assert_eq!(app.stored_exports().await, 0);
    assert!(
        app.aws.calls().is_empty(),
        "AWS is not asked to judge a request"
    );
}

#[tokio::test]
async fn all_field_errors_come_at_once() {
    let app = TestApp::start().await;
    let body = json!({"table_arn": "x", "s3_prefix": 1, "export_format": "CSV", "s3_sse_kms_key_id": "k", "labels": {"": "v"}, "nonsense": true});
    let answer = app
        .create(&body)
        .await
        .expect_problem(422, "validation-failed");
    let expected = [
        "/export_format",
        "/labels/",
        "/nonsense",
        "/s3_bucket",
        "/s3_prefix",
        "/s3_sse_kms_key_id",
        "/table_arn",
    ];
    assert_eq!(answer.pointers(), expected);
    assert_eq!(answer.json["instance"], "/v1/exports");
}

#[tokio::test]
async fn kind_readings_are_accepted() {
    let app = TestApp::start().await;
    let new_images = with(json!({
        "export_type": "INCREMENTAL_EXPORT",
        "incremental_export_specification": {"export_from_time": ago(7200), "export_view_type": "NEW_IMAGES"},
    }));
    let window =
        &app.create(&new_images).await.expect(202).json["incremental_export_specification"];
    assert_eq!(window["export_view_type"], "NEW_IMAGE");
    let empty_prefix = app
        .create(&with(json!({"s3_prefix": ""})))
        .await
        .expect(202);
    assert_eq!(empty_prefix.json["s3_prefix"], json!(null));
    let nulls =
        with(json!({"s3_prefix": null, "export_time": null, "labels": null, "timeouts": null}));
    app.create(&nulls).await.expect(202);
    for partition in [
        "aws-cn:dynamodb:cn-north-1",
        "aws-us-gov:dynamodb:us-gov-west-1",
        "aws-iso:dynamodb:us-iso-east-1",
    ] {
        app.create(&with(
            json!({"table_arn": format!("arn:{partition}:123456789012:table/Orders")}),
        ))
        .await
        .expect(202);
    }
}

#[tokio::test]
async fn a_callback_needs_a_secret_from_somewhere() {
    let app = TestApp::start_with(TestOptions {
        webhook_secret: None,
        allow_private: false,
        ..TestOptions::default()
    })
    .await;
    let without = app
        .create(&with(json!({"callback_url": "https://example.com/hook"})))
        .await
        .expect_problem(422, "validation-failed");
    assert_eq!(without.pointers(), ["/callback_secret"]);
    let private = with(
        json!({"callback_url": "http://10.0.0.1/", "callback_secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}),
    );
    assert_eq!(
        app.create(&private)
            .await
            .expect_problem(422, "validation-failed")
            .pointers(),
        ["/callback_url"]
    );
    let good = with(
        json!({"callback_url": "https://example.com/hook", "callback_secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}),
    );
    let created = app.create(&good).await.expect(202);
    assert_eq!(created.json["callback_url"], "https://example.com/hook");
    assert!(
        !created.text.contains("whsec_"),
        "a secret is never returned"
    );
    assert!(
        !app.get(&format!("/v1/exports/{}", created.id()))
            .await
            .text
            .contains("whsec_")
    );
}

#[tokio::test]
async fn values_not_known_yet_are_null_never_absent() {
    let app = TestApp::start().await;
    let created = app.create(&create_body()).await.expect(202);
    let schema: Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).unwrap();
    let required = schema["components"]["schemas"]["Export"]["required"]
        .as_array()
        .unwrap();
    let properties = schema["components"]["schemas"]["Export"]["properties"]
        .as_object()
        .unwrap();
    assert_eq!(required.len(), properties.len());
    let mut members: Vec<_> = created.json.as_object().unwrap().keys().collect();
    let mut documented: Vec<_> = properties.keys().collect();
    members.sort();
    documented.sort();
    assert_eq!(members, documented);
}
