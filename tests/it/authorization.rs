//! Who may make which call: every route, every scope, every kind of key, foreign records.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry::api::openapi::{self, Form};
use tableferry::domain::caller::scope::Scope;
use tableferry::settings::Auth;

use crate::support::{BUCKET, NewKey, TABLE, TestApp, TestOptions, create_body};

const READ: Option<Scope> = Some(Scope::ExportsRead);
const WRITE: Option<Scope> = Some(Scope::ExportsWrite);
const HOOKS: Option<Scope> = Some(Scope::WebhooksManage);
const ADMIN: Option<Scope> = Some(Scope::Admin);
const OPEN: Option<Scope> = None;

/// Every call with the scope it needs. A new one must be entered here.
const MATRIX: &[(&str, &str, Option<Scope>)] = &[
    ("GET", "/v1/exports", READ),
    ("POST", "/v1/exports", WRITE),
    ("POST", "/v1/exports/import", WRITE),
    ("POST", "/v1/exports/discover", WRITE),
    ("POST", "/v1/exports/preflight", READ),
    ("GET", "/v1/exports/{id}", READ),
    ("DELETE", "/v1/exports/{id}", WRITE),
    ("POST", "/v1/exports/{id}/cancel", WRITE),
    ("POST", "/v1/exports/{id}/retry", WRITE),
    ("POST", "/v1/exports/{id}/verify", WRITE),
    ("GET", "/v1/exports/{id}/events", READ),
    ("GET", "/v1/exports/{id}/events/stream", READ),
    ("GET", "/v1/exports/{id}/deliveries", READ),
    ("GET", "/v1/exports/{id}/manifest", READ),
    ("GET", "/v1/exports/{id}/files", READ),
    ("GET", "/v1/exports/{id}/items", READ),
    ("GET", "/v1/webhook-endpoints", HOOKS),
    ("POST", "/v1/webhook-endpoints", HOOKS),
    ("GET", "/v1/webhook-endpoints/{id}", HOOKS),
    ("PATCH", "/v1/webhook-endpoints/{id}", HOOKS),
    ("DELETE", "/v1/webhook-endpoints/{id}", HOOKS),
    ("POST", "/v1/webhook-endpoints/{id}/ping", HOOKS),
    ("POST", "/v1/webhook-endpoints/{id}/rotate-secret", HOOKS),
    ("POST", "/v1/webhook-endpoints/{id}/recover", HOOKS),
    ("POST", "/v1/webhook-endpoints/{id}/replay-missing", HOOKS),
    ("GET", "/v1/webhook-endpoints/{id}/deliveries", HOOKS),
    ("GET", "/v1/webhook-jobs/{id}", HOOKS),
    ("GET", "/v1/deliveries/{id}", HOOKS),
    ("POST", "/v1/deliveries/{id}/resend", HOOKS),
    ("GET", "/v1/webhook-public-keys", OPEN),
    ("GET", "/v1/api-keys", ADMIN),
    ("POST", "/v1/api-keys", ADMIN),
    ("GET", "/v1/api-keys/{id}", ADMIN),
    ("POST", "/v1/api-keys/{id}/revoke", ADMIN),
    ("GET", "/livez", OPEN),
    ("GET", "/readyz", OPEN),
    ("GET", "/metrics", OPEN),
    ("GET", "/problems/{name}", OPEN),
];

async fn closed() -> TestApp {
    TestApp::start_with(TestOptions {
        auth: Auth::Required,
        ..TestOptions::default()
    })
    .await
}

/// A path whose parts name nothing.
fn concrete(path: &str) -> String {
    let id = if path.starts_with("/v1/deliveries") {
        "msg_019a3b5c7d2e7f108a9b0c1d2e3f4a5b"
    } else {
        "019a3b5c-7d2e-7f10-8a9b-0c1d2e3f4a5b"
    };
    path.replace("{id}", id).replace("{name}", "not-found")
}

