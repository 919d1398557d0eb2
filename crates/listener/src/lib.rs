//! The service's listener: accepts connections and limits what each may cost before it has sent a
//! complete request. README.md says against what it defends, and why `axum::serve` is not enough.
//!
//! It speaks HTTP/1.1 (hyper), TLS (rustls) and the PROXY protocol, and knows nothing about the
//! routes. [`ConnectionLimits`] holds the limits, [`slots`] decides which connection is closed when
//! there are too many, [`connection`] drives one connection, and [`tls`] holds the certificate.

mod body;
mod connection;
mod connection_state;
mod limits;
mod open_files;
mod proxies;
mod proxy_header;
mod slots;
mod tls;
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
use connection_state::OpenConnection;
use slots::ConnectionSlots;
use tableferry_telemetry::error_chain::in_words;
use tableferry_telemetry::log_limit::LogLimit;
use tableferry_telemetry::metrics_catalog::HTTP_CONNECTIONS;
use tableferry_telemetry::reasons::CutReason;

pub use limits::ConnectionLimits;
pub use open_files::connections_within_open_files;
pub use proxies::{Proxies, ProxiesError};
pub use slots::OverCapacity;
pub use tls::{Tls, TlsError, TlsFiles};

/// Limits the log line about proxies that send no header.
static NO_HEADER: LogLimit = LogLimit::new();

/// The pause after the system failed to accept a connection.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub struct Listener {
    limits: Arc<ConnectionLimits>,
    tls: Option<Arc<Tls>>,
    proxies: Arc<Proxies>,
    slots: Arc<ConnectionSlots>,
}

impl Listener {
    /// A listener that speaks TLS if there is a certificate.
    #[must_use]
    pub fn new(limits: Arc<ConnectionLimits>, tls: Option<Arc<Tls>>) -> Self {
        let slots = ConnectionSlots::new(limits.connections);
        Self {
            limits,
            tls,
            proxies: Arc::default(),
            slots,
        }
    }

    /// The same listener behind these proxies.
    #[must_use]
    pub fn behind(self, proxies: Arc<Proxies>) -> Self {
        Self { proxies, ..self }
    }

    /// Accepts connections until `stopped`. Then idle connections are closed, current requests are
    /// finished, and it returns when no connection is left.
    pub async fn serve(
        self,
        listener: TcpListener,
        router: Router,
        stopped: impl Future<Output = ()> + Send,
    ) {
        let closing = CancellationToken::new();
        if let Some(tls) = &self.tls {
            tokio::spawn(Arc::clone(tls).watch(self.limits.tls_check_every, closing.clone()));
        }
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stopped => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.accept(stream, peer, &router, &closing),
                // The client closed it before it was accepted.
                Err(error) if is_of_one_connection(&error) => {}
                // No file descriptor or no memory: an idle connection is closed, and new ones wait
                // in the system's queue.
                Err(error) => {
                    tracing::error!(
                        error.message = in_words(&error),
                        "connections cannot be accepted at the moment"
                    );
                    self.slots.close_longest_idle();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(listener);
        closing.cancel();
        self.slots.all_released().await;
    }

    fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        router: &Router,
        closing: &CancellationToken,
    ) {
        let Some(slot) = self.slots.take() else {
            CutReason::ConnectionsFull.count();
            return;
        };
        let open = OpenConnection::new(slot);
        set_socket_options(&stream, &self.limits);
        let connection = Connection {
            peer,
            router: router.clone(),
            limits: Arc::clone(&self.limits),
            closing: closing.clone(),
        };
        match (&self.tls, self.proxies.expect_header(peer.ip())) {
            (None, false) => drop(tokio::spawn(serve_plain(connection, stream, open))),
            (Some(tls), false) => drop(tokio::spawn(serve_tls(
                connection,
                stream,
                open,
                Arc::clone(tls),
            ))),
            (tls, true) => drop(tokio::spawn(serve_behind_proxy(
                connection,
                stream,
                open,
                tls.clone(),
            ))),
        }
    }
}

