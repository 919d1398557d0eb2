//! Forbidden URLs: which ones are rejected when an export is created, and which are not connected
//! to when its end is announced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tableferry::webhooks::{ErrorClass, Outgoing, SendError, WebhookClient, WebhookLimits};

use crate::support::{
    Counter, HOSTILE, Receiver, TestApp, TestNames, TestOptions, create_body, inside, policy,
};

async fn strict(names: Arc<TestNames>, allow_hosts: &'static str, ports: &'static str) -> TestApp {
    TestApp::start_with(TestOptions {
        allow_private: false,
        allow_hosts,
        ports,
        names,
        ..TestOptions::default()
    })
    .await
}

fn with_callback(url: &str) -> Value {
    let mut body = create_body();
    body["callback_url"] = json!(url);
    body
}

fn outgoing(url: &str) -> Outgoing<'_> {
    Outgoing {
        url,
        webhook_id: "msg_1",
        timestamp_s: 1,
        signature: "v1,x",
        extra: &[],
        trace_parent: None,
        body: "{}".to_owned(),
    }
}

/// The class and the text of an attempt that must fail.
async fn failure(client: &WebhookClient, url: &str) -> (ErrorClass, String) {
    let error: SendError = client.send(outgoing(url)).await.unwrap_err();
    (
        error.class(),
        tableferry::domain::error_chain::in_words(&error),
    )
}

