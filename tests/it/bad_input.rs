//! Every kind of invalid input is answered with a problem document, and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, create_body};

#[tokio::test]
async fn bodies_that_are_no_json_object() {
    let app = TestApp::start().await;
    let post = |body: Vec<u8>| {
        app.send(
            app.request(Method::POST, "/v1/exports")
                .header("content-type", "application/json")
                .body(body),
        )
    };
    for body in [
        "",
        "{",
        "{\"a\":}",
        "nul",
        "{\"a\":1}x",
        "{'a':1}",
        "{\"a\":\"\\ud800\"}",
    ] {
        post(body.into())
            .await
            .expect_problem(400, "malformed-json");
    }
    post(b"{\"table_arn\":\"\xff\"}".to_vec())
        .await
        .expect_problem(400, "malformed-json");
    post(("[".repeat(100_000)).into())
        .await
        .expect_problem(400, "malformed-json");
    for body in ["[]", "\"x\"", "7", "null", "true"] {
        assert_eq!(
            post(body.into())
                .await
                .expect_problem(422, "validation-failed")
                .pointers(),
            [""]
        );
    }
    let huge = format!("{{\"table_arn\":\"{}\"}}", "x".repeat(300 * 1024));
    post(huge.into())
        .await
        .expect_problem(413, "payload-too-large");
    assert_eq!(app.stored_exports().await, 0);
}

#[tokio::test]
async fn nul_characters_are_refused_wherever_they_stand() {
    let app = TestApp::start().await;
    let nul = "a\u{0}b";
    for (field, value, pointer) in [
        ("labels", json!({nul: "x"}), "/labels/a\u{0}b"),
        ("labels", json!({"x": nul}), "/labels/x"),
        (
            "filter_specification",
            json!({"filter_expression": nul}),
            "/filter_specification/filter_expression",
        ),
        (
            "filter_specification",
            json!({"filter_expression": "a=:v", "expression_attribute_values": {":v": {"M": {nul: {"S": "x"}}}}}),
            "/filter_specification/expression_attribute_values/:v/M/a\u{0}b",
        ),
    ] {
        let mut body = create_body();
        body[field] = value;
        assert_eq!(
            app.create(&body)
                .await
                .expect_problem(422, "validation-failed")
                .pointers(),
            [pointer]
        );
    }
    app.get("/v1/exports?s3_bucket=a%00b")
        .await
        .expect_problem(400, "invalid-parameter");
    app.get("/v1/exports?label=a%00:b")
        .await
        .expect_problem(400, "invalid-parameter");
    app.get("/v1/exports/%00")
        .await
        .expect_problem(404, "not-found");
}

#[tokio::test]
async fn the_media_type_must_be_json() {
    let app = TestApp::start().await;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        let request = app
            .request(Method::POST, "/v1/exports")
            .header("content-type", media_type)
            .body(create_body().to_string());
        app.send(request)
            .await
            .expect_problem(415, "unsupported-media-type");
    }
    app.send(
        app.request(Method::POST, "/v1/exports")
            .body(create_body().to_string()),
    )
    .await
    .expect_problem(415, "unsupported-media-type");
    for media_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.acme+json",
    ] {
        let request = app
            .request(Method::POST, "/v1/exports")
            .header("content-type", media_type)
            .body(create_body().to_string());
        app.send(request).await.expect(202);
    }
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    let app = TestApp::start().await;
    for path in [
        "/",
        "/v1",
        "/v1/export",
        "/v1/exports/",
        "/v2/exports",
        "/v1/exports/not-an-id",
        "/v1/exports/not-an-id/events",
        "/problems/none",
    ] {
        let answer = app.get(path).await.expect_problem(404, "not-found");
        assert_eq!(answer.json["instance"], path);
    }
    let id = "01a2062d-3755-7453-b9fa-6c17449ed5fc";
    app.get(&format!("/v1/exports/{id}"))
        .await
        .expect_problem(404, "not-found");
    app.get(&format!("/v1/exports/{id}/events"))
        .await
        .expect_problem(404, "not-found");
    app.send(app.request(Method::DELETE, &format!("/v1/exports/{id}")))
        .await
        .expect_problem(404, "not-found");
    app.send(app.request(Method::POST, &format!("/v1/exports/{id}/cancel")))
        .await
        .expect_problem(404, "not-found");
    for (method, path) in [
        (Method::PUT, "/v1/exports"),
        (Method::PATCH, "/v1/exports/x"),
        (Method::POST, "/livez"),
        (Method::GET, "/v1/exports/x/cancel"),
    ] {
        let answer = app
            .send(app.request(method, path))
            .await
            .expect_problem(405, "method-not-allowed");
        assert!(!answer.header("allow").is_empty());
    }
}

