//! Tables of other accounts, accessed through a role of that account.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry_simulator::{Age, BucketSeed, Fault, FaultKind, TableSeed};

use crate::support::{TestApp, TestOptions, create_body};

const THEIRS: &str = "999999999999";
const TABLE: &str = "arn:aws:dynamodb:eu-west-1:999999999999:table/Theirs";
const ROLE: &str = "arn:aws:iam::999999999999:role/tableferry";
const ACCOUNTS: &str = r#"[{"account_id": "999999999999", "role_arn": "arn:aws:iam::999999999999:role/tableferry", "external_id": "agreed-upon"}]"#;

/// A service with a role in the other account, which has a table and a bucket.
async fn start(accounts: &'static str) -> (TestApp, Value) {
    let app = TestApp::start_with(TestOptions {
        accounts,
        ..TestOptions::default()
    })
    .await;
    let age = Age(time::Duration::days(5));
    let table = TableSeed {
        account: Some(THEIRS.to_owned()),
        region: Some("eu-west-1".to_owned()),
        age,
        recovery_age: Some(age),
        ..TableSeed::new("Theirs")
    };
    app.aws.create_table(&table).unwrap();
    let bucket = BucketSeed {
        owner: Some(THEIRS.to_owned()),
        region: Some("eu-west-1".to_owned()),
        ..BucketSeed::new("theirs")
    };
    app.aws.create_bucket(bucket).unwrap();
    app.aws.require_external_id(ROLE, "agreed-upon");
    (app, json!({"table_arn": TABLE, "s3_bucket": "theirs"}))
}

#[tokio::test]
async fn a_table_of_another_account_is_exported_through_its_role() {
    let (app, body) = start(ACCOUNTS).await;
    let report = app
        .send(
            app.request(Method::POST, "/v1/exports/preflight")
                .json(&body),
        )
        .await
        .expect(200);
    assert_eq!(report.json["ok"], true, "{}", report.text);
    assert!(
        report.json["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|check| ["passed", "skipped"].contains(&check["status"].as_str().unwrap()))
    );
    let id = app.export_to_end(&body).await;
    let done = app.export(&id).await;
    assert_eq!(done["export_status"], "COMPLETED", "{done}");
    assert_eq!(app.verified(&id, true).await["status"], "passed");
    assert_eq!(
        app.get(&format!("/v1/exports/{id}/manifest"))
            .await
            .expect(200)
            .json["item_count"],
        done["item_count"]
    );
    let calls = app.aws.calls();
    assert!(
        calls
            .iter()
            .filter(|call| call.operation != "AssumeRole")
            .all(|call| call.account == THEIRS && call.region == "eu-west-1")
    );
    let assumed = calls
        .iter()
        .filter(|call| call.operation == "AssumeRole")
        .count();
    assert!(
        (1..=3).contains(&assumed),
        "once for each client, and kept: {assumed}"
    );
    // Other accounts are accessed with the process's own credentials.
    let own = app.export_to_end(&create_body()).await;
    assert_eq!(app.export(&own).await["export_status"], "COMPLETED");
    assert_eq!(app.aws.calls().last().unwrap().account, "123456789012");
    let found = app
        .send(
            app.request(Method::POST, "/v1/exports/discover")
                .json(&json!({"account_id": THEIRS, "region": "eu-west-1"})),
        )
        .await;
    assert_eq!(found.expect(200).json["exports"][0]["known_id"], id);
}

#[tokio::test]
async fn a_wrong_external_id_is_explained_and_nothing_is_lost() {
    let wrong = r#"[{"account_id": "999999999999", "role_arn": "arn:aws:iam::999999999999:role/tableferry", "external_id": "a-guess"}]"#;
    let (app, body) = start(wrong).await;
    let report = app
        .send(
            app.request(Method::POST, "/v1/exports/preflight")
                .json(&body),
        )
        .await
        .expect(200);
    assert_eq!(report.json["ok"], true);
    assert!(report.text.contains("RoleNotAssumed"), "{}", report.text);
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    let waiting = app.export(&id).await;
    assert_eq!(waiting["export_status"], "PENDING");
    assert!(
        waiting["status_reason"]
            .as_str()
            .unwrap()
            .starts_with("AWS denies the call (RoleNotAssumed); next try at"),
        "{waiting}"
    );
    let events = app
        .get(&format!("/v1/exports/{id}/events"))
        .await
        .expect(200);
    let told = events.json["events"][1]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        ["external_id", ROLE, "sts:AssumeRole"]
            .iter()
            .all(|word| told.contains(word))
            && !told.contains("a-guess"),
        "{told}"
    );
    // The role's owner changes the trust policy.
    app.aws.require_external_id(ROLE, "a-guess");
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "IN_PROGRESS");
}

#[tokio::test]
async fn an_account_that_is_not_named_is_denied_by_aws() {
    let (app, body) = start("[]").await;
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    let waiting = app.export(&id).await;
    assert_eq!(waiting["export_status"], "PENDING");
    assert!(
        waiting["status_reason"]
            .as_str()
            .unwrap()
            .contains("AccessDeniedException"),
        "{waiting}"
    );
}

#[tokio::test]
async fn a_role_that_is_taken_away_delays_and_no_more() {
    let (app, body) = start(ACCOUNTS).await;
    app.aws
        .add_fault(Fault::new("AssumeRole", FaultKind::AccessDenied).times(1));
    let id = app.create(&body).await.expect(202).id();
    app.step_exports().await;
    assert!(
        app.export(&id).await["status_reason"]
            .as_str()
            .unwrap()
            .contains("RoleNotAssumed")
    );
    app.pass(Duration::from_secs(60)).await;
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    assert_eq!(app.export(&id).await["export_status"], "COMPLETED");
}
