//! The OpenAPI document matches the code and is complete for callers.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tableferry::api::exports::request::CreateExport;
use tableferry::api::openapi::{self, Form};

use crate::support::{TestApp, create_body};

pub fn committed() -> Value {
    serde_json::from_str(include_str!("../../openapi/openapi.json")).unwrap()
}

pub fn committed_3_0() -> Value {
    serde_json::from_str(include_str!("../../openapi/openapi-3.0.json")).unwrap()
}

#[tokio::test]
async fn the_committed_document_is_fresh() {
    for (form, committed) in [
        (Form::Whole, include_str!("../../openapi/openapi.json")),
        (
            Form::Version30,
            include_str!("../../openapi/openapi-3.0.json"),
        ),
    ] {
        assert!(
            openapi::document(form).unwrap() == committed,
            "openapi/ is stale ({form:?}): run `make generate`"
        );
    }
    let app = TestApp::start().await;
    assert_eq!(app.get("/openapi.json").await.expect(200).json, committed());
}

#[test]
fn every_call_documents_its_answers_and_problems_with_examples() {
    for (path, item) in committed()["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            for member in ["operationId", "summary", "tags"] {
                assert!(!call[member].is_null(), "{at} has no {member}");
            }
            let responses = call["responses"].as_object().unwrap();
            assert!(
                responses.keys().any(|status| status.starts_with('2')),
                "{at}"
            );
            for (status, response) in responses
                .iter()
                .filter(|(status, _)| !status.starts_with('2'))
            {
                let content = &response["content"]["application/problem+json"];
                assert_eq!(
                    content["schema"]["$ref"], "#/components/schemas/Problem",
                    "{at} {status}"
                );
                assert!(
                    !content["examples"].as_object().unwrap().is_empty(),
                    "{at} {status}"
                );
            }
            if path.starts_with("/v1/") {
                assert!(
                    ["500", "503"]
                        .iter()
                        .all(|status| responses.contains_key(*status)),
                    "{at}"
                );
            }
        }
    }
}

#[test]
fn every_reference_resolves_and_no_parameter_is_nullable() {
    let document = committed();
    let mut values = vec![&document];
    while let Some(value) = values.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            assert!(
                document
                    .pointer(reference.trim_start_matches('#'))
                    .is_some(),
                "{reference}"
            );
        }
        if let (Some(name), Some(_)) = (value.get("name"), value.get("in")) {
            assert!(
                !value["schema"]["type"].is_array(),
                "{name} is said to be nullable"
            );
        }
        match value {
            Value::Object(members) => values.extend(members.values()),
            Value::Array(elements) => values.extend(elements),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_documented_fields_are_those_that_are_read() {
    let app = TestApp::start().await;
    let documented: BTreeSet<String> =
        committed()["components"]["schemas"]["CreateExport"]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
    let declared: BTreeSet<String> = serde_json::to_value(CreateExport::default())
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(documented, declared);
    let mut body = create_body();
    body["no_such_field"] = true.into();
    let answer = app.create(&body).await.expect(422);
    let detail = answer.json["errors"][0]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    let read: BTreeSet<String> = detail
        .split("known are ")
        .nth(1)
        .unwrap()
        .split(", ")
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, read);
}

#[tokio::test]
async fn swagger_ui_is_served_from_this_process() {
    let app = TestApp::start().await;
    let page = app.get("/docs/").await.expect(200);
    assert!(page.text.contains("swagger-ui"));
    assert!(
        !page.text.contains("https://"),
        "nothing is loaded from elsewhere"
    );
    app.get("/docs/swagger-ui-bundle.js").await.expect(200);
    assert!(
        app.get("/metrics")
            .await
            .expect(200)
            .text
            .contains("http_server_request_duration_seconds")
    );
}

#[tokio::test]
async fn browsers_are_led_to_the_documentation() {
    let app = TestApp::start().await;
    let answer = app
        .send(
            app.request(Method::GET, "/")
                .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        )
        .await
        .expect(200);
    // The client has followed the redirect.
    assert!(
        answer.text.to_lowercase().contains("swagger"),
        "{}",
        answer.text
    );
    app.get("/").await.expect_problem(404, "not-found");
}