#[tokio::test]
async fn parameters_and_headers() {
    let app = TestApp::start().await;
    let id = app.create(&create_body()).await.expect(202).id();
    for (query, names) in [
        ("page_size=0", vec!["#query/page_size"]),
        ("page_size=201", vec!["#query/page_size"]),
        ("page_size=ten", vec!["#query/page_size"]),
        ("page_token=x", vec!["#query/page_token"]),
        (
            "export_status=DONE&export_type=x",
            vec!["#query/export_status", "#query/export_type"],
        ),
        ("label=nokey&label=:v", vec!["#query/label", "#query/label"]),
        ("created_after=now", vec!["#query/created_after"]),
        ("table_arn=x", vec!["#query/table_arn"]),
        ("page_size=5&page_size=6", vec!["#query/page_size"]),
        ("label=a:1&label=a:2", vec!["#query/label"]),
        ("unknown=1", vec!["#query/unknown"]),
    ] {
        let answer = app
            .get(&format!("/v1/exports?{query}"))
            .await
            .expect_problem(400, "invalid-parameter");
        assert_eq!(answer.pointers(), names, "{query}");
    }
    for path in [
        format!("/v1/exports/{id}?x=1"),
        format!("/v1/exports/{id}/events?x=1"),
    ] {
        app.get(&path)
            .await
            .expect_problem(400, "invalid-parameter");
    }
    app.send(
        app.request(Method::POST, "/v1/exports?x=1")
            .json(&create_body()),
    )
    .await
    .expect_problem(400, "invalid-parameter");
    app.send(app.request(Method::DELETE, &format!("/v1/exports/{id}?force=yes")))
        .await
        .expect_problem(400, "invalid-parameter");
    for key in ["", "with space", &"k".repeat(256), "caf\u{e9}"] {
        let request = app
            .request(Method::POST, "/v1/exports")
            .header("idempotency-key", key)
            .json(&create_body());
        let answer = app
            .send(request)
            .await
            .expect_problem(400, "invalid-parameter");
        assert_eq!(answer.pointers(), ["#header/Idempotency-Key"]);
    }
    assert_eq!(app.stored_exports().await, 1);
}

#[tokio::test]
async fn the_query_is_checked_before_the_body() {
    let app = TestApp::start().await;
    for path in ["/v1/exports", "/v1/exports/import", "/v1/webhook-endpoints"] {
        let request = app
            .request(Method::POST, &format!("{path}?unknown=1"))
            .header("content-type", "application/json")
            .body("{");
        let answer = app
            .send(request)
            .await
            .expect_problem(400, "invalid-parameter");
        assert_eq!(answer.pointers(), ["#query/unknown"], "{path}");
    }
    let export = app.create(&create_body()).await.expect(202).id();
    let request = app
        .request(Method::POST, &format!("/v1/exports/{export}/verify?x=1"))
        .header("content-type", "text/plain")
        .body("x");
    app.send(request)
        .await
        .expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn every_problem_type_can_be_looked_up() {
    let app = TestApp::start().await;
    let answer = app.create(&json!({})).await.expect(422);
    let looked_up = app
        .get(answer.json["type"].as_str().unwrap())
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&looked_up["type"], &looked_up["status"]),
        (&answer.json["type"], &Value::from(422))
    );
    assert!(looked_up["explanation"].as_str().unwrap().len() > 20);
}

