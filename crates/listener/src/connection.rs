//! One connection: hyper speaks HTTP/1.1 on it, and the clock of its visit ends it.
//!
//! hyper keeps two buffers of 8 KiB for each connection. One that is idle for a while is taken from
//! hyper, and waits with nothing but its socket until something comes.

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
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use super::places::Place;
use super::spoken::{Answered, Asked};
use super::visit::{Due, Visit};
use super::wire::Wire;
use super::{Crowded, count_cut};

/// What a connection is served with.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// What answers requests.
    pub router: Router,
    /// How long it may do what.
    pub limits: Arc<Limits>,
    /// Cancelled when connections are to end after the request in hand.
    pub closing: CancellationToken,
}

/// How a time with hyper ended.
enum Ended {
    /// The connection is over.
    Over,
    /// It is idle for some time.
    Rests,
}

impl Connection {
    /// Serves requests until the connection ends.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        place: &Place,
    ) {
        let mut wire = Wire::new(stream, Arc::clone(place.visit()));
        while self.something_comes(&mut wire, place.visit()).await {
            // Boxed, so that nothing of it is kept while the connection is idle.
            match Box::pin(self.speak(wire, place)).await {
                Some(rested) => wire = rested,
                None => return,
            }
        }
    }

    /// Waits for the first byte of a request. Whether one came.
    async fn something_comes<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        visit: &Visit,
    ) -> bool {
        if wire.has_unread() {
            return true;
        }
        let mut first = [0; 1];
        loop {
            let (due, next) = visit.look(&self.limits, Instant::now());
            if let Some(Due::Close(reason)) = due {
                reason.into_iter().for_each(count_cut);
                return false;
            }
            tokio::select! {
                read = wire.read(&mut first) => match read {
                    Ok(1..) => break,
                    Ok(0) | Err(_) => return false,
                },
                () = self.closing.cancelled() => return false,
                () = visit.asked_to_leave() => return false,
                () = sleep_until(next) => {}
            }
        }
        wire.unread(Bytes::copy_from_slice(&first));
        true
    }

    /// Lets hyper speak. Gives the connection back when it is idle for some time.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        wire: Wire<S>,
        place: &Place,
    ) -> Option<Wire<S>> {
        let visit = place.visit();
        let router = TowerToHyperService::new(self.router.clone());
        let (peer, crowded) = (self.peer, place.crowded);
        let service = service_fn(|request: Request<Incoming>| {
            visit.begins_answer();
            let mut request = request.map(|body| Asked::new(body, Arc::clone(visit)));
            request.extensions_mut().insert(ConnectInfo(peer));
            if crowded {
                request.extensions_mut().insert(Crowded);
            }
            let answer = router.call(request);
            async move {
                let mut answer: Response<_> = answer.await?;
                if crowded {
                    answer
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer.map(|body| Answered::new(body, Arc::clone(visit))))
            }
        });
        let mut spoken = http1::Builder::new()
            .header_read_timeout(None) // the visit's clock knows more: hyper's would give an idle connection no longer than a head
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(self.limits.head_bytes)
            .serve_connection(TokioIo::new(wire), service);
        let mut clock = pin!(sleep_until(visit.look(&self.limits, Instant::now()).1));
        let mut closing = pin!(self.closing.cancelled());
        let mut leave = pin!(visit.asked_to_leave());
        let mut told = false;
        let ended = poll_fn(|cx| {
            if !told && closing.as_mut().poll(cx).is_ready() {
                told = true;
                Pin::new(&mut spoken).graceful_shutdown();
            }
            if let Poll::Ready(done) = Pin::new(&mut spoken).poll(cx) {
                if done.is_err_and(|error| error.is_parse_too_large()) {
                    count_cut("head_size");
                }
                return Poll::Ready(Ended::Over);
            }
            // Something may have come meanwhile, and then it is not idle.
            if leave.as_mut().poll(cx).is_ready() {
                if visit.is_idle() {
                    return Poll::Ready(Ended::Over);
                }
                leave.set(visit.asked_to_leave());
            }
            self.poll_clock(clock.as_mut(), visit, cx)
        });
        match ended.await {
            Ended::Over => None,
            Ended::Rests => {
                let parts = spoken.into_parts();
                let mut wire = parts.io.into_inner();
                if !parts.read_buf.is_empty() {
                    // The beginning of a request that came along with the one before.
                    visit.came();
                    wire.unread(parts.read_buf);
                }
                Some(wire)
            }
        }
    }

    fn poll_clock(
        &self,
        mut clock: Pin<&mut Sleep>,
        visit: &Visit,
        cx: &mut Context<'_>,
    ) -> Poll<Ended> {
        loop {
            let (due, next) = visit.look(&self.limits, Instant::now());
            match due {
                Some(Due::Rest) => return Poll::Ready(Ended::Rests),
                Some(Due::Close(reason)) => {
                    reason.into_iter().for_each(count_cut);
                    return Poll::Ready(Ended::Over);
                }
                // Moved ahead only: what ends later is seen when the clock rings too early.
                None if next < clock.deadline() || clock.is_elapsed() => clock.as_mut().reset(next),
                None => {}
            }
            if clock.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
