//! Load: many clients over HTTP/1.1, each with one connection and one request at a time. It is not
//! built on an HTTP library, because load and service share the machine: a client must cost less
//! than what it measures.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failed;

/// The results of many clients.
#[derive(Debug, Default)]
pub struct Seen {
    /// Requests answered.
    pub answered: usize,
    /// For how long they were sent.
    pub took: Duration,
    /// Latencies in milliseconds, sorted.
    pub latencies_ms: Vec<f64>,
}

impl Seen {
    /// Combines two results.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.answered += later.answered;
        self.took += later.took;
        self.latencies_ms.extend(later.latencies_ms);
        self.latencies_ms.sort_by(f64::total_cmp);
        self
    }

    /// Requests answered per second.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }
}

#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response, valid until the next request is sent.
#[derive(Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// The head of a response.
#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    /// Where the body begins and ends.
    start: usize,
    end: usize,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Result<Self, Failed> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Whether the server has neither closed the connection nor sent something unrequested.
    pub fn is_open(&self) -> bool {
        self.stream
            .try_read(&mut [0])
            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Sends a whole request and reads the whole response, which must state its length.
    pub async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>, Failed> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.more().await?;
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
        };
        self.buffer
            .reserve(head.end.saturating_sub(self.buffer.len()));
        while self.buffer.len() < head.end {
            self.more().await?;
        }
        Ok(Answer {
            status: head.status,
            body: &self.buffer[head.start..head.end],
        })
    }

    async fn more(&mut self) -> Result<(), Failed> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the service closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// The head of a response, once all of it has arrived.
fn head(buffer: &[u8]) -> Result<Option<Head>, Failed> {
    let Some(ends) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&buffer[..ends])?;
    let status = text.get(9..12).ok_or("no status")?.parse()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    let start = ends + 4;
    Ok(Some(Head {
        status,
        start,
        end: start + length.ok_or("an answer without its length")??,
    }))
}

/// The bytes of a POST of this JSON.
pub fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The bytes of a GET.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into_bytes()
}

/// Lets this many clients send one request after the other for a while; each request is made from
/// the client's number and its own. Every response must have this status.
pub async fn run<F>(
    address: SocketAddr,
    clients: usize,
    lasting: Duration,
    status: u16,
    request: F,
) -> Result<Seen, Failed>
where
    F: Fn(usize, usize) -> Vec<u8> + Clone + Send + 'static,
{
    let began = Instant::now();
    send_while(address, clients, status, request, move |_| {
        began.elapsed() < lasting
    })
    .await
}

/// The same, with a fixed number of requests per client.
pub async fn times<F>(
    address: SocketAddr,
    clients: usize,
    times: usize,
    status: u16,
    request: F,
) -> Result<Seen, Failed>
where
    F: Fn(usize, usize) -> Vec<u8> + Clone + Send + 'static,
{
    send_while(address, clients, status, request, move |sent| sent < times).await
}

async fn send_while<F, W>(
    address: SocketAddr,
    clients: usize,
    status: u16,
    request: F,
    more: W,
) -> Result<Seen, Failed>
where
    F: Fn(usize, usize) -> Vec<u8> + Clone + Send + 'static,
    W: Fn(usize) -> bool + Clone + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for client in 0..clients {
        let (request, more) = (request.clone(), more.clone());
        tasks.spawn(async move {
            let mut connection = Client::connect(address).await?;
            let mut latencies_ms = Vec::new();
            while more(latencies_ms.len()) {
                let bytes = request(client, latencies_ms.len());
                let sent = Instant::now();
                let answer = connection.send(&bytes).await?;
                latencies_ms.push(sent.elapsed().as_secs_f64() * 1000.0);
                if answer.status != status {
                    return Err(format!(
                        "the service answered {}: {}",
                        answer.status,
                        String::from_utf8_lossy(answer.body)
                    )
                    .into());
                }
            }
            Ok::<_, Failed>(latencies_ms)
        });
    }
    let mut latencies_ms = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies_ms.extend(done??);
    }
    let took = began.elapsed();
    latencies_ms.sort_by(f64::total_cmp);
    Ok(Seen {
        answered: latencies_ms.len(),
        took,
        latencies_ms,
    })
}
