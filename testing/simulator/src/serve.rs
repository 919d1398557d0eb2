//! Serves HTTP/1 on a listener until stopped. A service can refuse to respond; its connection is
//! then closed.

use std::error::Error;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A response extension: do not send the response, close the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutConnection;

/// How long calls in progress may take once the simulator stops.
const LAST_CALLS: Duration = Duration::from_millis(500);

pub(crate) async fn serve<S, B>(listener: TcpListener, service: S, stop: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(trouble) => {
                tracing::warn!(error = %trouble, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        let stop = stop.clone();
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::time::timeout(LAST_CALLS, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(broken) = ended {
                tracing::debug!(error = %broken, "a connection ended early");
            }
        });
    }
    while connections.join_next().await.is_some() {}
}
