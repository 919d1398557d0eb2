//! Preflight: problems that AWS reports late are found before the start, where permissions allow;
//! nothing is started or stored.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry_simulator::{Age, BucketSeed, Fault, FaultKind, TableSeed};

use crate::support::{Answer, BUCKET, TABLE, TestApp, TestOptions, ago, create_body};

const NAMES: [&str; 12] = [
    "request",
    "table_exists",
    "point_in_time_recovery",
    "export_time",
    "incremental_window",
    "filter_keys",
    "bucket_name",
    "bucket_exists",
    "bucket_region",
    "bucket_owner",
    "kms_key",
    "quota",
];
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/exports";

async fn preflight(app: &TestApp, body: &Value) -> Answer {
    app.send(
        app.request(Method::POST, "/v1/exports/preflight")
            .json(body),
    )
    .await
}

/// The checks by name, after assertions that hold for every response.
#[track_caller]
fn checks(answer: &Answer) -> BTreeMap<String, Value> {
    let all = answer.json["checks"].as_array().unwrap();
    let names: Vec<_> = all
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, NAMES);
    for check in all {
        assert!(
            check["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty()),
            "{check}"
        );
        assert!(check.as_object().unwrap().contains_key("fix"), "{check}");
        assert!(
            check["status"] != "passed" || check["fix"].is_null(),
            "{check}"
        );
        assert!(
            check["status"] != "failed" || check["fix"].is_string(),
            "{check}"
        );
    }
    assert_eq!(
        answer.json["ok"],
        !all.iter().any(|check| check["status"] == "failed")
    );
    all.iter()
        .map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone()))
        .collect()
}

/// Requests a preflight and returns one check.
async fn check(app: &TestApp, body: &Value, name: &str) -> Value {
    checks(&preflight(app, body).await.expect(200))[name].clone()
}

/// The check has this state, and its text contains all of these.
#[track_caller]
fn is(check: &Value, status: &str, names: &[&str]) {
    assert_eq!(check["status"], status, "{check}");
    for name in names {
        assert!(
            check.to_string().replace("\\\"", "\"").contains(name),
            "{name}: {check}"
        );
    }
}