/// The log entry of the only attempt.
async fn attempt_error(app: &TestApp) -> (String, String) {
    sqlx::query_as("SELECT error_class, error FROM webhook_attempts")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn hostile_urls_are_refused_and_nothing_is_stored() {
    assert!(HOSTILE.len() >= 80);
    let app = strict(Arc::new(inside(TestNames::default())), "", "").await;
    for url in HOSTILE {
        let answer = app.create(&with_callback(url)).await;
        assert_eq!(answer.status, 422, "{url:?} was not refused");
        let answer = answer.expect_problem(422, "validation-failed");
        assert_eq!(answer.pointers(), ["/callback_url"], "{url:?}");
    }
    let long = format!("https://example.com/{}", "x".repeat(2048));
    app.create(&with_callback(&long))
        .await
        .expect_problem(422, "validation-failed");
    assert_eq!(app.stored_exports().await, 0);
}

#[tokio::test]
async fn endpoints_are_held_to_the_same_rules() {
    let app = strict(Arc::new(inside(TestNames::default())), "", "").await;
    let post = |url: &str| {
        app.send(
            app.request(Method::POST, "/v1/webhook-endpoints")
                .json(&json!({"url": url})),
        )
    };
    let endpoint = format!(
        "/v1/webhook-endpoints/{}",
        post("https://example.com/hook").await.expect(201).id()
    );
    let patch = |url: &str| {
        app.send(
            app.request(Method::PATCH, &endpoint)
                .json(&json!({"url": url})),
        )
    };
    for url in HOSTILE {
        assert_eq!(
            post(url)
                .await
                .expect_problem(422, "validation-failed")
                .pointers(),
            ["/url"],
            "{url:?}"
        );
        assert_eq!(
            patch(url)
                .await
                .expect_problem(422, "validation-failed")
                .pointers(),
            ["/url"],
            "{url:?}"
        );
    }
    assert_eq!(
        app.get("/v1/webhook-endpoints").await.json["webhook_endpoints"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        app.get(&endpoint).await.json["url"],
        "https://example.com/hook"
    );
}

#[tokio::test]
async fn hostile_urls_are_not_connected_to_either() {
    // As if the rows were written by hand, or under another policy. A name that is not caught does
    // not resolve here.
    let names = inside(TestNames::closed()).with("mixed.example", &[&["10.0.0.1"]]);
    let client = WebhookClient::new(
        policy(false, "", ""),
        Arc::new(names),
        WebhookLimits::default(),
    )
    .unwrap();
    for url in HOSTILE {
        let (class, text) = failure(&client, url).await;
        let harmless = [
            ErrorClass::ForbiddenAddress,
            ErrorClass::InvalidUrl,
            ErrorClass::NameNotFound,
        ];
        assert!(harmless.contains(&class), "{url:?}: {text}");
    }
}

#[tokio::test]
async fn good_urls_are_accepted() {
    let app = strict(Arc::new(inside(TestNames::default())), "", "").await;
    for url in [
        "https://example.com",
        "https://example.com/",
        "https://example.com:443/hook",
        "https://example.com:8443/hook?token=a%20b&c=d@e:f",
        "https://example.com./",
        "https://EXAMPLE.com/Hook",
        "https://b\u{fc}cher.example/",
        "https://xn--bcher-kva.example/",
        "https://under_score.example/",
        "https://a.b.c.d.e.example/",
        "https://hooks/",
        "https://example.com/@user",
        "https://example.com/https://127.0.0.1/",
        "https://127.0.0.1.example.com/",
        "https://localhost.example.com/",
        "https://1e100.net/",
        "https://0x7f.example.com/",
    ] {
        assert_eq!(app.create(&with_callback(url)).await.status, 202, "{url}");
    }
    let internal = "hooks.corp.example, *.internal.example, localhost, 10.20.0.0/16, fd00:1234::/32, 127.0.0.1";
    let names = inside(TestNames::default())
        .with("in.network.example", &[&["10.20.3.4", "fd00:1234::1"]])
        .with("hooks.corp.example", &[&["192.168.1.1"]]);
    let names = Arc::new(names.with("other.network.example", &[&["10.21.3.4"]]));
    let app = strict(Arc::clone(&names), internal, "").await;
    for url in [
        "https://hooks.corp.example/hook",
        "http://hooks.corp.example/hook",
        "http://hooks.corp.example:8443/hook",
        "http://a.b.internal.example./hook",
        "http://localhost/hook",
        "http://10.20.255.255/hook",
        "https://[::ffff:10.20.1.1]:443/hook",
        "https://[fd00:1234::5]/hook",
        "http://127.0.0.1:80/hook",
        "https://in.network.example/hook",
        "https://example.com/hook",
    ] {
        assert_eq!(app.create(&with_callback(url)).await.status, 202, "{url}");
    }
    assert!(
        !names
            .asked()
            .iter()
            .any(|name| name == "hooks.corp.example"),
        "a trusted name is not looked up"
    );
    for url in [
        "http://in.network.example/hook",
        "http://example.com/hook",
        "https://internal.example.evil.example:444/",
        "https://other.network.example/hook",
        "https://10.21.0.1/hook",
        "https://012.20.0.1/hook",
        "https://10.20.1/hook",
        "https://a.localhost/hook",
        "http://hooks.corp.example:8080/hook",
        "https://hooks.corp.example:80/hook",
        "https://hooks.corp.example@10.20.0.1/hook",
        "ftp://hooks.corp.example/",
    ] {
        assert_eq!(
            app.create(&with_callback(url)).await.expect(422).pointers(),
            ["/callback_url"],
            "{url}"
        );
    }
    let app = strict(names, "hooks.corp.example", "443, 9000-9100").await;
    for (url, status) in [
        ("https://example.com:9050/", 202),
        ("http://hooks.corp.example:9000/", 202),
        ("https://example.com:8443/", 422),
        ("http://hooks.corp.example/", 422),
        ("https://example.com:9101/", 422),
    ] {
        assert_eq!(
            app.create(&with_callback(url)).await.status,
            status,
            "{url}"
        );
    }
}

#[tokio::test]
async fn with_private_addresses_allowed_everything_else_still_holds() {
    let names = Arc::new(inside(TestNames::default()));
    let app = TestApp::start_with(TestOptions {
        names: Arc::clone(&names) as _,
        ..TestOptions::default()
    })
    .await;
    for url in [
        "http://127.0.0.1:9/",
        "http://[::1]:9/",
        "http://localhost:65535/",
        "https://10.0.0.1/",
        "http://loopback.example:81/",
    ] {
        assert_eq!(app.create(&with_callback(url)).await.status, 202, "{url}");
    }
    assert_eq!(names.asked().len(), 0, "nothing is looked up");
    for url in [
        "http://u:p@127.0.0.1/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1/#x",
        "http:\\\\x/",
    ] {
        assert_eq!(
            app.create(&with_callback(url)).await.expect(422).pointers(),
            ["/callback_url"],
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_yet_is_accepted() {
    let app = strict(
        Arc::new(TestNames::default().with("soon.example", &[&[]])),
        "",
        "",
    )
    .await;
    app.create(&with_callback("https://soon.example/"))
        .await
        .expect(202);
    let app = strict(Arc::new(TestNames::hanging()), "", "").await;
    let began = Instant::now();
    // All of them wait at the same time; those beyond the limit do not wait at all.
    let body = with_callback("https://slow.example/");
    let all = futures_util::future::join_all((0..40).map(|_| app.create(&body))).await;
    assert!(all.iter().all(|answer| answer.status == 202));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    app.create(&with_callback("https://slow.example/"))
        .await
        .expect(202);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "look-ups that never end are limited"
    );
}

#[tokio::test]
async fn a_repetition_gets_its_export_although_the_name_has_moved_inside() {
    let names = TestNames::default().with("moves.example", &[&["93.184.216.34"], &["10.0.0.1"]]);
    let app = strict(Arc::new(names), "", "").await;
    let body = with_callback("https://moves.example/hook");
    let post = || {
        app.send(
            app.request(Method::POST, "/v1/exports")
                .header("idempotency-key", "k")
                .json(&body),
        )
    };
    let first = post().await.expect(202).id();
    assert_eq!(post().await.expect(202).id(), first);
    assert_eq!(
        app.create(&body).await.expect(422).pointers(),
        ["/callback_url"]
    );
    assert_eq!(app.stored_exports().await, 1);
}

#[tokio::test]
async fn a_name_that_turns_to_loopback_after_creation_is_not_connected_to() {
    let inside = Counter::start("127.0.0.1:0").await;
    let names = Arc::new(
        TestNames::default().with("rebinds.example", &[&["93.184.216.34"], &["127.0.0.1"]]),
    );
    let app = strict(Arc::clone(&names), "", "1-65535").await;
    app.export_to_end(&with_callback(&format!(
        "https://rebinds.example:{}/s3cr3t",
        inside.port
    )))
    .await;
    assert_eq!(names.asked().len(), 1);
    app.step_deliveries().await;
    assert_eq!(names.asked().len(), 2);
    let (class, error) = attempt_error(&app).await;
    assert_eq!(class, "forbidden_address");
    assert_eq!(
        error,
        "the receiver is not allowed: its host name resolves only to addresses that are not allowed"
    );
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_policy_that_became_stricter_holds_for_what_is_stored() {
    let receiver = Receiver::start().await;
    let app = TestApp::start().await;
    app.export_to_end(&with_callback(&receiver.url)).await;
    let strict = WebhookClient::new(
        policy(false, "", ""),
        Arc::new(TestNames::default()),
        WebhookLimits::default(),
    )
    .unwrap();
    let (class, text) = failure(&strict, &receiver.url).await;
    assert_eq!(class.as_str(), "forbidden_address", "{text}");
    assert!(receiver.heard().is_empty());
    let listed = WebhookClient::new(
        policy(false, "127.0.0.1", "1-65535"),
        Arc::new(TestNames::default()),
        WebhookLimits::default(),
    )
    .unwrap();
    assert_eq!(
        listed
            .send(outgoing(&receiver.url))
            .await
            .unwrap()
            .status_code,
        204
    );
}

#[tokio::test]
async fn the_connection_goes_to_exactly_the_vetted_address() {
    let (forbidden, allowed) = Counter::pair().await;
    // Within one attempt the name is resolved once: later DNS responses have no effect.
    let both: &[&str] = &["127.0.0.1", "127.0.0.2", "::1"];
    let names = Arc::new(
        TestNames::default().with("both.example", &[&["127.0.0.2"], both, &["127.0.0.1"]]),
    );
    let app = strict(Arc::clone(&names), "127.0.0.2/32", "1-65535").await;
    app.export_to_end(&with_callback(&format!(
        "https://both.example:{}/",
        allowed.port
    )))
    .await;
    app.step_deliveries().await;
    assert_eq!(names.asked(), ["both.example", "both.example"]);
    let (class, error) = attempt_error(&app).await;
    assert_eq!(class, "tls_failed", "the listener speaks no TLS: {error}");
    assert_eq!((forbidden.connections(), allowed.connections()), (0, 1));
}

#[tokio::test]
async fn an_internal_receiver_on_the_list_gets_its_webhook() {
    let receiver = Receiver::start().await;
    let port = receiver.url.rsplit_once(':').unwrap().1.to_owned();
    let names = Arc::new(TestNames::default().with("hooks.internal.example", &[&["127.0.0.1"]]));
    let app = strict(Arc::clone(&names), "*.internal.example", "1-65535").await;
    app.export_to_end(&with_callback(&format!(
        "http://hooks.internal.example:{port}"
    )))
    .await;
    app.step_deliveries().await;
    assert_eq!(receiver.heard().len(), 1);
    assert_eq!(
        names.asked(),
        ["hooks.internal.example"],
        "it is trusted at creation, and each attempt resolves it once"
    );
}
