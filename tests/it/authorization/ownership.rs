//! Callers see and change only records that their keys cover, and each record names its creator.

use reqwest::Method;
use serde_json::{Value, json};
use tableferry::domain::caller::scope::Scope;

use super::{MATRIX, closed};
use crate::support::{BUCKET, NewKey, TABLE, TestApp, create_body};

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
        // In any spelling of the id.
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
    // The idempotency key of another caller's request gives no access to its export.
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
    // The caller has access to its table, but not to its bucket.
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
        "exports of others are not mentioned"
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
    assert_eq!(
        known.pointers(),
        ["/export_arn"],
        "the same as for an unknown export"
    );
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
