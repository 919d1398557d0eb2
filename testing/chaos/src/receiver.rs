//! Webhook receivers: they record what they get, and sometimes fail, are slow, or are down.
//!
//! One receives callbacks and misbehaves at random, per webhook. Each endpoint has its own
//! receiver, with its own runtime and port, so that it can be killed like a process; the nemesis
//! controls these.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::runtime::Runtime;

use crate::trouble::ReceiverTrouble;
use crate::{Failed, now};

/// The secret for callbacks without their own secret: a setting of the replicas.
pub const SERVICE_SECRET: &str = "whsec_dGFibGVmZXJyeSBjaGFvcywgdGhlIHNlcnZpY2U=";
/// Sent with some requests as `callback_secret`.
pub const REQUEST_SECRET: &str = "whsec_dGFibGVmZXJyeSBjaGFvcywgb25lIHJlcXVlc3Q=";
/// The last path segment of callbacks that are signed with [`REQUEST_SECRET`].
pub const OWN: &str = "own";

/// One received webhook.
#[derive(Debug, Clone)]
pub struct Received {
    pub at: SystemTime,
    pub path: String,
    /// `webhook-id`.
    pub webhook_id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signatures: String,
    /// The exact bytes.
    pub body: Bytes,
    /// Whether it was answered with 2xx while the client was still waiting.
    pub was_answered: bool,
}

/// How a receiver behaves.
#[derive(Debug)]
enum Manner {
    /// Some first attempts fail.
    Random(Box<Mutex<RandomTroubles>>),
    /// As the nemesis decides.
    Controlled(Mutex<Option<ReceiverTrouble>>),
}

#[derive(Debug)]
struct RandomTroubles {
    seen: HashSet<String>,
    random: fastrand::Rng,
}

/// Received webhooks, and how they are answered.
#[derive(Debug)]
struct Inbox {
    received: Mutex<Vec<Received>>,
    manner: Manner,
    behaves: AtomicBool,
}

/// A response; `None` means never.
type Answer = Option<(Duration, StatusCode, Option<u64>)>;

/// The response of a healthy receiver.
const HEALTHY: Answer = Some((Duration::ZERO, StatusCode::NO_CONTENT, None));

impl Inbox {
    fn answer(&self, webhook_id: &str) -> Answer {
        if self.behaves.load(Ordering::Relaxed) {
            return HEALTHY;
        }
        match &self.manner {
            Manner::Random(troubles) => troubles
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .answer(webhook_id),
            Manner::Controlled(trouble) => {
                match *trouble.lock().unwrap_or_else(PoisonError::into_inner) {
                    // While it restarts, it records no new webhooks.
                    None | Some(ReceiverTrouble::Restart) => HEALTHY,
                    Some(ReceiverTrouble::Fail) => {
                        Some((Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR, None))
                    }
                    Some(ReceiverTrouble::Hang) => None,
                    Some(ReceiverTrouble::Slow { ms }) => {
                        Some((Duration::from_millis(ms), StatusCode::OK, None))
                    }
                    Some(ReceiverTrouble::Throttle { retry_after_s }) => Some((
                        Duration::ZERO,
                        StatusCode::TOO_MANY_REQUESTS,
                        Some(retry_after_s),
                    )),
                    Some(ReceiverTrouble::Unavailable { retry_after_s }) => Some((
                        Duration::ZERO,
                        StatusCode::SERVICE_UNAVAILABLE,
                        Some(retry_after_s),
                    )),
                }
            }
        }
    }
}

impl RandomTroubles {
    /// Only the first attempt can fail: the delays after it are minutes and hours.
    fn answer(&mut self, webhook_id: &str) -> Answer {
        if !self.seen.insert(webhook_id.to_owned()) {
            return HEALTHY;
        }
        match self.random.u32(..20) {
            0 | 1 => Some((Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR, None)),
            2 => Some((Duration::ZERO, StatusCode::BAD_GATEWAY, None)),
            3 => Some((
                Duration::from_millis(self.random.u64(1_000..6_000)),
                StatusCode::OK,
                None,
            )),
            // Longer than the service's timeout.
            4 => Some((Duration::from_secs(16), StatusCode::OK, None)),
            _ => HEALTHY,
        }
    }
}