fn with(members: Value) -> Value {
    let mut body = create_body();
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_good_request_passes_and_nothing_is_started_or_stored() {
    let app = TestApp::start().await;
    app.aws.add_kms_key(KEY);
    let body = with(
        json!({"export_time": ago(3600), "s3_sse_algorithm": "KMS", "s3_sse_kms_key_id": KEY, "s3_bucket_owner": "123456789012"}),
    );
    let answer = preflight(&app, &body).await.expect(200);
    let found = checks(&answer);
    assert_eq!(answer.json["ok"], true);
    for (name, check) in &found {
        let applies = !["incremental_window", "filter_keys"].contains(&name.as_str());
        is(check, if applies { "passed" } else { "skipped" }, &[]);
    }
    assert_eq!(app.stored_exports().await, 0);
    assert!(app.aws.exports().is_empty());
    assert_eq!(app.calls("ExportTableToPointInTime"), 0);
    let plain = checks(&preflight(&app, &create_body()).await.expect(200));
    for name in ["export_time", "incremental_window", "kms_key"] {
        is(&plain[name], "skipped", &[]);
    }
}

#[tokio::test]
async fn a_request_that_breaks_rules_is_told_so_and_aws_is_not_asked() {
    let app = TestApp::start().await;
    let answer = preflight(&app, &json!({"s3_bucket": "x", "colour": "red"}))
        .await
        .expect(200);
    let found = checks(&answer);
    is(
        &found["request"],
        "failed",
        &["/table_arn", "/s3_bucket", "/colour"],
    );
    assert!(
        NAMES[1..]
            .iter()
            .all(|name| found[*name]["status"] == "skipped")
    );
    assert!(app.aws.calls().is_empty());
    let broken = app
        .request(Method::POST, "/v1/exports/preflight")
        .header("content-type", "application/json")
        .body("{");
    app.send(broken).await.expect_problem(400, "malformed-json");
}

#[tokio::test]
async fn tables_are_looked_at() {
    let app = TestApp::start().await;
    let none = TABLE.replace("Orders", "Nothing");
    let found = checks(
        &preflight(&app, &with(json!({"table_arn": none})))
            .await
            .expect(200),
    );
    is(&found["table_exists"], "failed", &["Nothing", "table_arn"]);
    is(&found["point_in_time_recovery"], "skipped", &[]);
    let off = TABLE.replace("Orders", "NoBackups");
    let found = checks(
        &preflight(
            &app,
            &with(json!({"table_arn": off, "export_time": ago(60)})),
        )
        .await
        .expect(200),
    );
    is(&found["table_exists"], "passed", &[]);
    is(
        &found["point_in_time_recovery"],
        "failed",
        &["update-continuous-backups", &off],
    );
    is(&found["export_time"], "skipped", &[]);
}

#[tokio::test]
async fn times_are_held_against_recovery_and_the_tables_age() {
    let app = TestApp::start().await;
    let hour = |hours: i64| Age(time::Duration::hours(hours));
    let table = TableSeed {
        age: hour(10),
        recovery_age: Some(hour(5)),
        ..TableSeed::new("Young")
    };
    app.aws.create_table(&table).unwrap();
    let arn = TABLE.replace("Orders", "Young");
    for (age_s, status) in [(4 * 3600, "passed"), (6 * 3600, "failed"), (10, "failed")] {
        let body = with(json!({"table_arn": arn, "export_time": ago(age_s)}));
        is(&check(&app, &body, "export_time").await, status, &[]);
    }
    for (from_s, status, word) in [
        (4 * 3600, "passed", ""),
        (6 * 3600, "failed", "recovered"),
        (12 * 3600, "failed", "created"),
    ] {
        let body = with(json!({
            "table_arn": arn, "export_type": "INCREMENTAL_EXPORT",
            "incremental_export_specification": {"export_from_time": ago(from_s), "export_to_time": ago(from_s - 1800)},
        }));
        is(
            &check(&app, &body, "incremental_window").await,
            status,
            &[word],
        );
    }
}

#[tokio::test]
async fn what_aws_reports_late_is_known_before() {
    let app = TestApp::start().await;
    app.aws.add_kms_key(KEY);
    let theirs = BucketSeed {
        owner: Some("999999999999".to_owned()),
        ..BucketSeed::new("theirs")
    };
    app.aws.create_bucket(theirs).unwrap();
    app.aws
        .create_bucket(BucketSeed {
            deny_exports: true,
            ..BucketSeed::new("denying")
        })
        .unwrap();
    app.aws
        .create_bucket(BucketSeed {
            region: Some("eu-west-1".to_owned()),
            ..BucketSeed::new("distant")
        })
        .unwrap();
    let kms = |key: &str, bucket: &str| json!({"s3_bucket": bucket, "s3_sse_algorithm": "KMS", "s3_sse_kms_key_id": key});
    let missing_key = KEY.replace("exports", "nope");
    for (members, name, words) in [
        (
            json!({"s3_bucket": "nowhere"}),
            "bucket_exists",
            &["nowhere"][..],
        ),
        (
            json!({"s3_bucket": "theirs"}),
            "bucket_owner",
            &[
                "s3_bucket_owner",
                "s3:PutObjectAcl",
                "arn:aws:s3:::theirs/*",
            ],
        ),
        (
            json!({"s3_bucket_owner": "999999999999"}),
            "bucket_owner",
            &["999999999999"],
        ),
        (
            json!({"s3_bucket": "denying"}),
            "bucket_owner",
            &["DenyExports", "arn:aws:s3:::denying/*"],
        ),
        (kms(&missing_key, BUCKET), "kms_key", &[&missing_key]),
        (kms("nope", BUCKET), "kms_key", &["does not exist"]),
        (kms(KEY, "distant"), "kms_key", &["eu-west-1"]),
    ] {
        let body = with(members.clone());
        let found = checks(&preflight(&app, &body).await.expect(200));
        is(&found[name], "failed", words);
        assert_eq!(
            found
                .values()
                .filter(|check| check["status"] == "failed")
                .count(),
            1,
            "{members}"
        );
        // AWS reports the same, but only after it has accepted the export.
        let id = app.export_to_end(&body).await;
        assert_eq!(
            app.export(&id).await["export_status"],
            "FAILED",
            "{members}"
        );
    }
    for (members, name, status) in [
        (json!({"s3_bucket": "distant"}), "bucket_region", "warning"),
        (
            json!({"s3_bucket": "theirs", "s3_bucket_owner": "999999999999"}),
            "bucket_owner",
            "warning",
        ),
        (kms("exports", BUCKET), "kms_key", "passed"),
    ] {
        let body = with(members.clone());
        is(&check(&app, &body, name).await, status, &[]);
        let id = app.export_to_end(&body).await;
        assert_eq!(
            app.export(&id).await["export_status"],
            "COMPLETED",
            "{members}"
        );
    }
}

#[tokio::test]
async fn what_may_not_be_looked_at_is_skipped_with_the_permission_that_would_allow_it() {
    let app = TestApp::start().await;
    app.aws.add_kms_key(KEY);
    for operation in [
        "DescribeTable",
        "DescribeContinuousBackups",
        "HeadBucket",
        "GetBucketPolicy",
        "DescribeKey",
    ] {
        app.aws
            .add_fault(Fault::new(operation, FaultKind::AccessDenied));
    }
    let body = with(
        json!({"export_time": ago(3600), "s3_sse_algorithm": "KMS", "s3_sse_kms_key_id": KEY}),
    );
    let answer = preflight(&app, &body).await.expect(200);
    assert_eq!(answer.json["ok"], true, "{}", answer.text);
    let found = checks(&answer);
    for (name, action) in [
        ("table_exists", "dynamodb:DescribeTable"),
        (
            "point_in_time_recovery",
            "dynamodb:DescribeContinuousBackups",
        ),
        ("export_time", "dynamodb:DescribeContinuousBackups"),
        ("bucket_owner", "s3:ListBucket"),
        ("kms_key", "kms:DescribeKey"),
    ] {
        is(&found[name], "skipped", &[action]);
    }
    is(&found["bucket_exists"], "passed", &["denies"]);
    is(&found["bucket_region"], "passed", &["us-east-1"]);
}

#[tokio::test]
async fn a_silent_aws_costs_seconds_and_skips() {
    let app = TestApp::start().await;
    for operation in ["DescribeTable", "HeadBucket"] {
        app.aws.add_fault(Fault::new(operation, FaultKind::Hang));
    }
    let began = std::time::Instant::now();
    let found = checks(&preflight(&app, &create_body()).await.expect(200));
    assert!(began.elapsed().as_secs() < 8);
    is(
        &found["table_exists"],
        "passed",
        &["DescribeContinuousBackups"],
    );
    is(&found["bucket_exists"], "skipped", &["TimedOut"]);
}

#[tokio::test]
async fn a_full_account_is_a_warning() {
    let app = TestApp::start_with(TestOptions {
        max_in_flight: Some(1),
        ..TestOptions::default()
    })
    .await;
    is(
        &check(&app, &create_body(), "quota").await,
        "passed",
        &["0 of 1"],
    );
    app.create(&create_body()).await.expect(202);
    app.step_exports().await;
    is(
        &check(&app, &create_body(), "quota").await,
        "warning",
        &["1 of 1", "timeouts.create"],
    );
}

#[tokio::test]
async fn a_create_may_ask_for_it_first() {
    let app = TestApp::start().await;
    let create = |body: Value, key: &'static str| {
        app.request(Method::POST, "/v1/exports?preflight=true")
            .header("idempotency-key", key)
            .json(&body)
    };
    let refused = app
        .send(create(with(json!({"s3_bucket": "nowhere"})), "a"))
        .await
        .expect_problem(422, "preflight-failed");
    assert_eq!(refused.pointers(), ["/s3_bucket"]);
    assert_eq!(app.stored_exports().await, 0);
    let id = app.send(create(create_body(), "a")).await.expect(202).id();
    // A repeated request returns its export, even if the bucket has changed.
    app.aws.delete_bucket(BUCKET).unwrap();
    assert_eq!(
        app.send(create(create_body(), "a")).await.expect(202).id(),
        id
    );
    app.send(create(create_body(), "b"))
        .await
        .expect_problem(422, "preflight-failed");
    let answer = app
        .send(
            app.request(Method::POST, "/v1/exports?preflight=perhaps")
                .json(&create_body()),
        )
        .await;
    answer.expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn a_flood_of_preflights_waits_for_its_turns() {
    let app = TestApp::start_with(TestOptions {
        limits: true,
        ..TestOptions::default()
    })
    .await;
    let body = create_body();
    let all = futures_util::future::join_all((0..12).map(|_| preflight(&app, &body))).await;
    assert!(all.iter().all(|answer| answer.json["ok"] == true));
    let asked = app.calls("DescribeContinuousBackups");
    let skipped = all
        .iter()
        .filter(|answer| checks(answer)["table_exists"]["status"] == "skipped")
        .count();
    assert_eq!(asked + skipped, 12);
    assert!((5..=12).contains(&asked), "{asked}");
}

#[tokio::test]
async fn a_name_that_s3_gives_to_no_bucket_is_a_warning() {
    let app = TestApp::start().await;
    for name in [
        "Tableferry_Exports",
        "192.168.5.4",
        "tableferry-exports--x-s3",
    ] {
        let body = with(json!({"s3_bucket": name}));
        let found = checks(&preflight(&app, &body).await.expect(200));
        is(
            &found["bucket_name"],
            "warning",
            &[name, "does not allow new buckets"],
        );
        let reason = app.create(&body).await.expect(202).json["status_reason"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            reason.contains("Warning: S3 does not allow new buckets with this name"),
            "{reason}"
        );
    }
    let found = checks(&preflight(&app, &create_body()).await.expect(200));
    is(&found["bucket_name"], "passed", &[]);
    assert_eq!(
        app.create(&create_body()).await.expect(202).json["status_reason"],
        "accepted; AWS has not been asked yet"
    );
    for (field, value) in [
        ("s3_bucket", "s3://my-exports/daily"),
        ("s3_prefix", "s3://my-exports/daily"),
        ("s3_prefix", "arn:aws:s3:::my-exports/daily"),
    ] {
        let refused = app
            .create(&with(json!({field: value})))
            .await
            .expect_problem(422, "validation-failed");
        let error = &refused.json["errors"][0];
        assert_eq!(error["pointer"], format!("/{field}"));
        assert!(
            error["detail"]
                .as_str()
                .unwrap()
                .ends_with("set s3_bucket to my-exports and s3_prefix to daily"),
            "{error}"
        );
    }
}
