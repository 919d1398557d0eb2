//! Bodies of requests and answers on a connection: they tell the visit when a request was left
//! unread, and when an answer is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::visit::Visit;

/// The body of a request.
pub struct Asked {
    body: Incoming,
    ended: bool,
    visit: Arc<Visit>,
}

impl Asked {
    /// A body that begins to come.
    pub fn new(body: Incoming, visit: Arc<Visit>) -> Self {
        Self {
            body,
            ended: false,
            visit,
        }
    }
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.visit.left_unread();
        }
    }
}

/// The body of an answer.
pub struct Answered {
    body: Body,
    visit: Arc<Visit>,
}

impl Answered {
    /// A body that begins to be written.
    pub fn new(body: Body, visit: Arc<Visit>) -> Self {
        Self { body, visit }
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.visit.ends_answer();
    }
}