#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    /// Its runtime; `None` while it is down.
    runtime: Mutex<Option<Runtime>>,
}

impl Receiver {
    /// The receiver of callbacks.
    pub fn random(address: SocketAddr, seed: u64) -> Result<Self, Failed> {
        let troubles = RandomTroubles {
            seen: HashSet::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        Self::start(address, Manner::Random(Box::new(Mutex::new(troubles))))
    }

    /// The receiver of an endpoint.
    pub fn controlled(address: SocketAddr) -> Result<Self, Failed> {
        Self::start(address, Manner::Controlled(Mutex::new(None)))
    }

    fn start(address: SocketAddr, manner: Manner) -> Result<Self, Failed> {
        let inbox = Arc::new(Inbox {
            received: Mutex::default(),
            manner,
            behaves: AtomicBool::new(false),
        });
        let receiver = Self {
            address,
            inbox,
            runtime: Mutex::new(None),
        };
        receiver.come_back()?;
        Ok(receiver)
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything received so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.inbox
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether it received this export's webhook and answered with 2xx.
    #[must_use]
    pub fn has_received(&self, export_id: &str) -> bool {
        let is_of_it = |one: &Received| {
            one.was_answered && String::from_utf8_lossy(&one.body).contains(export_id)
        };
        self.inbox
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(is_of_it)
    }

    /// Starts a trouble.
    pub fn make(&self, trouble: ReceiverTrouble) -> Result<(), Failed> {
        let Manner::Controlled(controlled) = &self.inbox.manner else {
            return Err("this receiver misbehaves at random".into());
        };
        *controlled.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        if trouble == ReceiverTrouble::Restart {
            self.go_away();
        }
        Ok(())
    }

    /// Ends its trouble. Responses that hang by then keep hanging.
    pub fn heal(&self) -> Result<(), Failed> {
        if let Manner::Controlled(controlled) = &self.inbox.manner {
            *controlled.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.come_back()
    }

    /// From now on every webhook is answered immediately with 2xx. The receiver restarts, so that
    /// no response hangs any more.
    pub fn behave(&self) -> Result<(), Failed> {
        self.inbox.behaves.store(true, Ordering::Relaxed);
        self.go_away();
        self.come_back()
    }

    /// Every connection breaks and the port closes.
    fn go_away(&self) {
        if let Some(runtime) = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            // Not dropped: dropping would block, which is not allowed inside another runtime.
            runtime.shutdown_background();
        }
    }

    fn come_back(&self) -> Result<(), Failed> {
        let mut running = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_some() {
            return Ok(());
        }
        let listener = listen(self.address)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let router = Router::new()
            .fallback(post(receive))
            .with_state(Arc::clone(&self.inbox));
        runtime.spawn(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => axum::serve(listener, router).await,
                Err(error) => Err(error),
            }
        });
        *running = Some(runtime);
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.go_away();
    }
}

/// Listens again on a port that was closed a moment ago.
fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let give_up = std::time::Instant::now() + Duration::from_secs(2);
    loop {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => return listener.set_nonblocking(true).map(|()| listener),
            Err(error) if std::time::Instant::now() >= give_up => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

async fn receive(
    State(inbox): State<Arc<Inbox>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let webhook_id = header("webhook-id");
    let answer = inbox.answer(&webhook_id);
    let received = Received {
        at: now(),
        path: uri.path().to_owned(),
        webhook_id,
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature"),
        body,
        was_answered: false,
    };
    let place = {
        let mut all = inbox
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.push(received);
        all.len() - 1
    };
    let Some((delay, status, retry_after_s)) = answer else {
        return std::future::pending().await;
    };
    // A client that gave up has closed the connection, and this future is dropped.
    tokio::time::sleep(delay).await;
    if status.is_success() {
        inbox
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)[place]
            .was_answered = true;
    }
    let mut response = status.into_response();
    if let Some(seconds) = retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
