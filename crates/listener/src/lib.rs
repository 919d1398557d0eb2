//! The front door: our own listener, which bounds what a connection may cost before a request is
//! whole.
//!
//! It knows HTTP/1.1 (by hyper) and TLS (by rustls), and nothing of what is asked for. [`Limits`]
//! says what is allowed, [`places`] who gives way when there are too many, [`connection`] drives
//! one connection, and [`tls`] keeps the certificate. What bounds a request as a whole, and answers
//! with a problem, is `src/api/limits.rs`.

mod connection;
mod limits;
mod places;
mod proxies;
mod proxy_header;
mod spoken;
mod tls;
mod visit;
mod wire;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use connection::Connection;
use places::{Place, Places};
use tableferry_telemetry::error_chain::in_words;
use tableferry_telemetry::log_limit::LogLimit;
use tableferry_telemetry::metrics_catalog::{CUT, HTTP_CONNECTIONS};

pub use limits::Limits;
pub use proxies::{Proxies, ProxiesError};
pub use tls::{Tls, TlsError, TlsFiles};

/// Lines about proxies that do not say who is behind them.
static NO_HEADER: LogLimit = LogLimit::new();

/// How long the listener pauses when the system gives it no connection although one is there.
const PAUSE: Duration = Duration::from_millis(250);

/// Marks requests of a connection above the limit: only what must always be answered is, everything
/// else is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded;

/// Counts what was cut, refused or sent away, by its reason.
pub fn count_cut(reason: &'static str) {
    metrics::counter!(CUT, "reason" => reason).increment(1);
}

/// The listener with its limits.
#[derive(Debug)]
pub struct Front {
    limits: Arc<Limits>,
    tls: Option<Arc<Tls>>,
    proxies: Arc<Proxies>,
    places: Arc<Places>,
}

impl Front {
    /// A front door with these limits, which speaks TLS if there is a certificate.
    #[must_use]
    pub fn new(limits: Arc<Limits>, tls: Option<Arc<Tls>>) -> Self {
        let places = Places::new(limits.connections);
        Self {
            limits,
            tls,
            proxies: Arc::default(),
            places,
        }
    }

    /// The same, behind these proxies.
    #[must_use]
    pub fn behind(self, proxies: Arc<Proxies>) -> Self {
        Self { proxies, ..self }
    }

    /// Takes connections until `stopped`. Then requests in hand are finished, and what is idle is
    /// closed; it returns when nobody is left.
    pub async fn serve(
        self,
        listener: TcpListener,
        router: Router,
        stopped: impl Future<Output = ()> + Send,
    ) {
        let closing = CancellationToken::new();
        if let Some(tls) = &self.tls {
            tokio::spawn(Arc::clone(tls).watch(self.limits.tls_look_every, closing.clone()));
        }
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stopped => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer, &router, &closing),
                // It was gone before it was taken.
                Err(error) if is_of_the_connection(&error) => {}
                // No file descriptor, or no memory: whoever is idle makes room, and the rest waits
                // in the system's queue.
                Err(error) => {
                    tracing::error!(
                        error.message = in_words(&error),
                        "no connection can be taken at the moment"
                    );
                    self.places.let_one_go();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(listener);
        closing.cancel();
        self.places.all_left().await;
    }

    fn take(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        router: &Router,
        closing: &CancellationToken,
    ) {
        let Some(place) = self.places.enter() else {
            count_cut("connections_full");
            return;
        };
        prepare(&stream, &self.limits);
        let connection = Connection {
            peer,
            router: router.clone(),
            limits: Arc::clone(&self.limits),
            closing: closing.clone(),
        };
        match (&self.tls, self.proxies.expect_header(peer.ip())) {
            (None, false) => drop(tokio::spawn(serve_plain(connection, stream, place))),
            (Some(tls), false) => drop(tokio::spawn(serve_tls(
                connection,
                stream,
                place,
                Arc::clone(tls),
            ))),
            (tls, true) => drop(tokio::spawn(serve_behind_proxy(
                connection,
                stream,
                place,
                tls.clone(),
            ))),
        }
    }
}

async fn serve_plain(connection: Connection, stream: TcpStream, place: Place) {
    let _open = Open::count();
    connection.serve(stream, &place).await;
}

