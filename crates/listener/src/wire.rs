//! A connection's stream. Reports to its state when bytes arrive, and whether writes progress; the
//! deadlines are the state's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_state::ConnectionState;

/// How much a lingering close reads of what the client still sends.
const MAX_LINGERED_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    state: Arc<ConnectionState>,
    /// Bytes that were read before and given back.
    before: Bytes,
    lingered: usize,
    shut: bool,
}

impl<S> Wire<S> {
    pub fn new(stream: S, state: Arc<ConnectionState>) -> Self {
        Self {
            stream,
            state,
            before: Bytes::new(),
            lingered: 0,
            shut: false,
        }
    }

    pub fn has_unread(&self) -> bool {
        !self.before.is_empty()
    }

    /// Gives back bytes that were read and not used. Replaces those given back before.
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
        // Together with what follows: hyper doubles its buffer when the first read returns only a
        // part of a head.
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.state.bytes_received();
        }
        if fit > 0 { Poll::Ready(Ok(())) } else { read }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    fn report<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match written {
            Poll::Pending => self.state.write_stalled(),
            Poll::Ready(_) => self.state.write_progressed(),
        }
        written
    }

    /// Reads what the client still sends, until it closes or [`MAX_LINGERED_BYTES`] were read.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        while self.lingered < MAX_LINGERED_BYTES {
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
        self.report(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.report(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.report(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.report(shut))?;
            self.shut = true;
        }
        // Closing a socket that holds unread bytes resets the connection, and the client may lose
        // the response.
        if self.state.begin_lingering_close() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