#[test]
fn every_call_is_in_the_matrix_and_says_what_it_needs() {
    let document: Value = serde_json::from_str(&openapi::document(Form::Whole).unwrap()).unwrap();
    let mut documented = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap() {
            let needs = &call["security"];
            let needs = if *needs == json!([{}]) {
                None
            } else {
                needs[0]["bearer"][0].as_str()
            };
            // The alternative is for where nobody must say who they are.
            assert!(
                needs.is_none() || call["security"] == json!([{"bearer": [needs]}, {}]),
                "{method} {path}"
            );
            assert!(
                needs.is_some() || call["security"] == json!([{}]),
                "{method} {path} says nothing of who may make it"
            );
            documented.insert(
                (method.to_uppercase(), path.clone()),
                needs.map(|scope| Scope::parse(scope).unwrap()),
            );
        }
    }
    let entered: BTreeMap<_, _> = MATRIX
        .iter()
        .map(|(method, path, scope)| (((*method).to_owned(), (*path).to_owned()), *scope))
        .collect();
    assert_eq!(documented.len(), MATRIX.len());
    for (call, scope) in &documented {
        assert_eq!(entered.get(call), Some(scope), "{call:?}");
    }
}

#[tokio::test]
async fn every_call_with_every_kind_of_credentials() {
    let app = closed().await;
    let expired = app
        .new_key(NewKey {
            name: "expired",
            scopes: &[Scope::Admin],
            works_for: Some(Duration::from_secs(60)),
            ..NewKey::default()
        })
        .await;
    let revoked = app
        .new_key(NewKey {
            name: "revoked",
            scopes: &[Scope::Admin],
            ..NewKey::default()
        })
        .await;
    let id = app
        .store()
        .find_api_key_by_name("revoked")
        .await
        .unwrap()
        .unwrap()
        .id;
    app.store()
        .revoke_api_key(id, app.chance.now())
        .await
        .unwrap()
        .unwrap();
    app.chance.advance(Duration::from_secs(61));
    let unknown = app.chance.api_key_secret().expose().to_owned();
    let typo = format!("{}0", &unknown[..unknown.len() - 1]);
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        let key = app
            .new_key(NewKey {
                name: &scope.as_str().replace(':', "-"),
                scopes: &[scope],
                ..NewKey::default()
            })
            .await;
        keys.push((scope, key));
    }
    for (method, path, needs) in MATRIX {
        let at = format!("{method} {path}");
        let method: Method = method.parse().unwrap();
        let path = concrete(path);
        let body = json!({});
        let body = [Method::POST, Method::PATCH]
            .contains(&method)
            .then_some(&body);
        let none = {
            let request = app.request(method.clone(), &path);
            app.send(if let Some(body) = body {
                request.json(body)
            } else {
                request
            })
            .await
        };
        if needs.is_none() {
            assert!(![401, 403].contains(&none.status.as_u16()), "{at}");
            continue;
        }
        none.expect_problem(401, "unauthenticated");
        for (what, key) in [
            ("typo", &typo),
            ("unknown", &unknown),
            ("expired", &expired),
            ("revoked", &revoked),
        ] {
            // So much is refused here that the address would be put off.
            app.chance.advance(Duration::from_secs(60));
            let answer = app.call_as(key, method.clone(), &path, body).await;
            assert!(
                answer.header("www-authenticate").starts_with("Bearer "),
                "{at} {what}"
            );
            let answer = answer.expect_problem(401, "unauthenticated");
            assert!(
                !answer.text.contains(key.as_str()),
                "{at} {what}: the key is repeated"
            );
        }
        for (scope, key) in &keys {
            let answer = app.call_as(key, method.clone(), &path, body).await;
            if Some(*scope) == *needs || *scope == Scope::Admin {
                assert!(
                    ![401, 403].contains(&answer.status.as_u16()),
                    "{at} with {}: {}",
                    scope.as_str(),
                    answer.text
                );
            } else {
                let answer = answer.expect_problem(403, "forbidden");
                assert!(
                    answer.json["detail"]
                        .as_str()
                        .unwrap()
                        .contains(needs.unwrap().as_str()),
                    "{at}: {}",
                    answer.text
                );
            }
        }
    }
    assert_eq!(app.stored_exports().await, 0);
}

