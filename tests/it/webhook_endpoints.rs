//! Webhook endpoints: created, listed, changed and deleted; which requests are rejected; secrets
//! are shown only once.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{LogCapture, Receiver, TestApp, create_body};

const PATH: &str = "/v1/webhook-endpoints";
const URL: &str = "https://hooks.example.com/tableferry";

fn full() -> Value {
    json!({
        "url": URL,
        "description": "tells the warehouse team",
        "event_types": ["export.failed", "export.completed"],
        "labels": {"team": "orders"},
        "headers": {"X-Api-Key": "a-key-of-the-receiver", "Authorization": "Bearer hunter2"},
    })
}

/// This many entries, numbered.
fn many(count: usize, name: &str) -> Value {
    (0..count)
        .map(|n| (format!("{name}{n}"), json!("x")))
        .collect::<Map<_, _>>()
        .into()
}

#[tokio::test]
async fn an_endpoint_is_made_shown_changed_and_forgotten() {
    let app = TestApp::start().await;
    let made = app.post(PATH, &full()).await.expect(201);
    let path = format!("{PATH}/{}", made.id());
    assert_eq!(
        (made.header("location"), made.header("cache-control")),
        (path.as_str(), "no-store")
    );
    assert!(made.json["secret"].as_str().unwrap().starts_with("whsec_"));
    let mut shown = made.json.clone();
    shown.as_object_mut().unwrap().remove("secret");
    assert_eq!(app.get(&path).await.expect(200).json, shown);
    assert_eq!(shown["url"], URL);
    assert_eq!(shown["description"], "tells the warehouse team");
    assert_eq!(
        shown["event_types"],
        json!(["export.failed", "export.completed"])
    );
    assert_eq!(shown["labels"], json!({"team": "orders"}));
    assert_eq!(shown["header_names"], json!(["Authorization", "X-Api-Key"]));
    assert_eq!(
        (
            &shown["disabled"],
            &shown["disabled_reason"],
            &shown["disabled_at"]
        ),
        (&json!(false), &Value::Null, &Value::Null)
    );
    assert_eq!(shown["failing_since"], Value::Null);
    assert_eq!(shown["created_at"], shown["updated_at"]);

    let moved = app
        .patch(&path, &json!({"url": "https://hooks.example.com/other"}))
        .await
        .expect(200)
        .json;
    assert_eq!(moved["url"], "https://hooks.example.com/other");
    for kept in [
        "description",
        "event_types",
        "labels",
        "header_names",
        "disabled",
        "created_at",
    ] {
        assert_eq!(moved[kept], shown[kept], "{kept} was not spoken of");
    }
    assert!(moved["updated_at"].as_str() > shown["updated_at"].as_str());
    let nothing =
        json!({"description": null, "event_types": null, "labels": null, "headers": null});
    let bare = app.patch(&path, &nothing).await.expect(200).json;
    assert_eq!(
        (&bare["description"], &bare["event_types"], &bare["labels"]),
        (&Value::Null, &json!([]), &json!({}))
    );
    assert_eq!(bare["header_names"], json!([]));
    assert_eq!(app.get(&path).await.expect(200).json, bare);
    assert_eq!(
        app.patch(&path, &json!({})).await.expect(200).json["url"],
        bare["url"],
        "a change of nothing is one"
    );

    let forgotten = app
        .send(app.request(Method::DELETE, &path))
        .await
        .expect(204);
    assert!(forgotten.text.is_empty());
    app.get(&path).await.expect_problem(404, "not-found");
    app.patch(&path, &json!({}))
        .await
        .expect_problem(404, "not-found");
    app.send(app.request(Method::DELETE, &path))
        .await
        .expect_problem(404, "not-found");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_secrets")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(left, 0, "its secrets go with it");
}