async fn serve_plain(connection: Connection, stream: TcpStream, open: OpenConnection) {
    let _counted = Counted::new();
    connection.serve(stream, &open).await;
}

/// Reads the client's address from the proxy, then serves the connection like any other.
async fn serve_behind_proxy(
    connection: Connection,
    mut stream: TcpStream,
    open: OpenConnection,
    tls: Option<Arc<Tls>>,
) {
    let header = tokio::select! {
        header = tokio::time::timeout(connection.limits.head_time, proxy_header::read(&mut stream)) => header,
        () = connection.closing.cancelled() => return,
        () = open.slot_needed() => return,
    };
    let peer = match header {
        Ok(Ok(caller)) => caller.unwrap_or(connection.peer),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            if let Some(more) = NO_HEADER.allow(Instant::now()) {
                let said =
                    "a connection from a trusted proxy does not begin with a PROXY protocol header";
                tracing::warn!(client.address = %connection.peer.ip(), log.suppressed = more, "{said}");
            }
            return CutReason::ProxyHeader.count();
        }
        // Closed before the header was complete, as port checks do.
        Ok(Err(_)) => return,
        Err(_) => return CutReason::HeadTime.count(),
    };
    let connection = Connection { peer, ..connection };
    match tls {
        None => Box::pin(serve_plain(connection, stream, open)).await,
        Some(tls) => Box::pin(serve_tls(connection, stream, open, tls)).await,
    }
}

async fn serve_tls(connection: Connection, stream: TcpStream, open: OpenConnection, tls: Arc<Tls>) {
    let _counted = Counted::new();
    // Boxed, so that its memory is freed after the handshake.
    let handshake = Box::pin(tls.accept(stream));
    let handshake = tokio::select! {
        done = tokio::time::timeout(connection.limits.handshake_time, handshake) => done,
        () = connection.closing.cancelled() => return,
        () = open.slot_needed() => return,
    };
    match handshake {
        Ok(Ok(stream)) => connection.serve(stream, &open).await,
        Ok(Err(_)) => CutReason::TlsHandshake.count(),
        Err(_) => CutReason::TlsHandshakeTime.count(),
    }
}

/// Failures are ignored: a client can be served without these options.
fn set_socket_options(stream: &TcpStream, limits: &ConnectionLimits) {
    let _ = stream.set_nodelay(true);
    // A client that has disappeared acknowledges nothing, but what it is sent fits into the
    // system's buffer for a long time. So the system must give up; later than our own deadline,
    // which is counted.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limits.write_time * 2));
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// A connection that the gauge counts as open, until dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!(HTTP_CONNECTIONS).increment(1.0);
        Self
    }
}

impl Drop for Counted {
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

    /// A listener, a client that has connected and sent this request, and what stops the listener.
    async fn served(
        limits: ConnectionLimits,
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
        let service = Listener::new(Arc::new(limits), None);
        let serving = tokio::spawn(async move {
            service
                .serve(listener, router, async { drop(stopped.await) })
                .await
        });
        client.write_all(request.as_bytes()).await.unwrap();
        (serving, client, stop)
    }

    #[tokio::test]
    async fn a_live_stream_that_nobody_reads_is_cut() {
        let limits = ConnectionLimits {
            write_time: Duration::from_millis(50),
            ..ConnectionLimits::default()
        };
        let (serving, mut client, stop) =
            served(limits, "GET /endless HTTP/1.1\r\nhost: t\r\n\r\n").await;
        let mut head = [0; 12];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        // The request is not complete, so the stop would wait for it if it were not cut.
        stop.send(()).unwrap();
        timeout(PATIENCE, serving)
            .await
            .expect("it is cut")
            .unwrap();
    }

    #[tokio::test]
    async fn a_stop_lets_a_request_end_and_closes_what_is_idle() {
        for rest_after in [Duration::ZERO, Duration::from_secs(3600)] {
            let limits = ConnectionLimits {
                rest_after,
                ..ConnectionLimits::default()
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
