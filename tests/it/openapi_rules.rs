//! Rules for the OpenAPI document; each is there because a client generator failed without it
//! (docs/api.md, "Clients from the document").

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::openapi::{committed, committed_3_0};
use crate::support::TestApp;

/// Every value of a document with its path, except in examples.
fn walk<'a>(value: &'a Value, at: &str, visit: &mut dyn FnMut(&str, &'a Value)) {
    visit(at, value);
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| {
                !["example", "examples"].contains(&name.as_str()) || at.ends_with("/properties")
            });
            members.for_each(|(name, member)| walk(member, &format!("{at}/{name}"), visit));
        }
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .for_each(|(n, element)| walk(element, &format!("{at}/{n}"), visit)),
        _ => {}
    }
}

fn calls<'a>(document: &'a Value, section: &str) -> Vec<(String, &'a Value)> {
    let items = document[section].as_object().into_iter().flatten();
    items
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, call)| (format!("{method} {path}"), call))
        })
        .collect()
}

fn schemas(document: &Value) -> &Map<String, Value> {
    document["components"]["schemas"].as_object().unwrap()
}

/// The names of the schemas that request bodies refer to, directly or indirectly.
fn of_requests(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Value> = calls(document, "paths")
        .into_iter()
        .map(|(_, call)| &call["requestBody"])
        .collect();
    while let Some(value) = open.pop() {
        walk(value, "", &mut |_, value| {
            if let Some(name) = value["$ref"]
                .as_str()
                .and_then(|to| to.strip_prefix("#/components/schemas/"))
                && found.insert(name.to_owned())
            {
                open.push(&schemas(document)[name]);
            }
        });
    }
    assert!(
        found.contains("CreateExport") && found.contains("AttributeValue"),
        "{found:?}"
    );
    found
}

/// The schema of a field, through one reference, which may be one of two choices with null.
fn resolved<'a>(document: &'a Value, field: &'a Value) -> &'a Value {
    let choice = field["oneOf"]
        .as_array()
        .and_then(|choices| choices.iter().find(|choice| choice["$ref"].is_string()));
    match choice.unwrap_or(field)["$ref"].as_str() {
        Some(to) => document.pointer(to.trim_start_matches('#')).unwrap(),
        None => field,
    }
}

#[test]
fn no_field_of_a_request_has_a_default() {
    // openapi-typescript makes a field with a default required; zod, pydantic and others send the
    // default.
    let document = committed();
    for name in of_requests(&document) {
        walk(&schemas(&document)[&name], &name, &mut |at, value| {
            assert!(
                value.get("default").is_none() || at.ends_with("/properties"),
                "{at}"
            )
        });
    }
}

#[test]
fn requests_have_no_nameless_objects_and_no_nameless_enums() {
    // Generators name such a type after the path to it.
    let document = committed();
    for name in of_requests(&document) {
        walk(&schemas(&document)[&name], &name, &mut |at, value| {
            let nameless =
                at != name && (value["properties"].is_object() || value["enum"].is_array());
            assert!(!nameless || at.ends_with("/properties"), "{at}");
        });
    }
}

#[test]
fn every_object_says_what_it_may_hold() {
    // openapi-typescript reads an object without a description of its members as one without
    // members.
    walk(&committed(), "", &mut |at, value| {
        let is_object = value["type"] == "object"
            || value["type"]
                .as_array()
                .is_some_and(|types| types.contains(&"object".into()));
        if is_object && !at.ends_with("/properties") {
            assert!(
                value["properties"].is_object() || !value["additionalProperties"].is_null(),
                "{at}"
            );
        }
    });
}

#[test]
fn words_that_are_known_are_enums() {
    let document = committed();
    for (schema, field) in [
        ("Export", "export_status"),
        ("Export", "export_type"),
        ("Export", "export_format"),
        ("Export", "s3_sse_algorithm"),
        ("Export", "origin"),
        ("IncrementalExportWindow", "export_view_type"),
        ("Verification", "status"),
        ("DeliveryAttempt", "error_class"),
        ("WebhookDelivery", "status"),
        ("WebhookDelivery", "event_type"),
        ("ExportEvent", "type"),
        ("ExportEvent", "export_status"),
        ("Problem", "type"),
        ("ProblemExplanation", "type"),
        ("CreateExport", "export_type"),
        ("CreateExport", "export_format"),
        ("CreateExport", "s3_sse_algorithm"),
        ("IncrementalExportSpecification", "export_view_type"),
    ] {
        let found = resolved(&document, &schemas(&document)[schema]["properties"][field]);
        assert!(
            found["enum"]
                .as_array()
                .is_some_and(|words| words.len() > 1),
            "{schema}.{field}: {found}"
        );
    }
    let filter = resolved(
        &document,
        &schemas(&document)["Export"]["properties"]["filter_specification"],
    );
    assert!(
        filter["properties"]["filter_expression"].is_object(),
        "{filter}"
    );
}

