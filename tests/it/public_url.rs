//! `TABLEFERRY_PUBLIC_URL`: the prefix of links; without it they are relative.

use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};

use crate::support::{Receiver, TestApp, TestOptions, client_with, create_body};

const PUBLIC_URL: &str = "https://exports.example.com/tableferry";

async fn start(public_url: &'static str) -> TestApp {
    TestApp::start_with(TestOptions {
        public_url,
        ..TestOptions::default()
    })
    .await
}

/// The target of this redirect; redirects are not followed.
async fn redirect(app: &TestApp, path: &str) -> (StatusCode, String) {
    let client = client_with(|client| client.redirect(Policy::none()));
    let answer = client
        .get(format!("{}{path}", app.url))
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    (
        answer.status(),
        answer.headers()["location"].to_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn links_in_headers_begin_with_the_public_url() {
    for (public_url, base) in [
        (PUBLIC_URL, PUBLIC_URL),
        (
            "https://exports.example.com/",
            "https://exports.example.com",
        ),
        ("", ""),
    ] {
        let app = start(public_url).await;
        let created = app.create(&create_body()).await.expect(202);
        let id = created.id();
        assert_eq!(
            created.header("location"),
            format!("{base}/v1/exports/{id}")
        );
        app.create(&create_body()).await.expect(202);
        let page = app.get("/v1/exports?page_size=1").await.expect(200);
        assert!(
            page.header("link")
                .starts_with(&format!("<{base}/v1/exports?page_size=1")),
            "{}",
            page.header("link")
        );
        assert!(
            page.header("link").ends_with(">; rel=\"next\""),
            "{}",
            page.header("link")
        );
        assert_eq!(
            redirect(&app, "/").await,
            (StatusCode::SEE_OTHER, format!("{base}/docs/"))
        );
        assert_eq!(redirect(&app, "/docs").await.1, format!("{base}/docs/"));
        // A problem's type is a name, the same for every installation.
        let problem = app
            .get("/v1/nothing")
            .await
            .expect_problem(404, "not-found");
        assert_eq!(problem.json["type"], "/problems/not-found");
    }
}

#[tokio::test]
async fn the_document_is_served_with_the_public_url() {
    for (public_url, server, document) in [
        (
            PUBLIC_URL,
            PUBLIC_URL,
            "https://exports.example.com/tableferry/openapi.json",
        ),
        ("", ".", "../openapi.json"),
    ] {
        let app = start(public_url).await;
        let served = app.get("/openapi.json").await.expect(200).json;
        assert_eq!(served["servers"][0]["url"], server);
        let initializer = app
            .get("/docs/swagger-initializer.js")
            .await
            .expect(200)
            .text;
        assert!(
            initializer.contains(&format!("\"url\": \"{document}\"")),
            "{initializer}"
        );
    }
}

#[tokio::test]
async fn webhooks_hold_links_if_there_is_a_public_url() {
    for public_url in [PUBLIC_URL, ""] {
        let app = start(public_url).await;
        let (callback, endpoint) = (Receiver::start().await, Receiver::start().await);
        app.endpoint_at(&endpoint.url).await;
        let mut body = create_body();
        body["callback_url"] = callback.url.as_str().into();
        let id = app.export_to_end(&body).await;
        // Deliveries that are sent again later are written by other code.
        let late = Receiver::start().await;
        let late_endpoint = app.endpoint_at(&late.url).await;
        let replay = app.request(
            Method::POST,
            &format!("/v1/webhook-endpoints/{}/replay-missing", late_endpoint.id),
        );
        let replay = app
            .send(replay.json(&serde_json::json!({"since": "2020-01-01T00:00:00Z"})))
            .await
            .expect(202);
        assert!(
            replay
                .header("location")
                .starts_with(&format!("{public_url}/v1/webhook-jobs/")),
            "{}",
            replay.header("location")
        );
        let cancelled = app.create(&create_body()).await.expect(202).id();
        app.send(app.request(Method::POST, &format!("/v1/exports/{cancelled}/cancel")))
            .await
            .expect(200);
        while app.step_webhook_jobs().await + app.step_deliveries().await > 0 {}
        for receiver in [&callback, &endpoint, &late] {
            let heard = receiver.heard();
            assert!(!heard.is_empty());
            for message in heard.iter().map(|heard| heard.json()) {
                let data = &message["data"];
                assert!(
                    [&id, &cancelled].contains(&&data["export"]["id"].as_str().unwrap().to_owned()),
                    "{message}"
                );
                if public_url.is_empty() {
                    assert!(data.get("links").is_none(), "{message}");
                } else {
                    let link = format!(
                        "{PUBLIC_URL}/v1/exports/{}",
                        data["export"]["id"].as_str().unwrap()
                    );
                    assert_eq!(
                        data["links"],
                        serde_json::json!({"export": link, "console": null}),
                        "{message}"
                    );
                }
            }
        }
    }
}
