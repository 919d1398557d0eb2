//! Connections and requests that would use too many resources: each is closed or rejected, and the
//! others are served.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use sqlx::{Connection as _, PgConnection};
use tableferry::listener::ConnectionLimits;
use tableferry::request_limits::RequestLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::{free_address, line_with, terminate};
use crate::support::{Raw, TestApp, TestOptions, client, create_body};

/// Short for the connections that must be closed. Everything else keeps the usual timeouts, so
/// other clients do not run into it.
/// usual time.
const SHORT: Duration = Duration::from_millis(50);

const PATIENCE: Duration = Duration::from_secs(30);

async fn start(connection_limits: ConnectionLimits) -> TestApp {
    TestApp::start_with(TestOptions {
        connection_limits,
        ..TestOptions::default()
    })
    .await
}

async fn start_with(request_limits: RequestLimits) -> TestApp {
    TestApp::start_with(TestOptions {
        request_limits,
        ..TestOptions::default()
    })
    .await
}

/// The counter of connections that were closed for this reason. Other tests of this process count
/// too.
async fn cuts(app: &TestApp, reason: &str) -> u64 {
    let metrics = app.get("/metrics").await.expect(200).text;
    let line = format!("tableferry_http_cut_total{{reason=\"{reason}\"}} ");
    metrics
        .lines()
        .find_map(|l| l.strip_prefix(&line))
        .unwrap_or_else(|| panic!("no {reason} in the metrics"))
        .parse()
        .unwrap()
}