#[tokio::test]
async fn webhook_routes_refuse_what_they_do_not_know() {
    let app = TestApp::start().await;
    let endpoint = app
        .endpoint_at("https://hooks.example.com/tableferry")
        .await;
    let delivery = app.ping(&endpoint).await;
    let export = app.create(&create_body()).await.expect(202).id();
    let (path, list) = (endpoint.path.as_str(), "/v1/webhook-endpoints");
    for (query, names) in [
        ("page_size=0", vec!["#query/page_size"]),
        (
            "page_size=201&page_token=x",
            vec!["#query/page_size", "#query/page_token"],
        ),
        (
            "page_token=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            vec!["#query/page_token"],
        ),
        ("page_size=1&page_size=2", vec!["#query/page_size"]),
        ("unknown=1", vec!["#query/unknown"]),
    ] {
        for path in [
            list,
            &format!("{path}/deliveries"),
            &format!("/v1/exports/{export}/deliveries"),
        ] {
            let answer = app
                .get(&format!("{path}?{query}"))
                .await
                .expect_problem(400, "invalid-parameter");
            assert_eq!(answer.pointers(), names, "{path}?{query}");
        }
    }
    for path in [
        format!("{path}/deliveries"),
        format!("/v1/exports/{export}/deliveries"),
    ] {
        for (query, names) in [
            (
                "status=delivered&event_type=export",
                vec!["#query/event_type", "#query/status"],
            ),
            ("status=PENDING&status=DELIVERED", vec!["#query/status"]),
            ("event_type=a%00b", vec!["#query/event_type"]),
        ] {
            let answer = app
                .get(&format!("{path}?{query}"))
                .await
                .expect_problem(400, "invalid-parameter");
            assert_eq!(answer.pointers(), names, "{path}?{query}");
        }
    }
    let since = json!({"since": crate::support::ago(60)});
    for (method, path, body) in [
        (
            Method::POST,
            list.to_owned(),
            json!({"url": "https://hooks.example.com/"}),
        ),
        (Method::GET, path.to_owned(), Value::Null),
        (Method::PATCH, path.to_owned(), json!({"description": "x"})),
        (Method::DELETE, path.to_owned(), Value::Null),
        (Method::POST, format!("{path}/ping"), Value::Null),
        (Method::POST, format!("{path}/rotate-secret"), json!({})),
        (Method::POST, format!("{path}/recover"), since.clone()),
        (
            Method::POST,
            format!("{path}/replay-missing"),
            since.clone(),
        ),
        (
            Method::GET,
            format!("/v1/deliveries/{delivery}"),
            Value::Null,
        ),
        (
            Method::POST,
            format!("/v1/deliveries/{delivery}/resend"),
            Value::Null,
        ),
        (
            Method::GET,
            "/v1/webhook-public-keys".to_owned(),
            Value::Null,
        ),
    ] {
        let request = app.request(method.clone(), &format!("{path}?x=1"));
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let answer = app
            .send(request)
            .await
            .expect_problem(400, "invalid-parameter");
        assert_eq!(answer.pointers(), ["#query/x"], "{method} {path}");
        if !body.is_null() {
            let request = app
                .request(method.clone(), &path)
                .header("content-type", "text/plain")
                .body(body.to_string());
            app.send(request)
                .await
                .expect_problem(415, "unsupported-media-type");
            let json = |text: &'static str| {
                app.request(method.clone(), &path)
                    .header("content-type", "application/json")
                    .body(text)
            };
            app.send(json("{"))
                .await
                .expect_problem(400, "malformed-json");
            assert_eq!(
                app.send(json("[]"))
                    .await
                    .expect_problem(422, "validation-failed")
                    .pointers(),
                [""],
                "{method} {path}"
            );
            assert!(
                app.send(json("{\"x\":1}"))
                    .await
                    .expect_problem(422, "validation-failed")
                    .pointers()
                    .contains(&"/x")
            );
        }
    }
    for kind in ["recover", "replay-missing"] {
        for (since, pointers) in [
            (json!({"since": "yesterday"}), vec!["/since"]),
            (json!({"since": 1_700_000_000}), vec!["/since"]),
            (json!({"since": null}), vec!["/since"]),
            (json!({"since": crate::support::ago(-3600)}), vec!["/since"]),
            (
                json!({"until": crate::support::ago(60)}),
                vec!["/since", "/until"],
            ),
        ] {
            let answer = app
                .post(&format!("{path}/{kind}"), &since)
                .await
                .expect_problem(422, "validation-failed");
            assert_eq!(answer.pointers(), pointers, "{kind} {since}");
        }
    }
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_jobs")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!((jobs, app.log_of(&endpoint).await.len()), (0, 1));
}

#[tokio::test]
async fn webhook_ids_that_name_nothing() {
    let app = TestApp::start().await;
    let endpoint = app
        .endpoint_at("https://hooks.example.com/tableferry")
        .await;
    let delivery = app.ping(&endpoint).await;
    let since = json!({"since": crate::support::ago(60)});
    for id in [
        "not-an-id",
        "01a2062d-3755-7453-b9fa-6c17449ed5fc",
        "%00",
        delivery.as_str(),
    ] {
        let path = format!("/v1/webhook-endpoints/{id}");
        for (method, path, body) in [
            (Method::GET, path.clone(), Value::Null),
            (Method::DELETE, path.clone(), Value::Null),
            (Method::PATCH, path.clone(), json!({})),
            (Method::GET, format!("{path}/deliveries"), Value::Null),
            (Method::POST, format!("{path}/ping"), Value::Null),
            (Method::POST, format!("{path}/rotate-secret"), json!({})),
            (Method::POST, format!("{path}/recover"), since.clone()),
            (
                Method::POST,
                format!("{path}/replay-missing"),
                since.clone(),
            ),
            (Method::GET, format!("/v1/webhook-jobs/{id}"), Value::Null),
            (
                Method::GET,
                format!("/v1/exports/{id}/deliveries"),
                Value::Null,
            ),
        ] {
            let request = app.request(method, &path);
            let answer = app
                .send(if body.is_null() {
                    request
                } else {
                    request.json(&body)
                })
                .await
                .expect_problem(404, "not-found");
            assert_eq!(answer.json["instance"], path);
        }
    }
    for id in [
        "msg_01a2062d37557453b9fa6c17449ed5fc",
        "msg_",
        "msg_x",
        &delivery[4..],
        endpoint.id.as_str(),
        "%00",
    ] {
        app.get(&format!("/v1/deliveries/{id}"))
            .await
            .expect_problem(404, "not-found");
        app.send(app.request(Method::POST, &format!("/v1/deliveries/{id}/resend")))
            .await
            .expect_problem(404, "not-found");
    }
    for (method, path) in [
        (Method::PUT, "/v1/webhook-endpoints".to_owned()),
        (Method::PUT, endpoint.path.clone()),
        (Method::GET, format!("{}/ping", endpoint.path)),
        (Method::DELETE, format!("/v1/deliveries/{delivery}")),
        (Method::POST, "/v1/webhook-public-keys".to_owned()),
    ] {
        let answer = app
            .send(app.request(method, &path))
            .await
            .expect_problem(405, "method-not-allowed");
        assert!(!answer.header("allow").is_empty());
    }
}
