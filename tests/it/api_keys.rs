//! API keys: created, shown once, used, tracked, revoked; and their rate limits.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tableferry::auth::Auth;
use tableferry::domain::caller::scope::Scope;
use tableferry::domain::rate::pace::PaceLimits;

use crate::support::{NewKey, TestApp, TestOptions, create_body};

async fn closed_with(rate_limits: PaceLimits) -> TestApp {
    TestApp::start_with(TestOptions {
        auth: Auth::Required,
        rate_limits,
        ..TestOptions::default()
    })
    .await
}

async fn closed() -> (TestApp, String) {
    let app = closed_with(PaceLimits {
        burst: 1e5,
        rate_per_s: 1e5,
    })
    .await;
    let admin = app
        .new_key(NewKey {
            name: "admin",
            scopes: &[Scope::Admin],
            ..NewKey::default()
        })
        .await;
    (app, admin)
}

#[tokio::test]
async fn a_key_is_shown_once_and_kept_as_a_hash() {
    let (app, admin) = closed().await;
    let body = json!({
        "name": "orders-team",
        "scopes": ["exports:read", "exports:write"],
        "table_arns": ["arn:aws:dynamodb:*:123456789012:table/Orders"],
        "rate_limit_per_s": 2.5,
        "expires_at": "2099-01-01T00:00:00Z",
    });
    let made = app
        .call_as(&admin, Method::POST, "/v1/api-keys", Some(&body))
        .await
        .expect(201);
    let key = made.json["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("tferry_") && key.len() == 68, "{key}");
    assert_eq!(
        made.header("location"),
        format!("/v1/api-keys/{}", made.id())
    );
    assert_eq!(made.header("cache-control"), "no-store");
    assert_eq!(made.json["created_by"], "api_key:admin");
    app.call_as(&key, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect(202);
    let path = format!("/v1/api-keys/{}", made.id());
    let record = app
        .call_as(&admin, Method::GET, &path, None)
        .await
        .expect(200);
    assert!(
        record.json.get("key").is_none()
            && key.starts_with(record.json["prefix"].as_str().unwrap())
    );
    assert_eq!(record.json["rate_limit_per_s"], 2.5);
    assert_eq!(record.json["expires_at"], "2099-01-01T00:00:00Z");
    assert!(record.json["last_used_at"].is_string());
    let list = app
        .call_as(&admin, Method::GET, "/v1/api-keys", None)
        .await
        .expect(200);
    assert_eq!(list.json["api_keys"].as_array().unwrap().len(), 2);
    assert!(!list.text.contains(&key[20..]));
    let stored: String = sqlx::query_scalar("SELECT string_agg(k::text, ' ') FROM api_keys k")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert!(!stored.contains(&key[20..]), "{stored}");
}

#[tokio::test]
async fn bad_keys_are_refused_field_by_field() {
    let (app, admin) = closed().await;
    for (body, pointers) in [
        (json!({}), vec!["/name", "/scopes"]),
        (
            json!({"name": "a b", "scopes": ["exports"]}),
            vec!["/name", "/scopes/0"],
        ),
        (json!({"name": "a", "scopes": "admin"}), vec!["/scopes"]),
        (
            json!({"name": "a", "scopes": ["admin"], "s3_buckets": ["mine"]}),
            vec!["/scopes"],
        ),
        (
            json!({"name": "a", "scopes": ["exports:read"], "table_arns": ["Orders", 7]}),
            vec!["/table_arns/0", "/table_arns/1"],
        ),
        (
            json!({"name": "a", "scopes": ["exports:read"], "rate_limit_per_s": 0}),
            vec!["/rate_limit_per_s"],
        ),
        (
            json!({"name": "a", "scopes": ["exports:read"], "expires_at": "2020-01-01T00:00:00Z"}),
            vec!["/expires_at"],
        ),
        (
            json!({"name": "a", "scopes": ["exports:read"], "colour": "red"}),
            vec!["/colour"],
        ),
        (
            json!({"name": "admin", "scopes": ["exports:read"]}),
            vec!["/name"],
        ),
    ] {
        let answer = app
            .call_as(&admin, Method::POST, "/v1/api-keys", Some(&body))
            .await
            .expect_problem(422, "validation-failed");
        assert_eq!(answer.pointers(), pointers, "{body}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_here_and_soon_elsewhere() {
    let (app, admin) = closed().await;
    let key = app.new_key(NewKey::default()).await;
    let there = TestApp::start_with(TestOptions {
        auth: Auth::Required,
        database_url: Some(app.database_url.clone()),
        ..TestOptions::default()
    })
    .await;
    for at in [&app, &there] {
        at.call_as(&key, Method::GET, "/v1/exports", None)
            .await
            .expect(200);
    }
    let id = app
        .store()
        .find_api_key_by_name("a-team")
        .await
        .unwrap()
        .unwrap()
        .id;
    let revoked = app
        .call_as(
            &admin,
            Method::POST,
            &format!("/v1/api-keys/{id}/revoke"),
            None,
        )
        .await
        .expect(200);
    assert!(revoked.json["revoked_at"].is_string());
    let again = app
        .call_as(
            &admin,
            Method::POST,
            &format!("/v1/api-keys/{id}/revoke"),
            None,
        )
        .await
        .expect(200);
    assert_eq!(again.json["revoked_at"], revoked.json["revoked_at"]);
    let refused = app
        .call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect_problem(401, "unauthenticated");
    assert!(refused.json["detail"].as_str().unwrap().contains("revoked"));
    there
        .call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    there.clock.advance(Duration::from_secs(5));
    there
        .call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect_problem(401, "unauthenticated");
    // Its record stays, and no other key can get its name.
    let body = json!({"name": "a-team", "scopes": ["exports:read"]});
    let taken = app
        .call_as(&admin, Method::POST, "/v1/api-keys", Some(&body))
        .await
        .expect_problem(422, "validation-failed");
    assert_eq!(taken.pointers(), ["/name"]);
}

#[tokio::test]
async fn a_key_stops_when_it_expires_also_while_it_is_known() {
    let (app, _) = closed().await;
    let key = app
        .new_key(NewKey {
            works_for: Some(Duration::from_secs(3)),
            ..NewKey::default()
        })
        .await;
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    app.clock.advance(Duration::from_secs(3));
    let refused = app
        .call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect_problem(401, "unauthenticated");
    assert!(refused.json["detail"].as_str().unwrap().contains("expired"));
}

#[tokio::test]
async fn most_requests_look_nothing_up_and_use_is_noted_once_a_minute() {
    let (app, _) = closed().await;
    let key = app.new_key(NewKey::default()).await;
    let used = || async {
        app.store()
            .find_api_key_by_name("a-team")
            .await
            .unwrap()
            .unwrap()
            .last_used_at
            .unwrap()
    };
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    let first = used().await;
    app.clock.advance(Duration::from_secs(30));
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    assert_eq!(used().await, first);
    app.clock.advance(Duration::from_secs(40));
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    assert!(used().await > first);
    // The key is cached, so its deleted row has no effect yet.
    sqlx::query("DELETE FROM api_keys WHERE name = 'a-team'")
        .execute(&app.pool)
        .await
        .unwrap();
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    app.clock.advance(Duration::from_secs(6));
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_address_with_many_refusals_is_put_off_but_those_who_are_good_are_not() {
    let (app, admin) = closed().await;
    app.call_as(&admin, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    for _ in 0..20 {
        let unknown = app.clock.api_key_secret();
        app.call_as(unknown.expose(), Method::GET, "/v1/exports", None)
            .await
            .expect_problem(401, "unauthenticated");
    }
    let unknown = app.clock.api_key_secret();
    let path = "/v1/exports";
    // The requests are now queued, one after the other; those beyond the queue's limit are
    // rejected.
    let crowd = (0..200).map(|_| app.call_as(unknown.expose(), Method::GET, path, None));
    let crowd = futures_util::future::join_all(crowd).await;
    let of = |status: u16| {
        crowd
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert!(of(401) > 0 && of(429) > 0 && of(401) + of(429) == 200);
    let sent_away = crowd
        .into_iter()
        .find(|answer| answer.status == 429)
        .unwrap()
        .expect_problem(429, "rate-limited");
    assert!(!sent_away.header("retry-after").is_empty());
    // Whether the keys are cached, new, or follow a revoked one.
    app.call_as(&admin, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    let newcomer = app.new_key(NewKey::default()).await;
    app.call_as(&newcomer, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    let id = app
        .store()
        .find_api_key_by_name("a-team")
        .await
        .unwrap()
        .unwrap()
        .id;
    app.call_as(
        &admin,
        Method::POST,
        &format!("/v1/api-keys/{id}/revoke"),
        None,
    )
    .await
    .expect(200);
    app.call_as(&admin, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    app.call_as(&newcomer, Method::GET, "/v1/exports", None)
        .await
        .expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn look_ups_that_come_to_nothing_do_not_keep_a_revoked_key_alive() {
    let (app, _) = closed().await;
    let key = app.new_key(NewKey::default()).await;
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    let id = app
        .store()
        .find_api_key_by_name("a-team")
        .await
        .unwrap()
        .unwrap()
        .id;
    app.store()
        .revoke_api_key(id, app.clock.now())
        .await
        .unwrap();
    let mut locked = app.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE api_keys")
        .execute(&mut *locked)
        .await
        .unwrap();
    // The cache entry has expired: the request that verifies again hangs and is aborted.
    app.clock.advance(Duration::from_secs(3));
    let hangs = app.call_as(&key, Method::GET, "/v1/exports", None);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), hangs)
            .await
            .is_err()
    );
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    // Five seconds after the last verification, the cache entry is not used any more.
    app.clock.advance(Duration::from_secs(2));
    let late = app.call_as(&key, Method::GET, "/v1/exports", None);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), late)
            .await
            .is_err()
    );
    drop(locked);
    app.call_as(&key, Method::GET, "/v1/exports", None)
        .await
        .expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn each_key_has_its_own_rate() {
    let app = closed_with(PaceLimits {
        burst: 4.0,
        rate_per_s: 2.0,
    })
    .await;
    let (one, other) = (
        app.new_key(NewKey::default()).await,
        app.new_key(NewKey {
            name: "other",
            ..NewKey::default()
        })
        .await,
    );
    let fast = app
        .new_key(NewKey {
            name: "fast",
            rate_per_s: Some(20.0),
            ..NewKey::default()
        })
        .await;
    for left in [3, 2, 1, 0] {
        let answer = app
            .call_as(&one, Method::GET, "/v1/exports", None)
            .await
            .expect(200);
        assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=4;w=2");
        assert!(
            answer
                .header("ratelimit")
                .starts_with(&format!("\"default\";r={left};t=")),
            "{}",
            answer.header("ratelimit")
        );
    }
    let refused = app
        .call_as(&one, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect_problem(429, "rate-limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(
        refused
            .header("ratelimit")
            .starts_with("\"default\";r=0;t=")
    );
    app.call_as(&other, Method::GET, "/v1/exports", None)
        .await
        .expect(200);
    for _ in 0..40 {
        app.call_as(&fast, Method::GET, "/v1/exports", None)
            .await
            .expect(200);
    }
    assert_eq!(app.stored_exports().await, 0);
    app.clock.advance(Duration::from_millis(600));
    app.call_as(&one, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect(202);
}

#[tokio::test]
async fn where_nobody_must_say_who_they_are_nothing_is_limited() {
    let app = TestApp::start_with(TestOptions {
        rate_limits: PaceLimits {
            burst: 1.0,
            rate_per_s: 0.01,
        },
        ..TestOptions::default()
    })
    .await;
    for _ in 0..3 {
        let answer = app.get("/v1/exports").await.expect(200);
        assert_eq!(answer.header("ratelimit"), "");
    }
    let export = app.create(&create_body()).await.expect(202);
    assert!(export.json["created_by"].is_null());
}