/// A request that waits for the end of an export; it has been counted as such when this returns.
async fn waiting(app: &TestApp, raw: &mut Raw, id: &str) {
    raw.say(&format!(
        "GET /v1/exports/{id}/events HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n"
    ))
    .await;
    let mut head = [0; 12];
    timeout(PATIENCE, raw.stream.read_exact(&mut head))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&head, b"HTTP/1.1 200", "{}", app.url);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let app = start(ConnectionLimits {
        head_time: SHORT,
        head_bytes: 1 << 30,
        ..ConnectionLimits::default()
    })
    .await;
    let silent = Raw::connect(&app.url).await;
    let mut half = Raw::connect(&app.url).await;
    half.say("GET /livez HTTP/1.1\r\nhost: test\r\n").await;
    assert_eq!((silent.rest().await, half.rest().await), (vec![], vec![]));
    // A client that sends a little again and again gains no time by it.
    let mut slow = Raw::connect(&app.url).await;
    slow.say("GET /livez HTTP/1.1\r\nx: ").await;
    let trickled = timeout(PATIENCE, async {
        while slow.stream.write_all(b"x").await.is_ok() {}
    });
    trickled.await.expect("it is closed");
    // All services of a process share the counter; this one has enough time for every request.
    assert!(cuts(&TestApp::start().await, "head_time").await >= 3);
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let app = TestApp::start().await;
    let many = "x: y\r\n".repeat(101);
    let long = format!("x: {}\r\n", "y".repeat(17 * 1024));
    let without_end = format!("x: {}", "y".repeat(1024 * 1024));
    for flood in [many, long, without_end] {
        let mut raw = Raw::connect(&app.url).await;
        // Sometimes the connection is closed before all of it was read.
        let _ = raw
            .stream
            .write_all(format!("GET /livez HTTP/1.1\r\n{flood}\r\n").as_bytes())
            .await;
        let answer = raw.rest().await;
        assert!(
            answer.starts_with(b"HTTP/1.1 431 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(cuts(&app, "head_size").await >= 3);
    let fits = app
        .request(Method::GET, "/livez")
        .header("x", "y".repeat(15 * 1024));
    app.send(fits).await.expect(200);
}

#[tokio::test]
async fn a_body_that_is_declared_too_large_is_refused_unread() {
    let app = TestApp::start().await;
    for path in ["/v1/exports", "/v1/webhook-endpoints", "/nowhere"] {
        let mut raw = Raw::connect(&app.url).await;
        raw.say(&format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n{{"))
            .await;
        raw.answer().await.expect_problem(413, "payload-too-large");
        assert_eq!(raw.rest().await, b"");
    }
    assert!(cuts(&app, "body_size").await >= 3);
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_at_the_limit() {
    let app = TestApp::start().await;
    let mut raw = Raw::connect(&app.url).await;
    raw.say("POST /v1/exports HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let (mut reader, mut writer) = raw.stream.split();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut answer = Vec::new();
    let reading = async { while reader.read_buf(&mut answer).await.is_ok_and(|n| n > 0) {} };
    let mut sent = 0;
    let writing = async {
        while sent < 1024 && writer.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 1;
        }
    };
    timeout(PATIENCE, async { tokio::join!(reading, writing) })
        .await
        .expect("it is closed");
    assert!(
        answer.starts_with(b"HTTP/1.1 413 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(sent < 1024, "64 MiB were taken");
    assert_eq!(app.stored_exports().await, 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_told_so() {
    let app = start_with(RequestLimits {
        body_time: SHORT,
        ..RequestLimits::default()
    })
    .await;
    let mut raw = Raw::connect(&app.url).await;
    raw.say("POST /v1/exports HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{").await;
    let answer = raw.answer().await;
    answer.expect_problem(408, "request-timeout");
    assert!(
        answer.head.contains("\r\nconnection: close"),
        "{}",
        answer.head
    );
    assert_eq!(raw.rest().await, b"");
    assert!(cuts(&app, "body_time").await >= 1);
}

#[tokio::test]
async fn large_bodies_have_a_bound_and_small_ones_have_none() {
    let app = TestApp::start().await;
    let head = |length: usize| {
        format!(
            "POST /v1/exports HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut large = Vec::new();
    let mut refused = None;
    while refused.is_none() && large.len() < 300 {
        let mut raw = Raw::connect(&app.url).await;
        raw.say(&(head(200_000) + &" ".repeat(100_000))).await;
        // A round trip, so that everything before it has been read.
        let before = cuts(&app, "bodies_full").await;
        if before > 0 {
            refused = Some(raw);
        } else {
            large.push(raw);
        }
    }
    // A connection was rejected: this one, or one of those before, whose count came late.
    drop(refused.expect("not all are taken"));
    assert!(large.len() >= 250, "{}", large.len());
    app.create(&create_body()).await.expect(202);
}

#[tokio::test]
async fn a_connection_lives_on_between_requests() {
    for rest_after in [Duration::ZERO, Duration::from_secs(3600)] {
        let app = start(ConnectionLimits {
            rest_after,
            ..ConnectionLimits::default()
        })
        .await;
        let mut raw = Raw::connect(&app.url).await;
        for _ in 0..3 {
            assert_eq!(raw.ask("/livez").await.status, 200);
        }
        // Two requests and a part of the third arrive together.
        let livez = "GET /livez HTTP/1.1\r\nhost: test\r\n\r\n";
        raw.say(&format!("{livez}{livez}{}", &livez[..17])).await;
        assert_eq!(
            (raw.answer().await.status, raw.answer().await.status),
            (200, 200)
        );
        raw.say(&livez[17..]).await;
        assert_eq!(raw.answer().await.status, 200);
        // A body, and a response that is larger than every buffer.
        let body = create_body().to_string();
        let length = body.len();
        raw.say(&format!(
            "POST /v1/exports HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
        assert_eq!(raw.answer().await.status, 202);
        let bundle = raw.ask("/docs/swagger-ui-bundle.js").await;
        assert!(bundle.status == 200 && bundle.body.len() > 1_000_000);
        assert_eq!(raw.ask("/livez").await.status, 200);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    for rest_after in [Duration::ZERO, Duration::from_secs(3600)] {
        let app = start(ConnectionLimits {
            idle_time: SHORT,
            rest_after,
            ..ConnectionLimits::default()
        })
        .await;
        let mut raw = Raw::connect(&app.url).await;
        assert_eq!(raw.ask("/livez").await.status, 200);
        assert_eq!(raw.rest().await, b"");
    }
}

#[tokio::test]
async fn who_is_idle_gives_way_and_health_is_always_told() {
    let app = start(ConnectionLimits {
        connections: 2,
        ..ConnectionLimits::default()
    })
    .await;
    let mut idle = Raw::connect(&app.url).await;
    assert_eq!(idle.ask("/livez").await.status, 200);
    let mut first = Raw::connect(&app.url).await;
    let id = {
        let body = create_body().to_string();
        let length = body.len();
        first
            .say(&format!(
                "POST /v1/exports HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
            .await;
        let json: serde_json::Value = serde_json::from_slice(&first.answer().await.body).unwrap();
        json["id"].as_str().unwrap().to_owned()
    };
    waiting(&app, &mut first, &id).await;
    let mut second = Raw::connect(&app.url).await;
    waiting(&app, &mut second, &id).await;
    assert_eq!(idle.rest().await, b"", "the idle connection was closed");
    // No connection is idle now.
    let mut third = Raw::connect(&app.url).await;
    let answer = third.ask("/livez").await;
    assert!(
        answer.status == 200 && answer.head.contains("\r\nconnection: close"),
        "{}",
        answer.head
    );
    assert_eq!(third.rest().await, b"");
    let mut fourth = Raw::connect(&app.url).await;
    let answer = fourth.ask("/v1/exports").await;
    answer.expect_problem(503, "unavailable");
    assert!(
        answer.head.contains("\r\nretry-after: ") && answer.head.contains("\r\nconnection: close"),
        "{}",
        answer.head
    );
    assert_eq!(fourth.rest().await, b"");
    // The waiting requests were not disturbed.
    drop(first);
    let cancelled = async {
        loop {
            let mut raw = Raw::connect(&app.url).await;
            raw.say(&format!(
                "DELETE /v1/exports/{id}?force=true HTTP/1.1\r\nhost: test\r\n\r\n"
            ))
            .await;
            if raw.answer().await.status == 204 {
                return;
            }
        }
    };
    timeout(PATIENCE, cancelled)
        .await
        .expect("the slot of a closed connection is free");
    let mut rest = Vec::new();
    timeout(PATIENCE, async {
        while !rest.ends_with(b"0\r\n\r\n") && second.stream.read_buf(&mut rest).await.unwrap() > 0
        {
        }
    })
    .await
    .unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream ends in order");
}

/// A transaction that blocks all reads of exports.
async fn lock_exports(app: &TestApp) -> PgConnection {
    let mut connection = PgConnection::connect(&app.database_url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE exports IN ACCESS EXCLUSIVE MODE")
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn more_work_than_is_taken_is_refused_at_once() {
    let app = start_with(RequestLimits {
        requests: 1,
        ..RequestLimits::default()
    })
    .await;
    let id = app.create(&create_body()).await.expect(202).id();
    // Neither a live stream nor a body that is still to come counts as work.
    let mut stream = Raw::connect(&app.url).await;
    waiting(&app, &mut stream, &id).await;
    let mut sends = Raw::connect(&app.url).await;
    sends.say("POST /v1/exports HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{").await;
    let path = format!("/v1/exports/{id}");
    let waits = app.send(app.request(Method::GET, &path).header("prefer", "wait=60"));
    let others = async {
        // Unless another one is being worked on at that moment.
        let once_free = async |path: &str| loop {
            let answer = app.get(path).await;
            if answer.status == 200 {
                return answer;
            }
            answer.expect_problem(503, "unavailable");
        };
        timeout(PATIENCE, once_free(&path))
            .await
            .expect("waiting requests block no others");
        let lock = lock_exports(&app).await;
        let works = once_free("/v1/exports");
        let meanwhile = async {
            let refused = async {
                loop {
                    let answer = app.get("/problems/internal").await;
                    if answer.status != 200 {
                        return answer;
                    }
                }
            };
            let refused = timeout(PATIENCE, refused)
                .await
                .expect("a connection is rejected")
                .expect_problem(503, "unavailable");
            assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
            app.get("/livez").await.expect(200);
            app.get("/metrics").await.expect(200);
            lock.close().await.unwrap();
        };
        tokio::join!(works, meanwhile);
        app.send(app.request(Method::DELETE, &format!("{path}?force=true")))
            .await
            .expect(204);
    };
    let (waited, ()) = tokio::join!(waits, others);
    waited.expect_problem(404, "not-found");
    assert!(cuts(&app, "requests_full").await >= 1);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let app = start_with(RequestLimits {
        answer_time: SHORT,
        ..RequestLimits::default()
    })
    .await;
    let lock = lock_exports(&app).await;
    let answer = app
        .get("/v1/exports")
        .await
        .expect_problem(503, "unavailable");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    lock.close().await.unwrap();
    assert!(cuts(&app, "answer_time").await >= 1);
}

#[tokio::test]
async fn who_does_not_read_is_cut() {
    let app = start(ConnectionLimits {
        write_time: SHORT,
        ..ConnectionLimits::default()
    })
    .await;
    let mut raw = Raw::connect(&app.url).await;
    let asked = 64;
    let requests = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: test\r\n\r\n".repeat(asked);
    raw.say(&requests).await;
    // Until it is counted nothing is read; afterwards come the bytes in the system's buffers, and
    // then the end.
    timeout(PATIENCE, async {
        while cuts(&app, "write_time").await == 0 {}
    })
    .await
    .expect("it is cut");
    let mut bytes = 0;
    let mut space = vec![0; 1 << 20];
    let read = async {
        while let Ok(n @ 1..) = raw.stream.read(&mut space).await {
            bytes += n;
        }
    };
    timeout(PATIENCE, read).await.expect("it is closed");
    assert!(bytes < asked * 1_000_000, "all of it was sent: {bytes}");
}

#[tokio::test]
async fn a_process_without_file_descriptors_goes_on_when_it_has_some() {
    let address = free_address().await;
    let variables = [
        ("DATABASE_URL", "postgres://127.0.0.1:1/d"),
        ("TABLEFERRY_AUTH", "none"),
        ("TABLEFERRY_LISTEN", &address),
    ];
    let mut child = Command::new("/bin/sh")
        .args([
            "-c",
            "ulimit -n 64 && exec \"$0\" serve",
            env!("CARGO_BIN_EXE_tableferry"),
        ])
        .env_clear()
        .envs(variables)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    line_with(&mut child, &mut lines, "the database does not answer").await;
    assert!(
        lines.concat().contains("the limit of open files"),
        "{lines:?}"
    );
    // A client that has sent a byte is not idle and does not give way, so eventually there are more
    // of them than file descriptors.
    let crowd = async {
        let mut held = VecDeque::new();
        loop {
            if let Ok(mut stream) = TcpStream::connect(&address).await {
                // It may have been closed already.
                let _ = stream.write_all(b"G").await;
                held.push_back(stream);
                held.drain(..held.len().saturating_sub(500));
            }
        }
    };
    tokio::select! {
        _ = line_with(&mut child, &mut lines, "connections cannot be accepted at the moment") => {}
        () = crowd => {}
    }
    let url = format!("http://{address}");
    let http = client();
    let live = async {
        while !http
            .get(format!("{url}/livez"))
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
        {}
    };
    timeout(PATIENCE, live)
        .await
        .expect("it takes connections again");
    terminate(&child);
    assert!(
        timeout(PATIENCE, child.wait())
            .await
            .unwrap()
            .unwrap()
            .success()
    );
}
