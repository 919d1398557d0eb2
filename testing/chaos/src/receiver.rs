//! Webhook receivers: they keep what they get, and sometimes fail, are slow, or are gone.
//!
//! One hears of callbacks and is troubled by lot, webhook by webhook. Each endpoint has one of its
//! own, with a runtime and a port of its own, so that it can be ended as a process can; the nemesis
//! troubles these.

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

/// Signs callbacks that bring no secret: a setting of the replicas.
pub const SERVICE_SECRET: &str = "whsec_dGFibGVmZXJyeSBjaGFvcywgdGhlIHNlcnZpY2U=";
/// Comes with some requests as `callback_secret`.
pub const REQUEST_SECRET: &str = "whsec_dGFibGVmZXJyeSBjaGFvcywgb25lIHJlcXVlc3Q=";
/// The last part of the path of callbacks that are signed with [`REQUEST_SECRET`].
pub const OWN: &str = "own";

/// One webhook as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// When.
    pub at: SystemTime,
    /// The path it came to.
    pub path: String,
    /// `webhook-id`.
    pub webhook_id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signatures: String,
    /// The exact bytes.
    pub body: Bytes,
    /// Whether it was answered with 2xx, by somebody who was still waiting.
    pub was_answered: bool,
}

/// How a receiver behaves.
#[derive(Debug)]
enum Manner {
    /// Some first attempts go wrong.
    ByLot(Box<Mutex<Lots>>),
    /// As the nemesis says.
    Told(Mutex<Option<ReceiverTrouble>>),
}

#[derive(Debug)]
struct Lots {
    seen: HashSet<String>,
    random: fastrand::Rng,
}

/// What came, and how it is answered.
#[derive(Debug)]
struct Inbox {
    received: Mutex<Vec<Received>>,
    manner: Manner,
    behaves: AtomicBool,
}

/// An answer; `None` never comes.
type Answer = Option<(Duration, StatusCode, Option<u64>)>;

/// What a receiver that is well answers.
const WELL: Answer = Some((Duration::ZERO, StatusCode::NO_CONTENT, None));

impl Inbox {
    fn answer(&self, webhook_id: &str) -> Answer {
        if self.behaves.load(Ordering::Relaxed) {
            return WELL;
        }
        match &self.manner {
            Manner::ByLot(lots) => lots
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .answer(webhook_id),
            Manner::Told(trouble) => {
                match *trouble.lock().unwrap_or_else(PoisonError::into_inner) {
                    // While it restarts, nothing comes in but what came before.
                    None | Some(ReceiverTrouble::Restart) => WELL,
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

impl Lots {
    /// Only the first attempt can go wrong: the delays after it are minutes and hours.
    fn answer(&mut self, webhook_id: &str) -> Answer {
        if !self.seen.insert(webhook_id.to_owned()) {
            return WELL;
        }
        match self.random.u32(..20) {
            0 | 1 => Some((Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR, None)),
            2 => Some((Duration::ZERO, StatusCode::BAD_GATEWAY, None)),
            3 => Some((
                Duration::from_millis(self.random.u64(1_000..6_000)),
                StatusCode::OK,
                None,
            )),
            // Longer than the service waits.
            4 => Some((Duration::from_secs(16), StatusCode::OK, None)),
            _ => WELL,
        }
    }
}

/// A receiver.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    /// What it runs on; `None` while it is away.
    runtime: Mutex<Option<Runtime>>,
}

impl Receiver {
    /// The one for callbacks.
    ///
    /// # Errors
    /// The port is taken.
    pub fn by_lot(address: SocketAddr, seed: u64) -> Result<Self, Failed> {
        let lots = Lots {
            seen: HashSet::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        Self::start(address, Manner::ByLot(Box::new(Mutex::new(lots))))
    }

    /// One for an endpoint.
    ///
    /// # Errors
    /// The port is taken.
    pub fn told(address: SocketAddr) -> Result<Self, Failed> {
        Self::start(address, Manner::Told(Mutex::new(None)))
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

    /// Everything that came so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.inbox
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether it was told of this export, and answered well.
    #[must_use]
    pub fn has_told_of(&self, export_id: &str) -> bool {
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

    /// Begins a trouble.
    ///
    /// # Errors
    /// Never for a receiver that the nemesis troubles.
    pub fn make(&self, trouble: ReceiverTrouble) -> Result<(), Failed> {
        let Manner::Told(told) = &self.inbox.manner else {
            return Err("this receiver is troubled by lot".into());
        };
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        if trouble == ReceiverTrouble::Restart {
            self.go_away();
        }
        Ok(())
    }

    /// Ends its trouble. What hangs by then is left hanging.
    ///
    /// # Errors
    /// Its port was taken while it was away.
    pub fn heal(&self) -> Result<(), Failed> {
        if let Manner::Told(told) = &self.inbox.manner {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.come_back()
    }

    /// From now on every webhook is answered at once and well. It restarts, so that nothing hangs
    /// any more.
    ///
    /// # Errors
    /// Its port was taken in the meantime.
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
            // Not dropped: that would wait, which is forbidden where other tasks run.
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
    // Who has given up by then has closed the connection, and this is dropped.
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
