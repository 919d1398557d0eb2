//! Abusive clients: slow request heads, ten thousand idle connections, bodies of 1 GiB, deeply
//! nested JSON, floods of headers. During each attack, one client polls an export and another
//! creates exports, as usual. Measured: their latency and the service's memory.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failed;
use crate::load::{self, Client};
use crate::report::{Figure, Goal, quantile};
use crate::stage::{Service, Stage};

const SLOW: usize = 1000;

/// Connections that never send a request.
const IDLE: usize = 10_000;

/// Attackers that send something large; each repeats as soon as its connection is closed.
const ATTACKERS: usize = 64;

/// The pause of each of these between two attempts. The machine is shared, and the service is to be
/// measured, not the attackers.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the normal clients are measured: longer than a request head may take, so that slow ones
/// are closed and connect again.
const WATCHED: Duration = Duration::from_secs(12);

const HEAD: &str = "POST /v1/exports HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n";

pub async fn others_are_served(program: &Path) -> Result<Vec<Figure>, Failed> {
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    if files < 11_000 {
        return Err(format!(
            "the limit of open files is {files}, but this case needs 11000 (ulimit -n)"
        )
        .into());
    }
    let stage = Stage::set_up(program).await?;
    let service = stage.service("api").await?;
    let mut client = Client::connect(service.address).await?;
    let answer = client
        .send(&load::post("/v1/exports", "", &body(0)))
        .await?;
    let export: Value = serde_json::from_slice(answer.body)?;
    let path = format!("/v1/exports/{}", export["id"].as_str().ok_or("no id")?);
    let to = service.address;

    let quiet = watch(&service, &path, std::future::pending, 0).await?;
    let before_kb = service.memory_kb()?;
    // First, because memory that an attack needed may be kept and reused.
    let (idle, idle_kb) = {
        let mut connections = Vec::with_capacity(IDLE);
        for _ in 0..IDLE {
            let mut connection = Client::connect(to).await?;
            connection.send(&load::get("/livez")).await?;
            connections.push(connection);
        }
        let idle = watch(&service, &path, std::future::pending, 0).await?;
        let open = connections
            .iter()
            .filter(|connection| connection.is_open())
            .count();
        if open < IDLE {
            return Err(format!("only {open} idle connections were kept").into());
        }
        #[expect(clippy::cast_precision_loss, reason = "ten thousand")]
        let each = (service.memory_kb()? - before_kb) / IDLE as f64;
        (idle, each)
    };
    let slow = watch(&service, &path, move || slow_head(to), SLOW).await?;
    let declared = watch(&service, &path, move || again(to, declared_body), ATTACKERS).await?;
    let chunked = watch(&service, &path, move || again(to, chunked_body), ATTACKERS).await?;
    let nested = watch(&service, &path, move || again(to, nested_json), ATTACKERS).await?;
    let headers = watch(&service, &path, move || again(to, many_headers), ATTACKERS).await?;
    let p99 = |name, latencies: &[f64]| Figure {
        name,
        value: quantile(latencies, 0.99),
        goal: Some(Goal::AtMost(100.0)),
    };
    let p50 = |name, latencies: &[f64]| Figure {
        name,
        value: quantile(latencies, 0.5),
        goal: None,
    };
    Ok(vec![
        p50("no attack, p50 ms", &quiet),
        p99("no attack, p99 ms", &quiet),
        p50("10,000 idle connections, p50 ms", &idle),
        p99("10,000 idle connections, p99 ms", &idle),
        Figure {
            name: "memory per idle connection, KB",
            value: idle_kb,
            goal: Some(Goal::AtMost(20.0)),
        },
        p50("1,000 slow heads, p50 ms", &slow),
        p99("1,000 slow heads, p99 ms", &slow),
        p50("1 GiB bodies declared, p50 ms", &declared),
        p99("1 GiB bodies declared, p99 ms", &declared),
        p50("1 GiB bodies in chunks, p50 ms", &chunked),
        p99("1 GiB bodies in chunks, p99 ms", &chunked),
        p50("nested JSON, p50 ms", &nested),
        p99("nested JSON, p99 ms", &nested),
        p50("floods of headers, p50 ms", &headers),
        p99("floods of headers, p99 ms", &headers),
        Figure {
            name: "maximum memory, MB",
            value: service.peak_memory_mb()?,
            goal: Some(Goal::AtMost(256.0)),
        },
    ])
}

