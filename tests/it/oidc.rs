//! Bearer tokens of an OIDC issuer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use tableferry::auth::Auth;
use tableferry::auth::oidc::OidcSettings;

use crate::support::{Answer, Issuer, TestApp, TestOptions, create_body};

pub const AUDIENCE: &str = "tableferry";

pub async fn app_of(issuer: &Issuer) -> TestApp {
    app_with(OidcSettings::for_audience(
        issuer.url.parse().unwrap(),
        AUDIENCE,
    ))
    .await
}

pub async fn app_with(oidc: OidcSettings) -> TestApp {
    TestApp::start_with(TestOptions {
        auth: Auth::Required,
        oidc: Some(oidc),
        ..TestOptions::default()
    })
    .await
}

/// The claims of a valid token at this moment.
pub fn claims(app: &TestApp, issuer: &Issuer) -> Value {
    let now = app.clock.now().unix_seconds();
    json!({
        "iss": issuer.url, "aud": AUDIENCE, "sub": "ci@example.com", "exp": now + 300, "nbf": now, "scope": "openid exports:read exports:write",
    })
}

pub async fn list_with(app: &TestApp, token: &str) -> Answer {
    app.call_as(token, Method::GET, "/v1/exports", None).await
}

#[tokio::test]
async fn a_good_token_lets_its_subject_in_with_its_scopes() {
    let issuer = Issuer::start().await;
    let app = app_of(&issuer).await;
    let token = issuer.token(&claims(&app, &issuer));
    let export = app
        .call_as(&token, Method::POST, "/v1/exports", Some(&create_body()))
        .await
        .expect(202);
    assert_eq!(export.json["created_by"], "oidc:ci@example.com");
    app.call_as(&token, Method::GET, "/v1/webhook-endpoints", None)
        .await
        .expect_problem(403, "forbidden");
    // Scopes and audiences may be lists.
    let mut listed = claims(&app, &issuer);
    listed["scope"] = json!(["admin"]);
    listed["aud"] = json!(["other", AUDIENCE]);
    app.call_as(&issuer.token(&listed), Method::GET, "/v1/api-keys", None)
        .await
        .expect(200);
    assert_eq!(issuer.asked(), 1, "its keys are kept");
}

#[tokio::test]
async fn every_flaw_of_a_token_is_refused() {
    let issuer = Issuer::start().await;
    let app = app_of(&issuer).await;
    let good = claims(&app, &issuer);
    let now = app.clock.now().unix_seconds();
    for (field, value, says) in [
        ("iss", json!("https://other.example"), "another issuer"),
        ("aud", json!("other"), "another audience"),
        ("exp", json!(now - 31), "expired"),
        ("nbf", json!(now + 120), "not valid yet"),
        ("scope", json!("openid"), "no scope"),
        ("sub", json!(""), "missing or not usable"),
        ("iss", Value::Null, "iss"),
        ("aud", Value::Null, "aud"),
        ("exp", Value::Null, ""),
        ("sub", Value::Null, ""),
        ("iss", json!([issuer.url]), "another issuer"),
        ("sub", json!("ci\u{202e}moc"), "missing or not usable"),
        ("token_use", json!("id"), "not an access token"),
        ("exp", json!("soon"), "exp"),
    ] {
        let mut claims = good.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(field);
        } else {
            claims[field] = value;
        }
        let answer = list_with(&app, &issuer.token(&claims))
            .await
            .expect_problem(401, "unauthenticated");
        assert!(
            answer.json["detail"].as_str().unwrap().contains(says),
            "{field}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_token_cannot_choose_how_it_is_checked() {
    let issuer = Issuer::start().await;
    let app = app_of(&issuer).await;
    let good = claims(&app, &issuer);
    let token = issuer.token(&good);
    let parts: Vec<_> = token.split('.').collect();
    let header = |alg: &str| {
        URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": "first", "typ": "JWT"}).to_string())
    };
    // No signature, and a signature with the public key as a shared secret.
    let mut hmac = Header::new(jsonwebtoken::Algorithm::HS256);
    hmac.kid = Some("first".to_owned());
    let shared = encode(&hmac, &good, &EncodingKey::from_secret(b"first")).unwrap();
    let mut forged = good.clone();
    forged["scope"] = json!("admin");
    let forged = URL_SAFE_NO_PAD.encode(forged.to_string());
    let critical = issuer.token_with(&good, |header| header.crit = Some(vec!["b64".to_owned()]));
    for wrong in [
        critical,
        format!("{}.{}.", header("none"), parts[1]),
        format!("{}.{}.{}", header("RS256"), parts[1], parts[2]),
        format!("{}.{}.{}", header("ES384"), parts[1], parts[2]),
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}x"),
        shared,
    ] {
        list_with(&app, &wrong)
            .await
            .expect_problem(401, "unauthenticated");
    }
    list_with(&app, &token).await.expect(200);
}

#[tokio::test]
async fn new_keys_of_the_issuer_are_found_but_tokens_do_not_make_us_ask() {
    let issuer = Issuer::start().await;
    let app = app_of(&issuer).await;
    let old = issuer.token(&claims(&app, &issuer));
    list_with(&app, &old).await.expect(200);
    issuer.rotate("second");
    let new = issuer.token(&claims(&app, &issuer));
    list_with(&app, &new)
        .await
        .expect_problem(401, "unauthenticated");
    assert_eq!(issuer.asked(), 1, "not again so soon");
    app.clock.advance(Duration::from_secs(30));
    list_with(&app, &new).await.expect(200);
    assert_eq!(issuer.asked(), 2);
    list_with(&app, &old)
        .await
        .expect_problem(401, "unauthenticated");
    // Known keys stay valid while the issuer is down.
    issuer.set_away(true);
    app.clock.advance(Duration::from_secs(200));
    list_with(&app, &issuer.token(&claims(&app, &issuer)))
        .await
        .expect(200);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_no_fault_of_the_caller() {
    let issuer = Issuer::start().await;
    issuer.set_away(true);
    let app = app_of(&issuer).await;
    let token = issuer.token(&claims(&app, &issuer));
    list_with(&app, &token)
        .await
        .expect_problem(503, "unavailable");
    issuer.set_away(false);
    app.clock.advance(Duration::from_secs(30));
    list_with(&app, &token).await.expect(200);
}

#[tokio::test]
async fn without_an_issuer_a_token_is_nothing() {
    let issuer = Issuer::start().await;
    let app = TestApp::start_with(TestOptions {
        auth: Auth::Required,
        ..TestOptions::default()
    })
    .await;
    list_with(&app, &issuer.token(&claims(&app, &issuer)))
        .await
        .expect_problem(401, "unauthenticated");
    assert_eq!(issuer.asked(), 0);
}
