//! Why a receiver did not respond: the delivery log has a distinct word for each cause.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tableferry::domain::error_chain::in_words;
use tableferry::webhooks::{ErrorClass, Outgoing, WebhookClient, WebhookLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::support::{Issued, TestApp, TestNames, create_body, issue, issue_with, policy};

const LIMITS: WebhookLimits = WebhookLimits {
    attempt: Duration::from_secs(30),
    connect: Duration::from_secs(10),
    body: Duration::from_secs(1),
};
const SHORT: WebhookLimits = WebhookLimits {
    attempt: Duration::from_millis(600),
    connect: Duration::from_millis(300),
    body: Duration::from_millis(100),
};

/// A client that trusts only this certificate authority.
fn client(issued: &Issued, limits: WebhookLimits) -> WebhookClient {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(issued.authority.as_bytes()).unwrap())
        .unwrap();
    let names = TestNames::default()
        .with("here.example", &[&["127.0.0.1"]])
        .with("here.example.", &[&["127.0.0.1"]]);
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    WebhookClient::with_tls(policy(true, "", ""), Arc::new(names), limits, tls)
}

/// The result of an attempt: the status, or the class of the failure and its text.
async fn outcome(client: &WebhookClient, url: &str) -> Result<u16, (&'static str, String)> {
    let request = Outgoing {
        url,
        webhook_id: "msg_1",
        timestamp_s: 1,
        signature: "v1,x",
        extra: &[],
        trace_parent: None,
        body: "{}".to_owned(),
    };
    match client.send(request).await {
        Ok(answer) => Ok(answer.status_code),
        Err(error) => Err((error.class().as_str(), in_words(&error))),
    }
}

#[track_caller]
fn is(outcome: Result<u16, (&'static str, String)>, class: &str) {
    assert_eq!(
        outcome.as_ref().map_err(|(class, _)| *class),
        Err(class),
        "{outcome:?}"
    );
}

/// A receiver that serves TLS with this certificate and answers 200.
async fn secured(issued: &Issued, change: impl FnOnce(&mut ServerConfig)) -> u16 {
    let (chain, key) = issued.chain();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    change(&mut config);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut heard = Vec::new();
            while !heard.ends_with(b"{}")
                && stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0)
            {}
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// The port of a listener that handles connections like this.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    treat: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(treat(stream));
        }
    });
    port
}

#[tokio::test]
async fn certificates_fail_for_reasons_of_their_own() {
    let good = issue_with(&["here.example", "127.0.0.1"], |_| {});
    let trusting = client(&good, LIMITS);
    let port = secured(&good, |_| {}).await;
    assert_eq!(
        outcome(&trusting, &format!("https://here.example:{port}/hook")).await,
        Ok(200)
    );
    assert_eq!(
        outcome(&trusting, &format!("https://here.example.:{port}/hook")).await,
        Ok(200)
    );
    assert_eq!(
        outcome(&trusting, &format!("https://127.0.0.1:{port}/hook")).await,
        Ok(200)
    );
    is(
        outcome(
            &client(&issue(), LIMITS),
            &format!("https://here.example:{port}/hook"),
        )
        .await,
        "certificate_unknown_issuer",
    );
    for (names, years, class) in [
        (&["here.example"][..], (1999, 2001), "certificate_expired"),
        (&["here.example"], (2999, 3001), "certificate_not_yet_valid"),
        (&["there.example"], (1999, 3001), "certificate_wrong_name"),
    ] {
        let issued = issue_with(names, |params| {
            params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
            params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        });
        let port = secured(&issued, |_| {}).await;
        is(
            outcome(
                &client(&issued, LIMITS),
                &format!("https://here.example:{port}/hook"),
            )
            .await,
            class,
        );
    }
}