#[test]
fn no_schema_has_a_field_of_its_own_name() {
    // In Python the class's module and the field would then have the same name.
    for (name, schema) in schemas(&committed()) {
        for field in schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(field, _)| field)
        {
            assert_ne!(field.replace('_', ""), name.to_lowercase(), "{name}");
        }
    }
}

#[test]
fn numbers_times_and_urls_have_formats() {
    walk(&committed(), "", &mut |at, value| {
        let of_type = |kind: &str| {
            value["type"] == kind
                || value["type"]
                    .as_array()
                    .is_some_and(|types| types.contains(&kind.into()))
        };
        if at.ends_with("/properties") {
            return;
        }
        if of_type("integer") || of_type("number") {
            assert!(value["format"].is_string(), "{at} has no format");
        }
        if of_type("string") && (at.ends_with("/url") || at.ends_with("_url")) {
            // Callers may write hosts in any script; responses have them in ASCII.
            let in_request = value["pattern"].is_string();
            assert_eq!(
                value["format"],
                if in_request { "iri" } else { "uri" },
                "{at}"
            );
        }
        if of_type("string") && (at.ends_with("_at") || at.ends_with("_time")) {
            assert_eq!(value["format"], "date-time", "{at}");
        }
        assert!(
            !(value.get("example").is_some_and(Value::is_null)),
            "{at} has the example null"
        );
    });
}

#[test]
fn webhooks_have_a_tag_of_their_own_and_need_no_credentials() {
    // openapi-generator writes a file for each tag: that of the section replaced that of the calls.
    let document = committed();
    let tags = |section: &str| -> BTreeSet<String> {
        calls(&document, section)
            .iter()
            .flat_map(|(_, call)| call["tags"].as_array().unwrap())
            .map(|tag| tag.as_str().unwrap().to_owned())
            .collect()
    };
    assert!(
        tags("paths").is_disjoint(&tags("webhooks")),
        "{:?}",
        tags("webhooks")
    );
    let declared: BTreeSet<String> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        declared,
        tags("paths").union(&tags("webhooks")).cloned().collect()
    );
    for (at, call) in calls(&document, "webhooks") {
        assert_eq!(call["security"], json!([]), "{at}");
    }
}

#[test]
fn every_call_has_a_name_of_verb_and_noun_a_summary_and_a_description() {
    let verbs = [
        "cancel",
        "create",
        "delete",
        "discover",
        "explain",
        "get",
        "import",
        "list",
        "ping",
        "preflight",
        "recover",
        "replay",
        "resend",
        "retry",
        "revoke",
        "rotate",
        "stream",
        "update",
        "verify",
    ];
    let document = committed();
    let mut seen = BTreeSet::new();
    for (at, call) in calls(&document, "paths") {
        let name = call["operationId"].as_str().unwrap();
        let (verb, noun) = name
            .split_once('_')
            .unwrap_or_else(|| panic!("{at}: {name} has no noun"));
        assert!(verbs.contains(&verb) && noun.len() > 5, "{at}: {name}");
        assert!(seen.insert(name.to_owned()), "{at}: {name} is there twice");
        for member in ["summary", "description"] {
            assert!(
                call[member].as_str().is_some_and(|text| text.len() > 5),
                "{at} has no {member}"
            );
        }
        let security = call["security"].as_array().unwrap();
        assert_eq!(
            security.last(),
            Some(&json!({})),
            "{at}: clients without credentials are refused by their own types"
        );
    }
    assert_eq!(document["servers"], json!([{"url": "."}]));
}

