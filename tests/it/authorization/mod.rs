//! Which callers may call what: every route with every scope and every kind of key.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry::api::openapi::{self, Form};
use tableferry::auth::Auth;
use tableferry::domain::caller::scope::Scope;

use crate::support::{NewKey, TestApp, TestOptions};

mod ownership;

const READ: Option<Scope> = Some(Scope::ExportsRead);
const WRITE: Option<Scope> = Some(Scope::ExportsWrite);
const HOOKS: Option<Scope> = Some(Scope::WebhooksManage);
const ADMIN: Option<Scope> = Some(Scope::Admin);
const OPEN: Option<Scope> = None;

/// Every operation with the scope it needs. A new one must be added here.
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

/// A path whose parameters match nothing.
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
            // The alternative is for services without authentication.
            assert!(
                needs.is_none() || call["security"] == json!([{"bearer": [needs]}, {}]),
                "{method} {path}"
            );
            assert!(
                needs.is_some() || call["security"] == json!([{}]),
                "{method} {path} declares no scope"
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
        .revoke_api_key(id, app.clock.now())
        .await
        .unwrap()
        .unwrap();
    app.clock.advance(Duration::from_secs(61));
    let unknown = app.clock.api_key_secret().expose().to_owned();
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
            // So many requests fail here that the address would be throttled.
            app.clock.advance(Duration::from_secs(60));
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