/// Hears from the proxy who is behind it, then goes on as with everybody.
async fn serve_behind_proxy(
    connection: Connection,
    mut stream: TcpStream,
    place: Place,
    tls: Option<Arc<Tls>>,
) {
    let header = tokio::select! {
        header = tokio::time::timeout(connection.limits.head_time, proxy_header::read(&mut stream)) => header,
        () = connection.closing.cancelled() => return,
        () = place.visit().asked_to_leave() => return,
    };
    let peer = match header {
        Ok(Ok(caller)) => caller.unwrap_or(connection.peer),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            if let Some(more) = NO_HEADER.allow(Instant::now()) {
                let said = "a connection from a trusted proxy does not begin with a header of the PROXY protocol";
                tracing::warn!(client.address = %connection.peer.ip(), log.suppressed = more, "{said}");
            }
            return count_cut("proxy_header");
        }
        // Gone before it said anything whole, as those do that only look whether the port is open.
        Ok(Err(_)) => return,
        Err(_) => return count_cut("head_time"),
    };
    let connection = Connection { peer, ..connection };
    match tls {
        None => Box::pin(serve_plain(connection, stream, place)).await,
        Some(tls) => Box::pin(serve_tls(connection, stream, place, tls)).await,
    }
}

async fn serve_tls(connection: Connection, stream: TcpStream, place: Place, tls: Arc<Tls>) {
    let _open = Open::count();
    // Boxed, so that no connection holds room for a handshake that is over.
    let handshake = Box::pin(tls.accept(stream));
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(connection.limits.handshake_time, handshake) => shaken,
        () = connection.closing.cancelled() => return,
        () = place.visit().asked_to_leave() => return,
    };
    match shaken {
        Ok(Ok(stream)) => connection.serve(stream, &place).await,
        Ok(Err(_)) => count_cut("tls_handshake"),
        Err(_) => count_cut("tls_handshake_time"),
    }
}

/// Neither is needed for an answer, so a system that knows them not is no reason to refuse a
/// client.
fn prepare(stream: &TcpStream, limits: &Limits) {
    let _ = stream.set_nodelay(true);
    // A client that is gone without a word acknowledges nothing. What it is sent fits into the
    // system's buffer for long, so it is the system that must give up; after our own time, which is
    // counted.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limits.write_time * 2));
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// A connection that is counted, until this is dropped.
struct Open;

impl Open {
    fn count() -> Self {
        metrics::gauge!(HTTP_CONNECTIONS).increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!(HTTP_CONNECTIONS).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::{Body, Bytes};
    use axum::extract::ConnectInfo;
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn endless() -> Body {
        Body::from_stream(stream::repeat_with(|| {
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 65_536]))
        }))
    }

    async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
        peer.to_string()
    }

    /// A front door, a client that has connected and sent this, and what stops it.
    async fn served(
        limits: Limits,
        request: &str,
    ) -> (tokio::task::JoinHandle<()>, TcpStream, oneshot::Sender<()>) {
        let router = Router::new()
            .route("/endless", get(endless))
            .route("/peer", get(peer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let front = Front::new(Arc::new(limits), None);
        let serving = tokio::spawn(async move {
            front
                .serve(listener, router, async { drop(stopped.await) })
                .await
        });
        client.write_all(request.as_bytes()).await.unwrap();
        (serving, client, stop)
    }

    #[tokio::test]
    async fn a_live_stream_that_nobody_reads_is_cut() {
        let limits = Limits {
            write_time: Duration::from_millis(50),
            ..Limits::default()
        };
        let (serving, mut client, stop) =
            served(limits, "GET /endless HTTP/1.1\r\nhost: t\r\n\r\n").await;
        let mut head = [0; 12];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        // It would be waited for, since it is in hand, if it were not cut.
        stop.send(()).unwrap();
        timeout(PATIENCE, serving)
            .await
            .expect("it is cut")
            .unwrap();
    }

    #[tokio::test]
    async fn a_stop_lets_a_request_end_and_closes_what_is_idle() {
        for rest_after in [Duration::ZERO, Duration::from_secs(3600)] {
            let limits = Limits {
                rest_after,
                ..Limits::default()
            };
            let (serving, mut client, stop) =
                served(limits, "GET /peer HTTP/1.1\r\nhost: t\r\n\r\n").await;
            let own = client.local_addr().unwrap().to_string();
            let mut answer = Vec::new();
            while !answer.ends_with(own.as_bytes()) {
                assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
            }
            stop.send(()).unwrap();
            timeout(PATIENCE, serving)
                .await
                .expect("nobody is left")
                .unwrap();
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        }
    }
}
