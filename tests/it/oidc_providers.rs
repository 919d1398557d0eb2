//! Tokens and key sets as the common OpenID Connect providers issue them: what is accepted with the
//! settings in docs/access.md, and what is not.

use jsonwebtoken::Header;
use serde_json::{Value, json};
use tableferry::auth::oidc::OidcSettings;

use crate::oidc::{AUDIENCE, app_of, app_with, claims, list_with};
use crate::support::{Folder, Issuer, TestApp, issue};

fn settings(issuer: &Issuer, change: impl FnOnce(&mut OidcSettings)) -> OidcSettings {
    let mut settings = OidcSettings::for_audience(issuer.url.parse().unwrap(), AUDIENCE);
    change(&mut settings);
    settings
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

/// Claims in a provider's format, with times that are valid now.
fn timed(app: &TestApp, mut claims: Value) -> Value {
    let now = app.clock.now().unix_seconds();
    claims["iat"] = json!(now);
    claims["exp"] = json!(now + 300);
    claims
}

/// A change of a valid token and the error that it causes. `null` removes a claim.
type Flaw = (&'static str, Value, &'static str);

/// The provider's token is accepted, and rejected with each of the changes.
async fn holds(issuer: &Issuer, settings: OidcSettings, token: Value, flaws: &[Flaw]) {
    let app = app_with(settings).await;
    let good = timed(&app, token);
    list_with(&app, &issuer.token(&good)).await.expect(200);
    for (claim, value, says) in flaws {
        let mut bad = good.clone();
        bad[claim] = value.clone();
        let answer = list_with(&app, &issuer.token(&bad))
            .await
            .expect_problem(401, "unauthenticated");
        assert!(
            answer.json["detail"].as_str().unwrap().contains(says),
            "{claim}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn cognito_names_a_client_in_place_of_an_audience() {
    let issuer = Issuer::start().await;
    let cognito = settings(&issuer, |oidc| {
        oidc.audiences.clear();
        oidc.client_ids = texts(&["1example23456789"]);
        oidc.scope_prefix = "tableferry/".to_owned();
    });
    let token = json!({
        "sub": "1example23456789", "token_use": "access", "scope": "tableferry/exports:read openid", "auth_time": 1, "iss": issuer.url,
        "version": 2, "jti": "x", "client_id": "1example23456789",
    });
    let flaws = [
        ("client_id", json!("another"), "client that is not allowed"),
        (
            "client_id",
            json!(["1example23456789"]),
            "client that is not allowed",
        ),
        ("client_id", Value::Null, "no client"),
        ("azp", json!("another"), "client that is not allowed"),
        ("token_use", json!("id"), "not an access token"),
        ("token_use", Value::Null, "not an access token"),
        // An ID token of the same client.
        ("aud", json!("1example23456789"), "another audience"),
        ("scope", json!("exports:read"), "no scope"),
        ("scope", json!("other/exports:read"), "no scope"),
        (
            "iss",
            json!("https://cognito-idp.eu-west-1.amazonaws.com/other"),
            "another issuer",
        ),
    ];
    holds(&issuer, cognito, token, &flaws).await;
}

#[tokio::test]
async fn entra_has_two_issuers_and_roles_beside_scopes() {
    let issuer = Issuer::start().await;
    let entra = || {
        settings(&issuer, |oidc| {
            oidc.other_issuers = texts(&["https://sts.windows.net/aaaabbbb-0000/"]);
            oidc.audiences = texts(&["api://tableferry", "00001111-aaaa"]);
            oidc.client_ids = texts(&["11112222-bbbb"]);
            oidc.scope_claims = texts(&["scp", "roles"]);
        })
    };
    let first = json!({
        "aud": "api://tableferry", "iss": "https://sts.windows.net/aaaabbbb-0000/", "appid": "11112222-bbbb", "appidacr": "1",
        "sub": "x", "tid": "aaaabbbb-0000", "ver": "1.0", "roles": ["exports:read"],
    });
    let flaws = [
        (
            "aud",
            json!("https://graph.microsoft.com"),
            "another audience",
        ),
        ("appid", json!("another"), "client that is not allowed"),
        (
            "iss",
            json!("https://sts.windows.net/another/"),
            "another issuer",
        ),
        ("roles", json!(["User.Read"]), "no scope"),
    ];
    holds(&issuer, entra(), first, &flaws).await;
    let second = json!({
        "aud": "00001111-aaaa", "iss": issuer.url, "azp": "11112222-bbbb", "azpacr": "0", "sub": "x", "ver": "2.0",
        "scp": "User.Read exports:read",
    });
    let flaws = [
        ("scp", json!("User.Read"), "no scope"),
        ("azp", Value::Null, "no client"),
        ("aud", Value::Null, "no audience"),
    ];
    holds(&issuer, entra(), second, &flaws).await;
}

#[tokio::test]
async fn okta_lists_scopes_and_calls_the_client_cid() {
    let issuer = Issuer::start().await;
    let okta = settings(&issuer, |oidc| {
        oidc.audiences = texts(&["api://default"]);
        oidc.client_ids = texts(&["0oa1"]);
        oidc.scope_claims = texts(&["scp"]);
    });
    let token = json!({
        "ver": 1, "jti": "AT.x", "iss": issuer.url, "aud": "api://default", "cid": "0oa1", "uid": "00u1", "scp": ["openid", "exports:read"],
        "sub": "a@example.com",
    });
    let flaws = [
        ("cid", json!("0oa2"), "client that is not allowed"),
        ("scp", json!(["openid"]), "no scope"),
        // An ID token: its audience is the client.
        ("aud", json!("0oa1"), "another audience"),
    ];
    holds(&issuer, okta, token, &flaws).await;
}

#[tokio::test]
async fn auth0_ends_its_issuer_with_a_slash_and_may_send_permissions() {
    let issuer = Issuer::start().await;
    let auth0 = settings(&issuer, |oidc| {
        oidc.audiences = texts(&["https://tableferry.example.com"]);
        oidc.scope_claims = texts(&["permissions"]);
    });
    let token = json!({
        "iss": format!("{}/", issuer.url), "sub": "auth0|1", "aud": ["https://tableferry.example.com", "https://tenant.auth0.com/userinfo"],
        "azp": "client", "scope": "openid profile", "permissions": ["exports:read"],
    });
    let flaws = [
        (
            "aud",
            json!(["https://tenant.auth0.com/userinfo"]),
            "another audience",
        ),
        ("aud", json!("client"), "another audience"),
        ("iss", json!(format!("{}//", issuer.url)), "another issuer"),
        ("permissions", json!([]), "no scope"),
    ];
    holds(&issuer, auth0, token, &flaws).await;
}

#[tokio::test]
async fn keycloak_has_roles_below_other_claims() {
    let issuer = Issuer::start().await;
    let keycloak = settings(&issuer, |oidc| {
        oidc.audiences = texts(&["account"]);
        oidc.client_ids = texts(&["ci"]);
        oidc.scope_claims = texts(&["realm_access.roles", "resource_access.table.ferry.roles"]);
    });
    let token = json!({
        "iss": issuer.url, "aud": "account", "sub": "x", "typ": "Bearer", "azp": "ci", "realm_access": {"roles": ["offline_access"]},
        "resource_access": {"table.ferry": {"roles": ["exports:read"]}, "account": {"roles": ["view-profile"]}}, "scope": "email profile",
    });
    let flaws = [
        // Every client of the realm gets tokens for the audience "account".
        ("azp", json!("another"), "client that is not allowed"),
        ("aud", json!("ci"), "another audience"),
        (
            "resource_access",
            json!({"other": {"roles": ["exports:read"]}}),
            "no scope",
        ),
        ("resource_access", json!("table.ferry.roles"), "no scope"),
    ];
    holds(&issuer, keycloak, token, &flaws).await;
}

#[tokio::test]
async fn google_may_leave_out_the_scheme_and_bears_no_scope() {
    let issuer = Issuer::start().await;
    let short = issuer.url.strip_prefix("http://").unwrap().to_owned();
    let google = settings(&issuer, |oidc| oidc.other_issuers = vec![short.clone()]);
    let app = app_with(google).await;
    for iss in [issuer.url.clone(), short] {
        let token = timed(
            &app,
            json!({"iss": iss, "azp": "1234", "aud": AUDIENCE, "sub": "1234", "email": "a@example.com", "email_verified": true}),
        );
        let answer = list_with(&app, &issuer.token(&token))
            .await
            .expect_problem(401, "unauthenticated");
        assert!(
            answer.json["detail"].as_str().unwrap().contains("no scope"),
            "{}",
            answer.text
        );
    }
    let token = timed(
        &app,
        json!({"iss": "accounts.google.com", "aud": AUDIENCE, "sub": "1234"}),
    );
    let answer = list_with(&app, &issuer.token(&token))
        .await
        .expect_problem(401, "unauthenticated");
    assert!(
        answer.json["detail"]
            .as_str()
            .unwrap()
            .contains("another issuer"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn kubernetes_tells_its_keys_by_a_private_authority_to_those_it_knows() {
    let issued = issue();
    let issuer = Issuer::start_with_tls(&issued).await;
    issuer.ask_for("service-account-token");
    let folder = Folder::new();
    let (ca, bearer) = (folder.path().join("ca.crt"), folder.path().join("token"));
    std::fs::write(&ca, &issued.authority).unwrap();
    std::fs::write(&bearer, "service-account-token\n").unwrap();
    let token = |app: &TestApp, iss: &str| {
        timed(
            app,
            json!({
                "aud": [AUDIENCE], "iss": iss, "sub": "system:serviceaccount:data:ci", "scope": "exports:read",
                "kubernetes.io": {"namespace": "data", "serviceaccount": {"name": "ci", "uid": "x"}, "pod": {"name": "p", "uid": "y"}},
            }),
        )
    };
    let whole = settings(&issuer, |oidc| {
        (oidc.ca_file, oidc.bearer_file) = (Some(ca.clone()), Some(bearer.clone()))
    });
    let app = app_with(whole.clone()).await;
    list_with(&app, &issuer.token(&token(&app, &issuer.url)))
        .await
        .expect(200);
    // In clusters whose discovery document names an address that is not reachable from here.
    let inside = OidcSettings {
        issuer: "https://kubernetes.default.svc.cluster.local"
            .parse()
            .unwrap(),
        jwks_url: Some(format!("{}/keys", issuer.url).parse().unwrap()),
        ..whole.clone()
    };
    let app = app_with(inside).await;
    list_with(
        &app,
        &issuer.token(&token(&app, "https://kubernetes.default.svc.cluster.local")),
    )
    .await
    .expect(200);
    for without in [
        OidcSettings {
            ca_file: None,
            ..whole.clone()
        },
        OidcSettings {
            bearer_file: None,
            ..whole
        },
    ] {
        let app = app_with(without).await;
        list_with(&app, &issuer.token(&token(&app, &issuer.url)))
            .await
            .expect_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn odd_keys_beside_the_one_that_is_needed_do_no_harm() {
    let issuer = Issuer::start().await;
    issuer.change_keys(|keys| {
        let good = keys[0].clone();
        let mut encrypts = good.clone();
        encrypts["use"] = json!("enc");
        let mut other_curve = good.clone();
        other_curve["crv"] = json!("secp256k1");
        let mut shared = good.clone();
        (shared["x"], shared["y"]) = (
            json!("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"),
            json!("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
        );
        let odd = [
            encrypts,
            other_curve,
            shared,
            json!("key"),
            json!({"kty": "RSA", "kid": "first", "x5c": ["MIIB"]}),
            json!({"kty": "AKP", "kid": 7, "alg": "ML-DSA-65"}),
            json!({"kty": "oct", "kid": "first", "k": "Zmlyc3Q"}),
            json!({"kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": 5, "e": []}),
        ];
        keys.splice(0..0, odd);
    });
    let app = app_of(&issuer).await;
    list_with(&app, &issuer.token(&claims(&app, &issuer)))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_token_that_names_no_key_needs_an_issuer_with_one() {
    let issuer = Issuer::start().await;
    let app = app_of(&issuer).await;
    let nameless = issuer.token_with(&claims(&app, &issuer), |header| header.kid = None);
    list_with(&app, &nameless).await.expect(200);
    let issuer = Issuer::start().await;
    issuer.change_keys(|keys| {
        let mut other = keys[0].clone();
        other["kid"] = json!("second");
        keys.push(other);
    });
    let app = app_of(&issuer).await;
    let nameless = issuer.token_with(&claims(&app, &issuer), |header| header.kid = None);
    let answer = list_with(&app, &nameless)
        .await
        .expect_problem(401, "unauthenticated");
    assert!(
        answer.json["detail"]
            .as_str()
            .unwrap()
            .contains("does not name its key"),
        "{}",
        answer.text
    );
    list_with(&app, &issuer.token(&claims(&app, &issuer)))
        .await
        .expect(200);
}

#[tokio::test]
async fn only_types_of_access_tokens_are_taken() {
    let issuer = Issuer::start().await;
    let app = app_of(&issuer).await;
    let good = claims(&app, &issuer);
    let of_type = |kind: Option<&str>| {
        issuer.token_with(&good, |header: &mut Header| {
            header.typ = kind.map(str::to_owned)
        })
    };
    for kind in [
        None,
        Some("JWT"),
        Some("at+jwt"),
        Some("application/at+JWT"),
    ] {
        list_with(&app, &of_type(kind)).await.expect(200);
    }
    for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE"] {
        let answer = list_with(&app, &of_type(Some(kind)))
            .await
            .expect_problem(401, "unauthenticated");
        assert!(
            answer.json["detail"]
                .as_str()
                .unwrap()
                .contains("its type (typ)"),
            "{}",
            answer.text
        );
    }
}
