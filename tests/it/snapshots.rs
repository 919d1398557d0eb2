//! The whole JSON of each resource and of common problems, compared with the files in
//! `snapshots/`. What differs from run to run is replaced first. After an intended change,
//! `INSTA_UPDATE=always make test ARGS="--test it -- snapshots"` updates them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, TestOptions, create_body};

/// What replaces the parts that differ from run to run.
const REPLACED: [(&str, &str); 12] = [
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "UUID",
    ),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"export/\d{14,}-[0-9a-f]{8}", "export/EXPORT_ID"),
    (r"AWSDynamoDB/\d{14,}-[0-9a-f]{8}", "AWSDynamoDB/EXPORT_ID"),
    (r"127\.0\.0\.1:\d+", "HOST:PORT"),
    (r"whsec_[A-Za-z0-9+/=]+", "whsec_SECRET"),
    (r"tferry_[0-9a-f_]+", "tferry_KEY"),
    (r"Code: (\w+); Request ID: \w+", "Code: $1; Request ID: ID"),
    (
        r"Extended Request ID: [A-Za-z0-9+/=]+",
        "Extended Request ID: ID",
    ),
    (r"msg_[0-9a-f]{32}", "msg_ID"),
    (r#""duration_ms": \d+"#, r#""duration_ms": 0"#),
    (r"/data/[a-z0-9]{26}\.json\.gz", "/data/DATA_FILE.json.gz"),
];

fn check(name: &str, value: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_sort_maps(true);
    for (pattern, replacement) in REPLACED {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(|| insta::assert_json_snapshot!(name, value));
}

async fn post(app: &TestApp, path: &str, body: &Value) -> Value {
    let sent = app.request(Method::POST, path).json(body);
    app.send(sent).await.json
}

#[tokio::test]
async fn an_export_in_each_of_its_states() {
    let app = TestApp::start().await;
    let mut body = create_body();
    body["labels"] = json!({"team": "orders"});
    let pending = app.create(&body).await.expect(202);
    check("export_pending", &pending.json);
    let id = app.export_to_end(&body).await;
    check("export_completed", &app.export(&id).await);
    check(
        "export_events",
        &app.get(&format!("/v1/exports/{id}/events")).await.json,
    );
    let mut missing = create_body();
    missing["s3_bucket"] = json!("no-such-bucket");
    let failed = app.export_to_end(&missing).await;
    check("export_failed", &app.export(&failed).await);
    let cancelled = app.create(&create_body()).await.expect(202).id();
    let cancel = format!("/v1/exports/{cancelled}/cancel");
    check("export_cancelled", &post(&app, &cancel, &json!(null)).await);
}

#[tokio::test]
async fn webhooks_and_their_deliveries() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let endpoint =
        json!({"url": receiver.url, "description": "orders", "labels": {"team": "orders"}});
    let made = post(&app, "/v1/webhook-endpoints", &endpoint).await;
    check("webhook_endpoint_created", &made);
    let path = format!("/v1/webhook-endpoints/{}", made["id"].as_str().unwrap());
    let mut body = create_body();
    body["labels"] = json!({"team": "orders"});
    app.export_to_end(&body).await;
    while app.step_deliveries().await > 0 {}
    check("webhook_endpoint", &app.get(&path).await.json);
    check(
        "webhook_deliveries",
        &app.get(&format!("{path}/deliveries")).await.json,
    );
    let completed = receiver
        .heard()
        .iter()
        .map(|heard| heard.json())
        .find(|message| message["type"] == "export.completed");
    check(
        "webhook_message",
        &completed.expect("the receiver heard of the end"),
    );
}

#[tokio::test]
async fn keys_and_preflight_reports() {
    let app = TestApp::start().await;
    let key = post(
        &app,
        "/v1/api-keys",
        &json!({"name": "orders", "scopes": ["exports:read"]}),
    )
    .await;
    check("api_key_created", &key);
    check(
        "preflight",
        &post(&app, "/v1/exports/preflight", &create_body()).await,
    );
}

#[tokio::test]
async fn problems() {
    let app = TestApp::start().await;
    let wrong = json!({"table_arn": "Orders", "s3_bucket": 7, "timeouts": {"create": "soon"}, "colour": "red"});
    check(
        "problem_validation",
        &post(&app, "/v1/exports", &wrong).await,
    );
    check(
        "problem_not_found",
        &app.get("/v1/exports/00000000-0000-7000-8000-000000000000")
            .await
            .json,
    );
    check(
        "problem_parameter",
        &app.get("/v1/exports?limit=0&colour=red").await.json,
    );
    let id = app.export_to_end(&create_body()).await;
    check(
        "problem_not_cancellable",
        &post(&app, &format!("/v1/exports/{id}/cancel"), &json!(null)).await,
    );
    let closed = TestApp::start_with(TestOptions {
        auth: tableferry::auth::Auth::Required,
        ..TestOptions::default()
    })
    .await;
    check(
        "problem_unauthorized",
        &closed.get("/v1/exports").await.json,
    );
}