#[tokio::test]
async fn handshakes_fail_for_reasons_of_their_own() {
    let issued = issue_with(&["here.example"], |_| {});
    let trusting = client(&issued, LIMITS);
    let only_h2 = secured(&issued, |config| {
        config.alpn_protocols = vec![b"h2".to_vec()]
    })
    .await;
    is(
        outcome(&trusting, &format!("https://here.example:{only_h2}/hook")).await,
        "tls_alpn",
    );
    // A fatal alert of TLS 1.2: RFC 8446, 6.
    for (alert, class) in [
        (70, "tls_version"),
        (40, "tls_cipher"),
        (71, "tls_cipher"),
        (120, "tls_alpn"),
        (80, "tls_failed"),
    ] {
        let port = serve(move |mut stream| async move {
            let mut heard = [0; 5];
            let _ = stream.read_exact(&mut heard).await;
            let _ = stream.write_all(&[0x15, 3, 3, 0, 2, 2, alert]).await;
            // Until the client has closed, so that nothing is reset before it has read.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        })
        .await;
        is(
            outcome(&trusting, &format!("https://here.example:{port}/hook")).await,
            class,
        );
    }
    // A different protocol, and a server that hangs up.
    for greeting in [&b"220 mail.example ESMTP\r\n"[..], b""] {
        let port = serve(move |mut stream| async move {
            let _ = stream.write_all(greeting).await;
            let _ = stream.shutdown().await;
        })
        .await;
        is(
            outcome(&trusting, &format!("https://here.example:{port}/hook")).await,
            "tls_failed",
        );
    }
}

#[tokio::test]
async fn what_took_too_long_is_said() {
    let issued = issue();
    let quick = client(&issued, SHORT);
    let silent = serve(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    is(
        outcome(&quick, &format!("https://127.0.0.1:{silent}/hook")).await,
        "tls_timed_out",
    );
    is(
        outcome(&quick, &format!("http://127.0.0.1:{silent}/hook")).await,
        "timed_out",
    );
    let never =
        WebhookClient::new(policy(true, "", ""), Arc::new(TestNames::hanging()), SHORT).unwrap();
    is(
        outcome(&never, "http://here.example/hook").await,
        "lookup_timed_out",
    );
    // A listener with a full backlog accepts no more connections: they are neither accepted nor
    // rejected.
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = full.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queued.push(stream);
    }
    is(
        outcome(&quick, &format!("http://{address}/hook")).await,
        "connect_timed_out",
    );
}

#[tokio::test]
async fn connections_fail_for_reasons_of_their_own() {
    let issued = issue();
    let trusting = client(&issued, LIMITS);
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    is(
        outcome(&trusting, &format!("http://127.0.0.1:{free}/hook")).await,
        "connection_refused",
    );
    let resets = serve(|mut stream| async move {
        let mut heard = [0; 5];
        let _ = stream.read_exact(&mut heard).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    is(
        outcome(&trusting, &format!("http://127.0.0.1:{resets}/hook")).await,
        "connection_reset",
    );
    for (says, class) in [
        (&b""[..], "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nX-", "connection_lost"),
        (b"SSH-2.0-x\r\n\r\n", "invalid_answer"),
    ] {
        let port = serve(move |mut stream| async move {
            let mut heard = Vec::new();
            while !heard.ends_with(b"{}")
                && stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0)
            {}
            let _ = stream.write_all(says).await;
            let _ = stream.shutdown().await;
        })
        .await;
        is(
            outcome(&trusting, &format!("http://127.0.0.1:{port}/hook")).await,
            class,
        );
    }
}

#[tokio::test]
async fn the_second_address_of_a_name_is_tried() {
    let port = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    // 127.0.0.2 is this machine too, but nothing listens there.
    let names = TestNames::default().with("two.example", &[&["127.0.0.2", "127.0.0.1"]]);
    let client = WebhookClient::new(policy(true, "", ""), Arc::new(names), LIMITS).unwrap();
    assert_eq!(
        outcome(&client, &format!("http://two.example:{port}/hook")).await,
        Ok(204)
    );
}

#[tokio::test]
async fn the_log_of_deliveries_has_the_word_and_the_guide_explains_it() {
    let app = TestApp::start().await;
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut body = create_body();
    body["callback_url"] = json!(format!("http://127.0.0.1:{free}/hook"));
    let id = app.export_to_end(&body).await;
    app.step_due_deliveries().await;
    let delivery = app
        .deliveries_in(&format!("/v1/exports/{id}/deliveries"))
        .await
        .remove(0);
    assert_eq!(delivery["attempts"][0]["error_class"], "connection_refused");
    let guide = include_str!("../../docs/webhooks.md");
    for class in ErrorClass::ALL {
        assert!(
            guide.contains(&format!("`{}`", class.as_str())),
            "docs/webhooks.md does not explain {}",
            class.as_str()
        );
    }
}
