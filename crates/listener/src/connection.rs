//! Drives one connection: hyper speaks HTTP/1.1 on it, and the deadlines of its state close it.
//!
//! hyper keeps two buffers of 8 KiB per connection. A connection that is idle for a while is taken
//! from hyper, and waits with nothing but its socket until the next request arrives.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tableferry_telemetry::reasons::CutReason;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::body::{RequestBody, ResponseBody};
use super::connection_state::{ConnectionState, Due, OpenConnection};
use super::limits::ConnectionLimits;
use super::slots::OverCapacity;
use super::wire::Wire;

#[derive(Debug, Clone)]
pub struct Connection {
    /// The client's address; behind a proxy, what the proxy says.
    pub peer: SocketAddr,
    pub router: Router,
    pub limits: Arc<ConnectionLimits>,
    /// Cancelled when connections are to close after their current request.
    pub closing: CancellationToken,
}

/// Why hyper stopped driving the connection.
enum Ended {
    Closed,
    /// It has been idle for [`ConnectionLimits::rest_after`].
    Resting,
}

impl Connection {
    /// Serves requests until the connection ends.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        open: &OpenConnection,
    ) {
        let mut wire = Wire::new(stream, Arc::clone(open));
        while self.wait_for_request(&mut wire, open).await {
            // Boxed, so that its memory is freed while the connection is idle.
            match Box::pin(self.drive(wire, open)).await {
                Some(resting) => wire = resting,
                None => return,
            }
        }
    }

    /// Waits for the first byte of a request. Returns false if the connection is to be closed.
    async fn wait_for_request<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        state: &ConnectionState,
    ) -> bool {
        if wire.has_unread() {
            return true;
        }
        let mut first = [0; 1];
        loop {
            let (due, next) = state.check(&self.limits, Instant::now());
            if let Some(Due::Close(reason)) = due {
                reason.into_iter().for_each(CutReason::count);
                return false;
            }
            tokio::select! {
                read = wire.read(&mut first) => match read {
                    Ok(1..) => break,
                    Ok(0) | Err(_) => return false,
                },
                () = self.closing.cancelled() => return false,
                () = state.slot_needed() => return false,
                () = sleep_until(next) => {}
            }
        }
        wire.unread(Bytes::copy_from_slice(&first));
        true
    }

    /// Lets hyper drive the connection. Returns it when it has been idle for a while.
    async fn drive<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        wire: Wire<S>,
        open: &OpenConnection,
    ) -> Option<Wire<S>> {
        let state: &Arc<ConnectionState> = open;
        let router = TowerToHyperService::new(self.router.clone());
        let (peer, over_capacity) = (self.peer, open.is_over_capacity());
        let service = service_fn(|request: Request<Incoming>| {
            state.head_complete();
            let mut request = request.map(|body| RequestBody::new(body, Arc::clone(state)));
            request.extensions_mut().insert(ConnectInfo(peer));
            if over_capacity {
                request.extensions_mut().insert(OverCapacity);
            }
            let response = router.call(request);
            async move {
                let mut response: Response<_> = response.await?;
                if over_capacity {
                    response
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, Arc::clone(state))))
            }
        });
        let mut http = http1::Builder::new()
            .header_read_timeout(None) // the state has the deadlines: hyper would give an idle connection no more time than a head
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(self.limits.head_bytes)
            .serve_connection(TokioIo::new(wire), service);
        let mut timer = pin!(sleep_until(state.check(&self.limits, Instant::now()).1));
        let mut closing = pin!(self.closing.cancelled());
        let mut slot_needed = pin!(state.slot_needed());
        let mut is_closing = false;
        let ended = poll_fn(|cx| {
            if !is_closing && closing.as_mut().poll(cx).is_ready() {
                is_closing = true;
                Pin::new(&mut http).graceful_shutdown();
            }
            if let Poll::Ready(done) = Pin::new(&mut http).poll(cx) {
                if done.is_err_and(|error| error.is_parse_too_large()) {
                    CutReason::HeadSize.count();
                }
                return Poll::Ready(Ended::Closed);
            }
            // A request may have arrived meanwhile, and then the connection is not idle.
            if slot_needed.as_mut().poll(cx).is_ready() {
                if state.is_idle() {
                    return Poll::Ready(Ended::Closed);
                }
                slot_needed.set(state.slot_needed());
            }
            self.poll_deadlines(timer.as_mut(), state, cx)
        });
        match ended.await {
            Ended::Closed => None,
            Ended::Resting => {
                let parts = http.into_parts();
                let mut wire = parts.io.into_inner();
                if !parts.read_buf.is_empty() {
                    // The beginning of the next request, which arrived together with the last one.
                    state.bytes_received();
                    wire.unread(parts.read_buf);
                }
                Some(wire)
            }
        }
    }

    fn poll_deadlines(
        &self,
        mut timer: Pin<&mut Sleep>,
        state: &ConnectionState,
        cx: &mut Context<'_>,
    ) -> Poll<Ended> {
        loop {
            let (due, next) = state.check(&self.limits, Instant::now());
            match due {
                Some(Due::Rest) => return Poll::Ready(Ended::Resting),
                Some(Due::Close(reason)) => {
                    reason.into_iter().for_each(CutReason::count);
                    return Poll::Ready(Ended::Closed);
                }
                // Only moved forward: a later deadline is seen when the timer fires too early.
                None if next < timer.deadline() || timer.is_elapsed() => timer.as_mut().reset(next),
                None => {}
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
