//! Client addresses: trusted proxies may report them in a header or by the PROXY protocol; other
//! clients may not.

use std::time::Duration;

use reqwest::Method;
use tableferry::auth::Auth;
use tableferry::listener::ConnectionLimits;
use tokio::io::AsyncWriteExt as _;

use crate::support::{LogCapture, Raw, TestApp, TestOptions};

/// A service with authentication, behind these proxies.
async fn start(trusted_proxies: &'static str, proxy_protocol: bool) -> TestApp {
    TestApp::start_with(TestOptions {
        auth: Auth::Required,
        trusted_proxies,
        proxy_protocol,
        ..TestOptions::default()
    })
    .await
}

/// The response to an unknown key with these headers.
async fn guess(app: &TestApp, headers: &[(&str, &str)]) -> u16 {
    let key = app.clock.api_key_secret();
    let mut request = app
        .request(Method::GET, "/v1/exports")
        .bearer_auth(key.expose());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request).await.status.as_u16()
}

/// Fails so often from one address that it is throttled; then failures are no longer logged.
async fn exhaust(app: &TestApp, headers: &[(&str, &str)]) {
    for _ in 0..21 {
        assert_eq!(guess(app, headers).await, 401);
    }
}

/// The addresses for which failures were logged.
fn logged(logs: &LogCapture) -> Vec<String> {
    let text = logs.text();
    let lines = text
        .lines()
        .filter(|line| line.contains("credentials were refused"));
    let address = |line: &str| {
        line.rsplit_once("client.address=")
            .unwrap()
            .1
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    lines.map(address).collect()
}

#[tokio::test]
async fn refusals_are_counted_by_what_a_trusted_proxy_says() {
    for header in [
        ("X-Forwarded-For", "198.51.100.1, 203.0.113.7"),
        ("Forwarded", "for=198.51.100.1, for=\"203.0.113.7:4711\""),
    ] {
        let app = start("127.0.0.0/8", false).await;
        let logs = LogCapture::start();
        exhaust(&app, &[header]).await;
        assert_eq!(logged(&logs), ["203.0.113.7"; 20]);
        // Other clients behind the same proxy are not throttled.
        assert_eq!(
            guess(&app, &[("X-Forwarded-For", "203.0.113.8")]).await,
            401
        );
        assert_eq!(logged(&logs).last().unwrap(), "203.0.113.8");
    }
}

#[tokio::test]
async fn every_line_of_a_request_says_where_it_comes_from() {
    let app = start("127.0.0.1", false).await;
    let logs = LogCapture::start();
    assert_eq!(
        guess(&app, &[("X-Forwarded-For", "203.0.113.7")]).await,
        401
    );
    let text = logs.text();
    let served = text
        .lines()
        .find(|line| line.contains("request served"))
        .unwrap();
    assert!(served.contains("client.address=203.0.113.7"), "{served}");
}

#[tokio::test]
async fn nobody_else_chooses_an_address() {
    for trusted in ["", "10.0.0.0/8,::1"] {
        let app = start(trusted, false).await;
        let logs = LogCapture::start();
        for n in 0..30 {
            let own = format!("203.0.113.{n}");
            assert_eq!(
                guess(
                    &app,
                    &[
                        ("X-Forwarded-For", &own),
                        ("Forwarded", &format!("for={own}"))
                    ]
                )
                .await,
                401
            );
        }
        // All count as one client, which is throttled after 20.
        assert_eq!(logged(&logs), ["127.0.0.1"; 20]);
    }
}

/// A request with an unknown key, after these bytes.
async fn raw_guess(app: &TestApp, header: &[u8], forwarded: &str) -> Raw {
    let mut raw = Raw::connect(&app.url).await;
    raw.stream.write_all(header).await.unwrap();
    let key = app.clock.api_key_secret();
    let _ = raw
        .stream
        .write_all(format!("GET /v1/exports HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {}\r\n{forwarded}\r\n", key.expose()).as_bytes())
        .await;
    raw
}

/// Version 2 of the header, as specified: TCP over IPv4 from 203.0.113.9, with an unknown TLV.
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x11\xcb\x00\x71\x09\x0a\x00\x00\x01\xc7\x38\x1f\x90\xe0\x00\x02ab";

#[tokio::test]
async fn the_proxy_protocol_is_believed_from_trusted_proxies() {
    let app = start("127.0.0.1", true).await;
    let logs = LogCapture::start();
    for (header, address) in [
        (
            &b"PROXY TCP4 203.0.113.7 10.0.0.1 51000 8080\r\n"[..],
            "203.0.113.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 51000 8080\r\n",
            "2001:db8::7",
        ),
        (VERSION_2, "203.0.113.9"),
        // A connection of the proxy itself.
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1"),
    ] {
        // The client behind it is not a trusted proxy, so its headers are ignored.
        assert_eq!(raw_guess(&app, header, "").await.answer().await.status, 401);
        assert_eq!(logged(&logs).last().unwrap(), address);
        let forwarded = "x-forwarded-for: 198.51.100.1\r\n";
        assert_eq!(
            raw_guess(&app, header, forwarded)
                .await
                .answer()
                .await
                .status,
            401
        );
        let behind = if address == "127.0.0.1" {
            "198.51.100.1"
        } else {
            address
        };
        assert_eq!(logged(&logs).last().unwrap(), behind);
    }
}

#[tokio::test]
async fn a_trusted_proxy_without_the_header_is_not_served_and_others_need_none() {
    let app = start("127.0.0.1", true).await;
    for header in [
        &b""[..],
        b"PROXY TCP4 nonsense\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ] {
        assert_eq!(raw_guess(&app, header, "").await.rest().await, b"");
    }
    let elsewhere = start("10.0.0.0/8", true).await;
    assert_eq!(elsewhere.get("/livez").await.status, 200);
    let text = elsewhere.get("/metrics").await.expect(200).text;
    let cut = text
        .lines()
        .find_map(|line| line.strip_prefix("tableferry_http_cut_total{reason=\"proxy_header\"} "))
        .unwrap();
    assert!(cut.parse::<u64>().unwrap() >= 3, "{cut}");
    // A PROXY header from another address is not valid HTTP.
    let answer = raw_guess(
        &elsewhere,
        b"PROXY TCP4 203.0.113.7 10.0.0.1 51000 8080\r\n",
        "",
    )
    .await
    .rest()
    .await;
    assert!(
        answer.starts_with(b"HTTP/1.1 400 "),
        "{}",
        answer.escape_ascii()
    );
}

#[tokio::test]
async fn a_proxy_that_begins_and_says_no_more_is_cut() {
    let connection_limits = ConnectionLimits {
        head_time: Duration::from_millis(50),
        ..ConnectionLimits::default()
    };
    let options = TestOptions {
        connection_limits,
        trusted_proxies: "127.0.0.1",
        proxy_protocol: true,
        ..TestOptions::default()
    };
    let app = TestApp::start_with(options).await;
    for beginning in ["", "PROXY TCP4 203.0", "\r\n\r\n"] {
        let mut raw = Raw::connect(&app.url).await;
        raw.say(beginning).await;
        assert_eq!(raw.rest().await, b"");
    }
}
