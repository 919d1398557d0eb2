//! Receivers that answer too much, too slowly, or with redirects: each attempt stays short and
//! small.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tableferry::domain::error_chain::in_words;
use tableferry::webhooks::{Answer, ErrorClass, Outgoing, SendError, WebhookClient, WebhookLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::support::{Receiver, TestApp, TestNames, create_body, policy};

/// Short, so that the tests do not wait long for receivers that never finish.
const SHORT: WebhookLimits = WebhookLimits {
    attempt: Duration::from_millis(1000),
    connect: Duration::from_millis(500),
    body: Duration::from_millis(300),
};

/// Long enough for everything that ends by itself.
const PATIENT: WebhookLimits = WebhookLimits {
    attempt: Duration::from_secs(60),
    connect: Duration::from_secs(30),
    body: Duration::from_secs(60),
};

fn client(limits: WebhookLimits) -> WebhookClient {
    let names = TestNames::default()
        .with("here.example", &[&["127.0.0.1"]])
        .with("nobody.example", &[&[]]);
    WebhookClient::new(policy(true, "", ""), Arc::new(names), limits).unwrap()
}

async fn send(limits: WebhookLimits, url: &str) -> Result<Answer, SendError> {
    send_with(limits, url, &[]).await
}

async fn send_with(
    limits: WebhookLimits,
    url: &str,
    extra: &[(String, String)],
) -> Result<Answer, SendError> {
    let request = Outgoing {
        url,
        webhook_id: "msg_1",
        timestamp_s: 784_111_777,
        signature: "v1,x",
        extra,
        trace_parent: None,
        body: "{}".to_owned(),
    };
    timeout(Duration::from_secs(60), client(limits).send(request))
        .await
        .expect("an attempt ends")
}

/// A server that reads one request per connection and answers with given bytes.
struct Server {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start<F: Future<Output = ()> + Send>(
        answer: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/s3cr3t?token=s3cr3t",
            listener.local_addr().unwrap()
        );
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut heard = Vec::new();
                // Up to the end of the request, or the start of TLS, which is not supported here.
                while !heard.ends_with(b"{}")
                    && !heard.starts_with(b"\x16")
                    && stream.read_buf(&mut heard).await.is_ok_and(|n| n > 0)
                {}
                answer(stream).await;
            }
        });
        Self { url, connections }
    }

    /// Answers these bytes and closes.
    async fn says(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::start(move |mut stream| {
            let bytes = Arc::clone(&bytes);
            async move {
                // The client may have stopped reading.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }
}

/// The class of a failure, whose text must not repeat the URL.
#[track_caller]
fn class(result: Result<Answer, SendError>) -> ErrorClass {
    let error = result.expect_err("it fails");
    let text = in_words(&error);
    assert!(!text.contains("s3cr3t"), "{text}");
    error.class()
}

#[tokio::test]
async fn redirects_are_answers_like_any_other() {
    let elsewhere = Server::says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for code in [301, 302, 303, 307, 308] {
        for target in [
            "http://169.254.169.254/latest/meta-data/",
            &elsewhere.url,
            "//here.example/",
            "/again",
        ] {
            let server = Server::says(format!(
                "HTTP/1.1 {code} X\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n"
            ))
            .await;
            assert_eq!(send(PATIENT, &server.url).await.unwrap().status_code, code);
            assert_eq!(server.connections.load(Ordering::SeqCst), 1);
        }
    }
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn of_a_gigabyte_little_is_read() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let server = Server::start(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 30);
            let _ = stream.write_all(head.as_bytes()).await;
            let piece = [b'x'; 16 * 1024];
            for _ in 0..(1 << 30) / piece.len() {
                if stream.write_all(&piece).await.is_err() {
                    break;
                }
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    let began = Instant::now();
    let answer = send(PATIENT, &server.url).await.unwrap();
    assert_eq!(
        (answer.status_code, answer.excerpt),
        (200, "x".repeat(4096))
    );
    // The kernel's buffers on both sides come on top of the 64 KiB that are read.
    assert!(written.load(Ordering::SeqCst) < 64 << 20, "{written:?}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_body_that_dribbles_or_breaks_off_does_not_undo_the_answer() {
    let dribbling = Server::start(|mut stream| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await;
        while stream.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let began = Instant::now();
    let answer = send(SHORT, &dribbling.url).await.unwrap();
    assert!(
        answer.status_code == 200 && answer.excerpt.starts_with('x'),
        "{answer:?}"
    );
    assert!(
        began.elapsed() >= SHORT.body && began.elapsed() < SHORT.attempt,
        "{:?}",
        began.elapsed()
    );

    for (body, kept) in [
        ("content-length: 100\r\n\r\nhello", "hello"),
        (
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
            "hello",
        ),
        ("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"),
        ("connection: close\r\n\r\nhe\0llo\u{fc}", "hello\u{fc}"),
        (
            "content-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
            "hello",
        ),
    ] {
        let server = Server::says(format!("HTTP/1.1 201 Created\r\n{body}")).await;
        let answer = send(PATIENT, &server.url).await.unwrap();
        assert_eq!((answer.status_code, answer.excerpt.as_str()), (201, kept));
    }
}

#[tokio::test]
async fn heads_are_bounded_in_time_and_size() {
    let silent = Server::start(|stream| async move {
        sleep(Duration::from_secs(30)).await;
        drop(stream);
    })
    .await;
    let dribbling = Server::start(|mut stream| async move {
        while stream
            .write_all(b"HTTP/1.1 200 OK\r\nx: ".get(..1).unwrap())
            .await
            .is_ok()
        {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let interim = Server::start(|mut stream| async move {
        while stream
            .write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            .await
            .is_ok()
        {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    for (server, expected) in [
        (&silent, vec![ErrorClass::TimedOut]),
        (
            &dribbling,
            vec![ErrorClass::TimedOut, ErrorClass::InvalidAnswer],
        ),
        (&interim, vec![ErrorClass::TimedOut]),
    ] {
        let began = Instant::now();
        let class = class(send(SHORT, &server.url).await);
        assert!(expected.contains(&class), "{class:?}");
        assert!(began.elapsed() < SHORT.attempt * 3, "{:?}", began.elapsed());
    }

    let lines = |count: usize| {
        format!(
            "HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n",
            "x-y: z\r\n".repeat(count - 1)
        )
    };
    assert_eq!(
        send(PATIENT, &Server::says(lines(100)).await.url)
            .await
            .unwrap()
            .status_code,
        200
    );
    for flood in [
        lines(101),
        lines(125_000),
        format!(
            "HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n",
            "y".repeat(1 << 20)
        ),
        format!("HTTP/1.1 200 {}\r\n\r\n", "y".repeat(1 << 20)),
        "y".repeat(1 << 20),
    ] {
        assert_eq!(
            class(send(PATIENT, &Server::says(flood).await.url).await),
            ErrorClass::InvalidAnswer
        );
    }
}

#[tokio::test]
async fn every_failure_has_its_word() {
    let answers = Server::says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let hangs_up = Server::says("").await;
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let by_name = |scheme: &str, name: &str, server: &Server| {
        let port = server.url.split([':', '/']).nth(4).unwrap();
        format!("{scheme}://{name}:{port}/s3cr3t")
    };
    for (url, word) in [
        ("s3cr3t".to_owned(), "invalid_url"),
        ("ftp://127.0.0.1/s3cr3t".to_owned(), "forbidden_address"),
        (
            by_name("http", "nobody.example", &answers),
            "name_not_found",
        ),
        (by_name("https", "here.example", &answers), "tls_failed"),
        (by_name("https", "127.0.0.1", &hangs_up), "tls_failed"),
        (
            format!("https://127.0.0.1:{free}/s3cr3t"),
            "connection_refused",
        ),
        (hangs_up.url.clone(), "connection_lost"),
    ] {
        assert_eq!(class(send(PATIENT, &url).await).as_str(), word, "{url}");
    }
    let hanging =
        WebhookClient::new(policy(true, "", ""), Arc::new(TestNames::hanging()), SHORT).unwrap();
    let url = by_name("http", "here.example", &answers);
    let request = Outgoing {
        url: &url,
        webhook_id: "",
        timestamp_s: 0,
        signature: "",
        extra: &[],
        trace_parent: None,
        body: String::new(),
    };
    assert_eq!(
        class(hanging.send(request).await).as_str(),
        "lookup_timed_out"
    );
    let header = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
    for bad in [
        header("host", "x"),
        header("Webhook-Id", "x"),
        header("content-length", "9"),
        header("a b", "x"),
        header("x", "a\r\nb: c"),
    ] {
        assert_eq!(
            class(send_with(PATIENT, &answers.url, &bad).await).as_str(),
            "invalid_header",
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn the_answer_and_the_headers_arrive_whole() {
    let receiver = Receiver::start().await;
    receiver.answer_next(503, Some("Sun, 06 Nov 1994 08:51:37 GMT"));
    let extra = [
        ("x-tenant".to_owned(), "blue".to_owned()),
        ("authorization".to_owned(), "Bearer t".to_owned()),
    ];
    let answer = send_with(PATIENT, &receiver.url, &extra).await.unwrap();
    assert_eq!(
        answer,
        Answer {
            status_code: 503,
            retry_after: Some(Duration::from_secs(120)),
            excerpt: String::new()
        }
    );
    let heard = receiver.heard().remove(0);
    for (name, value) in [
        ("x-tenant", "blue"),
        ("authorization", "Bearer t"),
        ("content-type", "application/json"),
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "784111777"),
        ("webhook-signature", "v1,x"),
    ] {
        assert_eq!(heard.header(name), value);
    }
    assert!(heard.header("user-agent").starts_with("tableferry/"));
    assert_eq!(heard.body, b"{}");
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let (app, receiver) = (TestApp::start().await, Receiver::start().await);
    let proxy = Server::says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let mut body = create_body();
    body["callback_url"] = json!(receiver.url);
    app.export_to_end(&body).await;
    let address = proxy.url.trim_end_matches("/s3cr3t?token=s3cr3t");
    let proxies = [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ]
    .map(|name| (name, address));
    // In a worker process of its own, because environment variables belong to a process.
    let _worker = Command::new(env!("CARGO_BIN_EXE_tableferry"))
        .args(["serve", "--role", "worker", "--no-migrate"])
        .env_clear()
        .envs(proxies)
        .envs([
            ("DATABASE_URL", app.database_url.as_str()),
            ("TABLEFERRY_AUTH", "none"),
            ("TABLEFERRY_LISTEN", "127.0.0.1:0"),
            ("TABLEFERRY_WEBHOOK_ALLOW_PRIVATE", "true"),
            (
                "TABLEFERRY_WEBHOOK_SECRET",
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            ),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let settled = async {
        loop {
            // Both at once, so that they are batched.
            let settled: Option<String> =
                sqlx::query_scalar("SELECT status FROM webhook_deliveries WHERE attempts > 0")
                    .fetch_optional(&app.pool)
                    .await
                    .unwrap();
            if let Some(status) = settled {
                return status;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(
        timeout(Duration::from_secs(30), settled)
            .await
            .expect("an attempt is made"),
        "DELIVERED"
    );
    assert_eq!(receiver.heard().len(), 1);
    assert_eq!(proxy.connections.load(Ordering::SeqCst), 0);
}
