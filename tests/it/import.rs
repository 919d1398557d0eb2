//! `POST /v1/exports/import`: adopts exports that were started elsewhere.

use reqwest::Method;
use serde_json::json;
use tableferry::domain::aws::s3::S3Prefix;
use tableferry::domain::export::request::ExportFormat;
use tableferry::domain::ids::ClientToken;
use tableferry_simulator::{Fault, FaultKind};

use crate::support::{Answer, TABLE, TestApp, create_body, plain_request};

async fn import(app: &TestApp, arn: &str) -> Answer {
    app.send(
        app.request(Method::POST, "/v1/exports/import")
            .json(&json!({"export_arn": arn})),
    )
    .await
}

/// Starts an export without the service.
async fn started_elsewhere(app: &TestApp) -> String {
    let mut request = plain_request(TABLE);
    request.destination.prefix = S3Prefix::parse("elsewhere").unwrap();
    request.format = ExportFormat::Ion;
    let aws = app.another_aws().await;
    aws.start(&request, &ClientToken::from_trusted("elsewhere".to_owned()))
        .await
        .unwrap()
        .arn
        .as_str()
        .to_owned()
}

#[tokio::test]
async fn a_running_export_is_adopted_and_followed() {
    let app = TestApp::start().await;
    let arn = started_elsewhere(&app).await;
    let adopted = import(&app, &arn).await.expect(201);
    assert_eq!(
        adopted.header("location"),
        format!("/v1/exports/{}", adopted.id())
    );
    for (name, value) in [
        ("arn", arn.as_str()),
        ("origin", "imported"),
        ("export_status", "IN_PROGRESS"),
        ("s3_prefix", "elsewhere"),
        ("export_format", "ION"),
        ("client_token", "elsewhere"),
    ] {
        assert_eq!(adopted.json[name], value, "{name}");
    }
    app.aws.finish_exports().await;
    app.step_exports().await;
    assert_eq!(
        app.export(&adopted.id()).await["export_status"],
        "COMPLETED"
    );
    assert_eq!(
        app.event_types(&adopted.id()).await,
        ["export.imported", "export.completed"]
    );
    assert_eq!(
        import(&app, &arn).await.expect(200).id(),
        adopted.id(),
        "it is known already"
    );
}

#[tokio::test]
async fn an_ended_export_is_adopted_as_it_ended() {
    let app = TestApp::start().await;
    let arn = started_elsewhere(&app).await;
    app.aws.finish_exports().await;
    let adopted = import(&app, &arn).await.expect(201);
    assert_eq!(adopted.json["export_status"], "COMPLETED");
    assert!(adopted.json["item_count"].as_i64().unwrap() >= 1000);
    assert_eq!(app.step_exports().await, 0);
}

#[tokio::test]
async fn one_of_our_own_is_known_even_before_its_answer_arrived() {
    let app = TestApp::start().await;
    app.aws
        .add_fault(Fault::new("ExportTableToPointInTime", FaultKind::DropAnswer).times(1));
    let id = app.create(&create_body()).await.expect(202).id();
    app.step_exports().await;
    let arn = app.aws.exports()[0].arn.clone();
    assert_eq!(import(&app, &arn).await.expect(200).id(), id);
    app.step_exports().await;
    assert_eq!(import(&app, &arn).await.expect(200).id(), id);
    assert_eq!(app.stored_exports().await, 1);
}

#[tokio::test]
async fn what_cannot_be_adopted_is_told_and_nothing_is_stored() {
    let app = TestApp::start().await;
    for bad in [
        "x",
        TABLE,
        &format!("{TABLE}/export/"),
        &format!("{TABLE}/export/a/b"),
    ] {
        assert_eq!(
            import(&app, bad)
                .await
                .expect_problem(422, "validation-failed")
                .pointers(),
            ["/export_arn"]
        );
    }
    let unknown = format!("{TABLE}/export/01580735656614-2c2f422e");
    let refused = import(&app, &unknown)
        .await
        .expect_problem(422, "refused-by-aws");
    assert!(
        refused.json["detail"]
            .as_str()
            .unwrap()
            .contains("ExportNotFoundException")
    );
    app.aws
        .add_fault(Fault::new("DescribeExport", FaultKind::AccessDenied).times(1));
    let denied = import(&app, &unknown)
        .await
        .expect_problem(503, "aws-unavailable");
    assert!(!denied.header("retry-after").is_empty());
    assert_eq!(app.stored_exports().await, 0);
}