#[test]
fn answers_declare_their_headers() {
    let document = committed();
    for (at, call) in calls(&document, "paths") {
        let is_closed = call["security"] != json!([{}]);
        for (status, answer) in call["responses"].as_object().unwrap() {
            let has = |name: &str| answer["headers"][name].is_object();
            assert!(has("X-Request-Id"), "{at} {status}");
            assert!(
                has("Retry-After") || !["429", "503"].contains(&status.as_str()),
                "{at} {status}"
            );
            assert!(
                has("RateLimit") && has("RateLimit-Policy") || !is_closed || status == "401",
                "{at} {status}"
            );
        }
    }
    for status in ["200", "202"] {
        let replayed = &document["paths"]["/v1/exports"]["post"]["responses"][status]["headers"]["Idempotent-Replayed"];
        assert_eq!(replayed["schema"]["type"], "boolean", "{status}");
    }
}

#[test]
fn the_older_form_has_nothing_that_only_3_1_has() {
    let (newer, older) = (committed(), committed_3_0());
    assert!(older["openapi"].as_str().unwrap().starts_with("3.0."));
    assert!(older["webhooks"].is_null());
    let names =
        |document: &Value| -> BTreeSet<String> { schemas(document).keys().cloned().collect() };
    assert_eq!(names(&newer), names(&older));
    assert_eq!(calls(&newer, "paths").len(), calls(&older, "paths").len());
    walk(&older, "", &mut |at, value| {
        if at.ends_with("/properties") {
            return;
        }
        assert!(!value["type"].is_array() && value["type"] != "null", "{at}");
        for name in [
            "const",
            "propertyNames",
            "examples",
            "patternProperties",
            "prefixItems",
        ] {
            assert!(
                value.get(name).is_none() || (name == "examples" && at.contains("/content/")),
                "{at} has {name}"
            );
        }
        if value["$ref"].is_string() {
            assert_eq!(
                value.as_object().unwrap().len(),
                1,
                "{at}: what stands beside a reference is not read"
            );
        }
        if at.ends_with("/bearer") && at.contains("/security/") {
            assert_eq!(*value, json!([]), "{at}");
        }
    });
    assert!(
        older["paths"]["/v1/exports"]["post"]["description"]
            .as_str()
            .unwrap()
            .ends_with("Requires the scope `exports:write`.")
    );
    // Nothing that a 3.1 schema has here was left out, except for the names of map members; the
    // rest is expressed differently.
    let mut dropped = BTreeSet::new();
    walk(&newer["components"]["schemas"], "", &mut |at, value| {
        if let (Some(value), Some(kept)) = (
            value.as_object(),
            older["components"]["schemas"]
                .pointer(at)
                .and_then(Value::as_object),
        ) {
            dropped.extend(
                value
                    .keys()
                    .filter(|name| !kept.contains_key(*name) && !at.ends_with("/properties"))
                    .cloned(),
            );
        }
    });
    let expected: BTreeSet<String> = ["$ref", "examples", "oneOf", "propertyNames"]
        .map(str::to_owned)
        .into();
    assert_eq!(dropped, expected);
}

#[tokio::test]
async fn the_document_is_served_in_each_of_its_forms() {
    let app = TestApp::start().await;
    let mut without = committed();
    without.as_object_mut().unwrap().remove("webhooks");
    without["tags"]
        .as_array_mut()
        .unwrap()
        .retain(|tag| tag["name"] != "Webhook events");
    assert_eq!(
        app.get("/openapi.json?webhooks=false")
            .await
            .expect(200)
            .json,
        without
    );
    assert_eq!(
        app.get("/openapi.json?webhooks=true")
            .await
            .expect(200)
            .json,
        committed()
    );
    let older = app.get("/openapi-3.0.json").await.expect(200);
    assert_eq!(older.header("content-type"), "application/json");
    assert_eq!(older.json, committed_3_0());
    for wrong in [
        "/openapi.json?webhooks=no",
        "/openapi.json?version=3.0",
        "/openapi-3.0.json?webhooks=false",
    ] {
        app.get(wrong)
            .await
            .expect_problem(400, "invalid-parameter");
    }
    app.send(app.request(Method::HEAD, "/openapi.json"))
        .await
        .expect(200);
    app.send(app.request(Method::POST, "/openapi.json"))
        .await
        .expect_problem(405, "method-not-allowed");
}
