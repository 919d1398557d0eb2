//! The bytes of a connection on their way in and out. Tells the visit what moves and what does not;
//! times nothing itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::visit::Visit;

/// How much of what a client still sends after its answer is taken off, so that the answer reaches
/// it.
const MOST_LINGERED: usize = 256 * 1024;

/// A connection's stream.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    visit: Arc<Visit>,
    /// What was read before.
    before: Bytes,
    lingered: usize,
    shut: bool,
}

impl<S> Wire<S> {
    /// A new connection.
    pub fn new(stream: S, visit: Arc<Visit>) -> Self {
        Self {
            stream,
            visit,
            before: Bytes::new(),
            lingered: 0,
            shut: false,
        }
    }

    /// Whether something was given back.
    pub fn has_unread(&self) -> bool {
        !self.before.is_empty()
    }

    /// Gives back what was read and not used. Nothing else may be given back at the moment.
    pub fn unread(&mut self, bytes: Bytes) {
        self.before = bytes;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let fit = self.before.len().min(buffer.remaining());
        buffer.put_slice(&self.before.split_to(fit));
        let before = buffer.filled().len();
        // Together with what follows: hyper makes its buffer twice as large when the first read
        // brings it a part of a head only.
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.visit.came();
        }
        if fit > 0 { Poll::Ready(Ok(())) } else { read }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending => self.visit.is_stuck(),
            Poll::Ready(_) => self.visit.took(),
        }
        written
    }

    /// Takes off what still comes, until the client closes or enough has come.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        while self.lingered < MOST_LINGERED {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => self.lingered += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.note(shut))?;
            self.shut = true;
        }
        // A socket that is closed while something lies in it unread resets the connection, which
        // may take the answer from the client.
        if self.visit.lingers() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