#[tokio::test]
async fn what_is_not_there_needs_nobody_and_a_head_is_a_get() {
    let app = closed().await;
    app.get("/v1/nothing")
        .await
        .expect_problem(404, "not-found");
    app.send(app.request(Method::PUT, "/v1/exports"))
        .await
        .expect_problem(405, "method-not-allowed");
    app.send(app.request(Method::HEAD, "/v1/exports"))
        .await
        .expect(401);
    app.get("/openapi.json").await.expect(200);
    app.get("/docs/").await.expect(200);
    for wrong in ["Basic dXNlcjpwYXNz", "Bearer", "tferry_x", ""] {
        let request = app
            .request(Method::GET, "/v1/exports")
            .header("authorization", wrong);
        app.send(request)
            .await
            .expect_problem(401, "unauthenticated");
    }
}

/// A key of another team.
async fn of_others(app: &TestApp) -> String {
    let tables = ["arn:aws:dynamodb:*:123456789012:table/Books*"];
    app.new_key(NewKey {
        name: "others",
        tables: &tables,
        buckets: &["books-*"],
        ..NewKey::default()
    })
    .await
}

#[tokio::test]
async fn a_team_does_not_reach_the_exports_of_another() {
    let app = closed().await;
    let mine = app
        .new_key(NewKey {
            tables: &["arn:aws:dynamodb:us-east-1:123456789012:table/Orders"],
            buckets: &[BUCKET],
            ..NewKey::default()
        })
        .await;
    let others = of_others(&app).await;
    let id = app
        .call_as(&mine, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect(202)
        .id();
    app.step_exports().await;
    app.aws.finish_exports().await;
    app.step_exports().await;
    for (method, path, _) in MATRIX
        .iter()
        .filter(|(_, path, _)| path.starts_with("/v1/exports/{id}"))
    {
        let (method, path): (Method, _) = (method.parse().unwrap(), path.replace("{id}", &id));
        let body = json!({});
        let body = (method == Method::POST).then_some(&body);
        // However the id is written.
        let encoded = path.replacen(&id, &format!("%{:02x}{}", id.as_bytes()[0], &id[1..]), 1);
        let braced = path.replacen(&id, &format!("%7B{id}%7D"), 1);
        for path in [&path, &encoded, &braced] {
            app.call_as(&others, method.clone(), path, body)
                .await
                .expect_problem(404, "not-found");
        }
        if method != Method::DELETE {
            let own = app.call_as(&mine, method, &path, body).await;
            assert!(
                ![401, 403, 404].contains(&own.status.as_u16()),
                "{path}: {}",
                own.text
            );
        }
    }
    let listed = |answer: crate::support::Answer| answer.json["exports"].as_array().unwrap().len();
    assert_eq!(
        listed(
            app.call_as(&mine, Method::GET, "/v1/exports", None)
                .await
                .expect(200)
        ),
        1
    );
    assert_eq!(
        listed(
            app.call_as(&others, Method::GET, "/v1/exports", None)
                .await
                .expect(200)
        ),
        0
    );
    assert_eq!(
        listed(
            app.call_as(
                &others,
                Method::GET,
                &format!("/v1/exports?table_arn={TABLE}"),
                None
            )
            .await
            .expect(200)
        ),
        0
    );
    assert_eq!(app.stored_exports().await, 1);
}

#[tokio::test]
async fn a_team_does_not_ask_for_the_tables_or_buckets_of_another() {
    let app = closed().await;
    let others = of_others(&app).await;
    let both = app
        .call_as(&others, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect_problem(403, "forbidden");
    assert_eq!(both.pointers(), ["/s3_bucket", "/table_arn"]);
    let body = json!({"table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/Books2", "s3_bucket": BUCKET});
    let bucket = app
        .call_as(&others, Method::POST, "/v1/exports", Some(&body))
        .await
        .expect_problem(403, "forbidden");
    assert_eq!(bucket.pointers(), ["/s3_bucket"]);
    app.call_as(
        &others,
        Method::POST,
        "/v1/exports/preflight",
        Some(&create_body()),
    )
    .await
    .expect_problem(403, "forbidden");
    let discover = json!({"table_arn": TABLE});
    app.call_as(
        &others,
        Method::POST,
        "/v1/exports/discover",
        Some(&discover),
    )
    .await
    .expect_problem(403, "forbidden");
    let import = json!({"export_arn": format!("{TABLE}/export/01580735656614-2c2f422e")});
    app.call_as(&others, Method::POST, "/v1/exports/import", Some(&import))
        .await
        .expect_problem(403, "forbidden");
    assert_eq!(app.stored_exports().await, 0);
    // The key that a request came with is no way to another's export.
    let all = app
        .new_key(NewKey {
            name: "all",
            ..NewKey::default()
        })
        .await;
    let keyed = |key: &str| {
        app.request(Method::POST, "/v1/exports")
            .bearer_auth(key)
            .header("idempotency-key", "k")
            .json(&create_body())
    };
    app.send(keyed(&all)).await.expect(202);
    app.send(keyed(&others))
        .await
        .expect_problem(403, "forbidden");
}

#[tokio::test]
async fn exports_that_aws_knows_are_adopted_by_whom_they_belong_to() {
    let app = closed().await;
    let all = app
        .new_key(NewKey {
            name: "all",
            ..NewKey::default()
        })
        .await;
    let id = app
        .call_as(&all, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect(202)
        .id();
    app.step_exports().await;
    let arn = app
        .call_as(&all, Method::GET, &format!("/v1/exports/{id}"), None)
        .await
        .json["arn"]
        .as_str()
        .unwrap()
        .to_owned();
    app.call_as(
        &all,
        Method::DELETE,
        &format!("/v1/exports/{id}?force=true"),
        None,
    )
    .await
    .expect(204);
    // Its table is theirs, its bucket is not.
    let tables = ["arn:aws:dynamodb:*:123456789012:table/Orders"];
    let half = app
        .new_key(NewKey {
            name: "half",
            tables: &tables,
            buckets: &["books-*"],
            ..NewKey::default()
        })
        .await;
    let import = json!({"export_arn": arn});
    app.call_as(&half, Method::POST, "/v1/exports/import", Some(&import))
        .await
        .expect_problem(403, "forbidden");
    let discover = json!({"table_arn": TABLE, "adopt": true});
    let found = app
        .call_as(&half, Method::POST, "/v1/exports/discover", Some(&discover))
        .await
        .expect(200);
    assert_eq!(
        found.json,
        json!({"exports": [], "adopted": 0, "not_adopted": [], "next_page_token": null, "incomplete_reason": null}),
        "of what is not theirs nothing is said"
    );
    let named = json!({"table_arn": TABLE, "adopt": [arn]});
    let found = app
        .call_as(&half, Method::POST, "/v1/exports/discover", Some(&named))
        .await
        .expect(200);
    assert_eq!(
        (
            found.json["adopted"].as_i64(),
            found.json["not_adopted"].as_array().unwrap().len()
        ),
        (Some(0), 1)
    );
    let region = json!({"account_id": "123456789012", "region": "us-east-1"});
    let others = of_others(&app).await;
    let found = app
        .call_as(&others, Method::POST, "/v1/exports/discover", Some(&region))
        .await
        .expect(200);
    assert_eq!(found.json["exports"], json!([]));
    let adopted = app
        .call_as(&all, Method::POST, "/v1/exports/import", Some(&import))
        .await
        .expect(201);
    assert_eq!(adopted.json["created_by"], "api_key:all");
    let known = app
        .call_as(&half, Method::POST, "/v1/exports/import", Some(&import))
        .await
        .expect_problem(403, "forbidden");
    assert_eq!(known.pointers(), ["/export_arn"], "as before it was known");
    let found = app
        .call_as(
            &half,
            Method::POST,
            "/v1/exports/discover",
            Some(&json!({"table_arn": TABLE})),
        )
        .await
        .expect(200);
    assert_eq!(found.json["exports"], json!([]));
    let found = app
        .call_as(
            &all,
            Method::POST,
            "/v1/exports/discover",
            Some(&json!({"table_arn": TABLE})),
        )
        .await
        .expect(200);
    assert_eq!(found.json["exports"][0]["known_id"], adopted.json["id"]);
}

#[tokio::test]
async fn where_an_endpoint_is_only_those_see_who_manage_endpoints() {
    let app = closed().await;
    let (team, root) = (
        app.new_key(NewKey::default()).await,
        app.new_key(NewKey {
            name: "root",
            scopes: &[Scope::Admin],
            ..NewKey::default()
        })
        .await,
    );
    let endpoint = json!({"url": "http://127.0.0.1:9/services/hunter2?sig=hunter3"});
    app.call_as(
        &root,
        Method::POST,
        "/v1/webhook-endpoints",
        Some(&endpoint),
    )
    .await
    .expect(201);
    let id = app
        .call_as(&team, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect(202)
        .id();
    app.call_as(
        &team,
        Method::POST,
        &format!("/v1/exports/{id}/cancel"),
        None,
    )
    .await
    .expect(200);
    app.step_deliveries().await;
    let path = format!("/v1/exports/{id}/deliveries");
    let seen = app
        .call_as(&team, Method::GET, &path, None)
        .await
        .expect(200);
    assert!(!seen.text.contains("hunter"), "{}", seen.text);
    let delivery = &seen.json["deliveries"][0];
    assert_eq!(
        (&delivery["url"], &delivery["attempts"][0]["error"]),
        (&json!("http://127.0.0.1:9"), &Value::Null)
    );
    assert!(
        app.call_as(&root, Method::GET, &path, None)
            .await
            .expect(200)
            .text
            .contains("hunter2")
    );
}

#[tokio::test]
async fn everything_says_who_made_it() {
    let app = closed().await;
    let team = app
        .new_key(NewKey {
            name: "orders-team",
            ..NewKey::default()
        })
        .await;
    let hooks = app
        .new_key(NewKey {
            name: "platform",
            scopes: &[Scope::WebhooksManage],
            ..NewKey::default()
        })
        .await;
    let export = app
        .call_as(&team, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect(202);
    assert_eq!(export.json["created_by"], "api_key:orders-team");
    let other = app
        .new_key(NewKey {
            name: "other",
            ..NewKey::default()
        })
        .await;
    app.call_as(
        &other,
        Method::POST,
        &format!("/v1/exports/{}/cancel", export.id()),
        None,
    )
    .await
    .expect(200);
    let events = app
        .call_as(
            &team,
            Method::GET,
            &format!("/v1/exports/{}/events", export.id()),
            None,
        )
        .await
        .expect(200);
    let by: Vec<_> = events.json["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["created_by"].clone())
        .collect();
    assert_eq!(by, ["api_key:orders-team", "api_key:other"]);
    let retried = app
        .call_as(
            &other,
            Method::POST,
            &format!("/v1/exports/{}/retry", export.id()),
            None,
        )
        .await
        .expect(202);
    assert_eq!(retried.json["created_by"], "api_key:other");
    app.step_exports().await;
    let events = app
        .call_as(
            &team,
            Method::GET,
            &format!("/v1/exports/{}/events", retried.id()),
            None,
        )
        .await
        .expect(200);
    assert_eq!(
        events.json["events"][1]["created_by"],
        json!(null),
        "the service started it: {}",
        events.text
    );
    let endpoint = json!({"url": "http://127.0.0.1:9/hook"});
    let endpoint = app
        .call_as(
            &hooks,
            Method::POST,
            "/v1/webhook-endpoints",
            Some(&endpoint),
        )
        .await
        .expect(201);
    assert_eq!(endpoint.json["created_by"], "api_key:platform");
    let since = json!({"since": "2026-01-01T00:00:00Z"});
    let path = format!("/v1/webhook-endpoints/{}/recover", endpoint.id());
    assert_eq!(
        app.call_as(&hooks, Method::POST, &path, Some(&since))
            .await
            .expect(202)
            .json["created_by"],
        "api_key:platform"
    );
}