#[tokio::test]
async fn an_endpoint_is_disabled_and_enabled_by_its_caller() {
    let app = TestApp::start().await;
    let made = app
        .post(PATH, &json!({"url": URL, "disabled": true}))
        .await
        .expect(201);
    let path = format!("{PATH}/{}", made.id());
    assert_eq!(
        (&made.json["disabled"], &made.json["disabled_reason"]),
        (&json!(true), &json!("by_caller"))
    );
    assert_eq!(made.json["disabled_at"], made.json["created_at"]);
    let again = app
        .patch(&path, &json!({"disabled": true}))
        .await
        .expect(200)
        .json;
    assert_eq!(
        again["disabled_at"], made.json["disabled_at"],
        "it is disabled since then"
    );
    let enabled = app
        .patch(&path, &json!({"disabled": false}))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (
            &enabled["disabled"],
            &enabled["disabled_reason"],
            &enabled["disabled_at"]
        ),
        (&json!(false), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let app = TestApp::start().await;
    assert_eq!(
        app.get(PATH).await.expect(200).json,
        json!({"webhook_endpoints": [], "next_page_token": null})
    );
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(
            app.endpoint_at(&format!("https://hooks.example.com/{n}"))
                .await
                .id,
        );
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut next = format!("{PATH}?page_size=2");
    loop {
        let page = app.get(&next).await.expect(200);
        seen.extend(
            page.json["webhook_endpoints"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["id"].as_str().unwrap().to_owned()),
        );
        let token = page.json["next_page_token"].as_str();
        let link = page
            .header("link")
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix(">; rel=\"next\""))
            .map(str::to_owned);
        assert_eq!(
            token.map(|token| format!("{PATH}?page_size=2&page_token={token}")),
            link
        );
        let Some(link) = link else { break };
        // An endpoint that is created meanwhile shifts nothing.
        app.endpoint_at(URL).await;
        next = link;
    }
    assert_eq!(seen, made);
    let other = format!("/v1/webhook-endpoints/{}/deliveries", made[0]);
    let token = app.get(&format!("{PATH}?page_size=1")).await.json["next_page_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = app
        .get(&format!("{other}?page_token={token}"))
        .await
        .expect_problem(400, "invalid-parameter");
    assert_eq!(
        refused.pointers(),
        ["#query/page_token"],
        "a token is good for its own list only"
    );
}

#[tokio::test]
async fn every_error_of_a_body_is_told_at_once() {
    let app = TestApp::start().await;
    let wrong = json!({
        "url": "ftp://example.com",
        "description": "two\nlines",
        "event_types": ["export.completed", "ping", 7, "export.completed", "export.*"],
        "labels": {"a:b": "x", "c": 7},
        "headers": {"no blanks": "x", "Host": "x", "Webhook-Id": "x", "X-Fine": "fine", "x-fine": "again", "X-Line": "a\r\nb", "X-Number": 1},
        "disabled": "yes",
        "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "filter": {},
    });
    let expected = [
        "/description",
        "/disabled",
        "/event_types/1",
        "/event_types/2",
        "/event_types/3",
        "/event_types/4",
        "/filter",
        "/headers/Host",
        "/headers/Webhook-Id",
        "/headers/X-Line",
        "/headers/X-Number",
        "/headers/no blanks",
        "/headers/x-fine",
        "/labels/a:b",
        "/labels/c",
        "/secret",
        "/url",
    ];
    let answer = app
        .post(PATH, &wrong)
        .await
        .expect_problem(422, "validation-failed");
    assert_eq!(answer.pointers(), expected);
    assert!(
        !answer.text.contains("C2FVsBQI"),
        "what may be a secret is not repeated"
    );
    let made = app.endpoint_of(&full()).await;
    let before = app.get(&made.path).await.json;
    assert_eq!(
        app.patch(&made.path, &wrong)
            .await
            .expect_problem(422, "validation-failed")
            .pointers(),
        expected
    );
    assert_eq!(app.get(&made.path).await.json, before);
    assert_eq!(
        app.post(PATH, &json!({}))
            .await
            .expect_problem(422, "validation-failed")
            .pointers(),
        ["/url"]
    );
    for (body, pointers) in [
        (json!({"url": null}), ["/url"]),
        (json!({"url": 7}), ["/url"]),
        (json!({"url": "http://user:hunter2@example.com/"}), ["/url"]),
        (
            json!({"url": format!("https://example.com/{}", "x".repeat(2048))}),
            ["/url"],
        ),
        (json!({"url": "https://example.com/\u{0}"}), ["/url"]),
        (json!({"description": "x".repeat(256)}), ["/description"]),
        (json!({"description": "a\u{0}b"}), ["/description"]),
        (json!({"event_types": "export.completed"}), ["/event_types"]),
        (json!({"event_types": {}}), ["/event_types"]),
        (json!({"event_types": [null]}), ["/event_types/0"]),
        (json!({"labels": many(33, "key")}), ["/labels"]),
        (json!({"labels": []}), ["/labels"]),
        (json!({"headers": many(17, "x-header-")}), ["/headers"]),
        (json!({"headers": "X-A: b"}), ["/headers"]),
        (json!({"headers": {"X-A": null}}), ["/headers/X-A"]),
        (json!({"headers": {"X-A": ""}}), ["/headers/X-A"]),
        (json!({"headers": {"X-A": " padded "}}), ["/headers/X-A"]),
        (json!({"headers": {"X-A": "caf\u{e9}"}}), ["/headers/X-A"]),
        (
            json!({"headers": {"X-A": "x".repeat(1025)}}),
            ["/headers/X-A"],
        ),
        (json!({"headers": {"": "x"}}), ["/headers/"]),
        (json!({"headers": {"a/b": "x"}}), ["/headers/a~1b"]),
        (
            json!({"headers": {"Content-Length": "0"}}),
            ["/headers/Content-Length"],
        ),
        (json!({"disabled": 0}), ["/disabled"]),
        (json!({"id": "x"}), ["/id"]),
    ] {
        let answer = app
            .patch(&made.path, &body)
            .await
            .expect_problem(422, "validation-failed");
        assert_eq!(answer.pointers(), pointers, "{body}");
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    }
    assert_eq!(app.get(&made.path).await.json, before);
    assert_eq!(
        app.get(PATH).await.json["webhook_endpoints"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_is_just_within_the_limits_is_taken() {
    let app = TestApp::start().await;
    let body = json!({
        "url": URL,
        "description": "\u{e9}".repeat(255),
        "event_types": [
            "export.started", "export.completed", "export.failed", "export.timed_out", "export.cancelled", "webhook_endpoint.disabled"
        ],
        "labels": many(32, "key"),
        "headers": many(16, "x-header-"),
    });
    let made = app.post(PATH, &body).await.expect(201).json;
    assert_eq!(made["header_names"].as_array().unwrap().len(), 16);
    for same in ["description", "event_types", "labels"] {
        assert_eq!(made[same], body[same]);
    }
    app.patch(
        &format!("{PATH}/{}", made["id"].as_str().unwrap()),
        &json!({"headers": {"x".repeat(64): "y".repeat(1024)}}),
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn private_receivers_are_refused_unless_the_operator_allows_them() {
    use crate::support::TestOptions;
    let app = TestApp::start_with(TestOptions {
        allow_private: false,
        ..TestOptions::default()
    })
    .await;
    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
    ] {
        let answer = app
            .post(PATH, &json!({ "url": url }))
            .await
            .expect_problem(422, "validation-failed");
        assert_eq!(answer.pointers(), ["/url"], "{url}");
    }
}

#[tokio::test]
async fn its_own_headers_are_kept_sealed_and_only_their_names_are_shown() {
    let app = TestApp::start().await;
    let made = app.endpoint_of(&full()).await;
    let stored = |app: &TestApp| {
        let pool = app.pool.clone();
        async move {
            let row: String =
                sqlx::query_scalar("SELECT to_jsonb(w)::text FROM webhook_endpoints w")
                    .fetch_one(&pool)
                    .await
                    .unwrap();
            row
        }
    };
    let before = stored(&app).await;
    assert!(
        before.contains("X-Api-Key")
            && !before.contains("hunter2")
            && !before.contains("a-key-of-the-receiver"),
        "{before}"
    );
    for path in [made.path.clone(), PATH.to_owned()] {
        let text = app.get(&path).await.text;
        assert!(
            text.contains("X-Api-Key") && !text.contains("hunter2") && !text.contains("a-key-of"),
            "{text}"
        );
    }
    let changed = app
        .patch(&made.path, &json!({"headers": {"X-Other": "hunter3"}}))
        .await
        .expect(200);
    assert_eq!(
        changed.json["header_names"],
        json!(["X-Other"]),
        "they replace those it had"
    );
    assert!(!changed.text.contains("hunter") && !stored(&app).await.contains("hunter"));
    let none = app
        .patch(&made.path, &json!({"headers": {}}))
        .await
        .expect(200);
    assert_eq!(none.json["header_names"], json!([]));
    assert!(!stored(&app).await.contains("sealed:"));
}

#[tokio::test]
async fn a_secret_is_shown_once_and_never_again() {
    let logs = LogCapture::start();
    let (app, receiver, gone) = (
        TestApp::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let endpoint = app
        .endpoint_of(&json!({"url": receiver.url, "headers": {"X-Api-Key": "hunter2"}}))
        .await;
    let path = format!("{}/rotate-secret", endpoint.path);
    let rotated = app.send(app.request(Method::POST, &path)).await.expect(200);
    assert_eq!(rotated.header("cache-control"), "no-store");
    assert_eq!(rotated.id(), endpoint.id);
    let new = rotated.json["secret"].as_str().unwrap().to_owned();
    assert!(new.starts_with("whsec_") && new != endpoint.secret);
    // Everything that can happen to an endpoint, and every operation on it.
    let dying = app.endpoint_at(&gone.url).await;
    gone.answer_next(410, None);
    let export = app.export_to_end(&create_body()).await;
    receiver.answer_next(500, None);
    while app.step_deliveries().await > 0 {}
    let ping = app.ping(&endpoint).await;
    app.send(app.request(Method::POST, &format!("/v1/deliveries/{ping}/resend")))
        .await
        .expect(202);
    let mut answers = vec![
        app.patch(&endpoint.path, &json!({"description": "x"}))
            .await
            .expect(200),
    ];
    for kind in ["recover", "replay-missing"] {
        let job = app
            .post(
                &format!("{}/{kind}", endpoint.path),
                &json!({"since": crate::support::ago(60)}),
            )
            .await
            .expect(202);
        answers.push(
            app.get(&format!("/v1/webhook-jobs/{}", job.id()))
                .await
                .expect(200),
        );
        answers.push(job);
    }
    app.step_webhook_jobs().await;
    while app.step_deliveries().await > 0 {}
    for path in [
        PATH.to_owned(),
        format!("{PATH}/{}", endpoint.id),
        format!("{PATH}/{}/deliveries", endpoint.id),
        format!("{PATH}/{}", dying.id),
        format!("/v1/exports/{export}/deliveries"),
        format!("/v1/deliveries/{ping}"),
        "/v1/webhook-public-keys".to_owned(),
        "/metrics".to_owned(),
    ] {
        answers.push(app.get(&path).await.expect(200));
    }
    answers.push(
        app.patch(&endpoint.path, &json!({"disabled": true}))
            .await
            .expect(200),
    );
    answers.push(
        app.send(app.request(Method::POST, &format!("{}/ping", endpoint.path)))
            .await
            .expect(409),
    );
    answers.push(
        app.send(app.request(Method::DELETE, &endpoint.path))
            .await
            .expect(204),
    );
    let heard = receiver.heard().into_iter().chain(gone.heard());
    let mut said: Vec<_> = answers
        .iter()
        .map(|a| format!("{:?} {}", a.headers, a.text))
        .collect();
    said.extend(heard.map(|r| String::from_utf8(r.body).unwrap()));
    assert!(
        receiver
            .heard()
            .iter()
            .any(|r| r.json()["type"] == "webhook_endpoint.disabled")
    );
    let log = logs.text();
    assert!(
        log.contains("webhook secret rotated") && log.contains("a webhook was not delivered"),
        "the log was captured"
    );
    said.push(log);
    for hidden in [&endpoint.secret, &new, &dying.secret] {
        let bytes = hidden.strip_prefix("whsec_").unwrap();
        assert!(
            said.iter().all(|text| !text.contains(bytes)),
            "a secret was shown again"
        );
    }
    for text in said {
        for marker in ["whsec_", "whsk_", "sealed:", "hunter2"] {
            assert!(!text.contains(marker), "{marker}: {text}");
        }
    }
}
