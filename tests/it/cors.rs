//! CORS: which web pages may call the API, and what they may read.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use tableferry::auth::Auth;

use crate::support::{Answer, TestApp, TestOptions, create_body};

const PAGE: &str = "https://console.example.com";

async fn start(cors_origins: &'static str, auth: Auth) -> TestApp {
    TestApp::start_with(TestOptions {
        cors_origins,
        auth,
        ..TestOptions::default()
    })
    .await
}

/// A browser's preflight before a page of this origin may create an export.
async fn preflight(app: &TestApp, origin: &str) -> Answer {
    let request = app
        .request(Method::OPTIONS, "/v1/exports")
        .header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    app.send(request.header(
        "access-control-request-headers",
        "authorization,content-type,idempotency-key,prefer",
    ))
    .await
}

fn cors(headers: &HeaderMap) -> Vec<&HeaderName> {
    headers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control-"))
        .collect()
}

#[tokio::test]
async fn pages_that_are_listed_may_call_and_read_what_callers_need() {
    let app = start(
        "http://localhost:3000,https://console.example.com",
        Auth::Required,
    )
    .await;
    // Without credentials, because browsers send none here.
    let allowed = preflight(&app, PAGE).await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), PAGE);
    assert!(
        allowed
            .header("access-control-allow-methods")
            .contains("POST")
    );
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        "authorization,content-type,idempotency-key,prefer"
    );
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    // Error responses must be readable too.
    let refused = app
        .send(
            app.request(Method::GET, "/v1/exports")
                .header("origin", PAGE),
        )
        .await
        .expect_problem(401, "unauthenticated");
    assert_eq!(refused.header("access-control-allow-origin"), PAGE);
    let exposed = refused
        .header("access-control-expose-headers")
        .to_ascii_lowercase();
    for name in [
        "location",
        "link",
        "retry-after",
        "www-authenticate",
        "preference-applied",
        "ratelimit",
        "ratelimit-policy",
        "x-request-id",
        "idempotent-replayed",
    ] {
        assert!(
            exposed.split(',').any(|other| other == name),
            "{name} is not in {exposed}"
        );
    }
}

#[tokio::test]
async fn other_pages_are_not_told_that_they_may() {
    let app = start("https://console.example.com", Auth::None).await;
    for origin in [
        "https://elsewhere.example.com",
        "http://console.example.com",
        "https://console.example.com:8443",
        "null",
    ] {
        assert_eq!(
            preflight(&app, origin)
                .await
                .header("access-control-allow-origin"),
            "",
            "{origin}"
        );
    }
    let answer = app
        .send(
            app.request(Method::GET, "/v1/exports")
                .header("origin", "https://elsewhere.example.com"),
        )
        .await
        .expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn any_page_may_if_that_is_said_and_none_unless_it_is() {
    let any = start("*", Auth::None).await;
    assert_eq!(
        preflight(&any, PAGE)
            .await
            .expect(200)
            .header("access-control-allow-origin"),
        "*"
    );
    let off = start("", Auth::None).await;
    let asked = preflight(&off, PAGE)
        .await
        .expect_problem(405, "method-not-allowed");
    assert!(cors(&asked.headers).is_empty(), "{:?}", asked.headers);
    let answer = off
        .send(
            off.request(Method::GET, "/v1/exports")
                .header("origin", PAGE),
        )
        .await
        .expect(200);
    assert!(cors(&answer.headers).is_empty(), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_page_may_follow_a_live_stream() {
    let app = start(PAGE, Auth::None).await;
    let id = app.export_to_end(&create_body()).await;
    // As EventSource requests it: without a preflight.
    let path = format!("/v1/exports/{id}/events/stream?lastEventId=1");
    let stream = app
        .request(Method::GET, &path)
        .header("origin", PAGE)
        .header("accept", "text/event-stream");
    let stream = app.send(stream).await.expect(200);
    assert_eq!(
        (
            stream.header("access-control-allow-origin"),
            stream.header("content-type")
        ),
        (PAGE, "text/event-stream")
    );
    assert!(stream.text.starts_with("id: 2\n"), "{}", stream.text);
}