fn body(n: usize) -> String {
    let table = format!(
        "arn:aws:dynamodb:us-east-1:{}:table/Orders",
        100_000_000_000 + n
    );
    json!({"table_arn": table, "s3_bucket": "tableferry-exports"}).to_string()
}

/// Runs this many attackers while normal clients send requests. Returns the latencies in
/// milliseconds, sorted.
async fn watch<A, F>(
    service: &Service,
    path: &str,
    attack: A,
    attackers: usize,
) -> Result<Vec<f64>, Failed>
where
    A: Fn() -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut attacks = JoinSet::new();
    for _ in 0..attackers {
        attacks.spawn(attack());
    }
    // Until all attackers are connected.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let get = load::get(path);
    let (gets, posts) = tokio::join!(
        ask(service.address, 200, move |_| get.clone()),
        ask(service.address, 202, |n| load::post(
            "/v1/exports",
            "",
            &body(n)
        )),
    );
    // Dropping the tasks ends them all.
    drop(attacks);
    let mut latencies_ms = gets?;
    latencies_ms.extend(posts?);
    latencies_ms.sort_by(f64::total_cmp);
    Ok(latencies_ms)
}

/// One client that sends a request again and again, with a short pause. Every response must have
/// this status.
async fn ask(
    address: SocketAddr,
    status: u16,
    request: impl Fn(usize) -> Vec<u8>,
) -> Result<Vec<f64>, Failed> {
    let mut client = Client::connect(address).await?;
    let (mut latencies_ms, began) = (Vec::new(), Instant::now());
    while began.elapsed() < WATCHED {
        let bytes = request(latencies_ms.len());
        let sent = Instant::now();
        let answer = client.send(&bytes).await?;
        latencies_ms.push(sent.elapsed().as_secs_f64() * 1000.0);
        if answer.status != status {
            return Err(format!(
                "the service answered {}: {}",
                answer.status,
                String::from_utf8_lossy(answer.body)
            )
            .into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(latencies_ms)
}

/// Sends a request head byte by byte, as slowly as allowed, and starts again when the connection is
/// closed.
async fn slow_head(address: SocketAddr) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let mut alive = stream
                .write_all(b"GET /v1/exports HTTP/1.1\r\nx: ")
                .await
                .is_ok();
            while alive {
                tokio::time::sleep(Duration::from_secs(1)).await;
                alive = stream.write_all(b"x").await.is_ok();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Connects and attacks, again and again.
async fn again<F: Future<Output = std::io::Result<()>>>(
    address: SocketAddr,
    attack: fn(TcpStream) -> F,
) {
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            // The service is expected to close the connection.
            let _ = tokio::time::timeout(WATCHED, attack(stream)).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn declared_body(mut stream: TcpStream) -> std::io::Result<()> {
    stream
        .write_all(format!("{HEAD}content-length: 1073741824\r\n\r\n").as_bytes())
        .await?;
    let piece = [b' '; 16 * 1024];
    for _ in 0..65_536 {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

async fn chunked_body(mut stream: TcpStream) -> std::io::Result<()> {
    stream
        .write_all(format!("{HEAD}transfer-encoding: chunked\r\n\r\n").as_bytes())
        .await?;
    let piece = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    for _ in 0..65_536 {
        stream.write_all(piece.as_bytes()).await?;
    }
    Ok(())
}

async fn nested_json(mut stream: TcpStream) -> std::io::Result<()> {
    let deep = 100_000;
    stream
        .write_all(format!("{HEAD}connection: close\r\ncontent-length: {deep}\r\n\r\n").as_bytes())
        .await?;
    stream.write_all("[".repeat(deep).as_bytes()).await?;
    read_to_end(stream).await
}

async fn many_headers(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(HEAD.as_bytes()).await?;
    for n in 0..100_000 {
        stream
            .write_all(format!("x-{n}: y\r\n").repeat(100).as_bytes())
            .await?;
    }
    Ok(())
}

async fn read_to_end(mut stream: TcpStream) -> std::io::Result<()> {
    let mut space = [0; 4096];
    while stream.read(&mut space).await? > 0 {}
    Ok(())
}
