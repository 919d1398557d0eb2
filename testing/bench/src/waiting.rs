//! A thousand clients that wait for an end with `Prefer: wait`, and a thousand live streams: delay
//! from the commit to the notification of each, and memory per waiting client.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::Failed;
use crate::database;
use crate::load::{self, Client};
use crate::report::{Figure, Goal, quantile};
use crate::stage::Stage;

/// Waiting clients of each kind.
const WAITING: usize = 1000;

/// The text that marks an export's end in either kind of response.
const END: &[u8] = b"\"export_status\":\"CANCELLED\"";

pub async fn hear_of_the_end(program: &Path) -> Result<Vec<Figure>, Failed> {
    let stage = Stage::set_up(program).await?;
    // Another process makes the change, so the process with the waiting clients is not notified
    // internally.
    let service = stage.service("api").await?;
    let other = stage.service_named("api", "other").await?;
    let mut client = Client::connect(other.address).await?;
    let mut ids = Vec::new();
    for n in 0..WAITING {
        let table = format!(
            "arn:aws:dynamodb:us-east-1:{}:table/Orders",
            100_000_000_000 + n
        );
        let body = json!({"table_arn": table, "s3_bucket": "tableferry-exports"}).to_string();
        let answer = client.send(&load::post("/v1/exports", "", &body)).await?;
        let export: serde_json::Value = serde_json::from_slice(answer.body)?;
        ids.push(export["id"].as_str().ok_or("no id")?.to_owned());
    }
    let (notify, mut notified) = mpsc::unbounded_channel();
    let before_kb = service.memory_kb()?;
    for (n, id) in ids.iter().enumerate() {
        let wait =
            format!("GET /v1/exports/{id} HTTP/1.1\r\nhost: bench\r\nprefer: wait=300\r\n\r\n");
        tokio::spawn(listen(service.address, wait, n, notify.clone()));
        let stream = format!(
            "GET /v1/exports/{id}/events HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n"
        );
        tokio::spawn(listen(service.address, stream, n, notify.clone()));
    }
    drop(notify);
    // Wait until all connections have been read from. There is no signal that a request is waiting.
    tokio::time::sleep(Duration::from_secs(4)).await;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let kb_each = (service.memory_kb()? - before_kb) / (2 * WAITING) as f64;

    // One after the other, as ends happen in practice. The commit time is the time when the
    // cancellation's response arrived.
    let mut ended = Vec::new();
    for id in &ids {
        let answer = client
            .send(&load::post(&format!("/v1/exports/{id}/cancel"), "", "{}"))
            .await?;
        if answer.status != 200 {
            return Err(format!("cancel answered {}", answer.status).into());
        }
        ended.push(Instant::now());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut delays = Vec::new();
    while delays.len() < 2 * WAITING {
        let next = tokio::time::timeout(Duration::from_secs(10), notified.recv()).await;
        let (n, at) = next
            .map_err(|_| "not all clients were notified of the end")?
            .ok_or("not all clients were notified of the end")??;
        delays.push(at.saturating_duration_since(ended[n]).as_secs_f64() * 1000.0);
    }
    delays.sort_by(f64::total_cmp);
    let mut connection = database::connect(&stage).await?;
    let cancelled = database::count(&mut connection, "export_status = 'CANCELLED'").await?;
    if cancelled != i64::try_from(WAITING)? {
        return Err(format!("{cancelled} exports ended").into());
    }
    Ok(vec![
        Figure {
            name: "end seen after commit, p50 ms",
            value: quantile(&delays, 0.5),
            goal: None,
        },
        Figure {
            name: "end seen after commit, p99 ms",
            value: quantile(&delays, 0.99),
            goal: Some(Goal::AtMost(100.0)),
        },
        Figure {
            name: "end seen after commit, maximum ms",
            value: quantile(&delays, 1.0),
            goal: None,
        },
        Figure {
            name: "memory per waiting client, KB",
            value: kb_each,
            goal: Some(Goal::AtMost(20.0)),
        },
    ])
}

type Heard = mpsc::UnboundedSender<Result<(usize, Instant), String>>;

/// Sends a request and reports when the end is in its response.
async fn listen(address: SocketAddr, request: String, n: usize, notify: Heard) {
    let result = read_until_end(address, &request)
        .await
        .map(|at| (n, at))
        .map_err(|error| error.to_string());
    // The receiver is dropped when the case has already failed.
    let _ = notify.send(result);
}

async fn read_until_end(address: SocketAddr, request: &str) -> Result<Instant, Failed> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the service closed the connection".into());
        }
        if answer.windows(END.len()).any(|part| part == END) {
            return Ok(Instant::now());
        }
    }
}
