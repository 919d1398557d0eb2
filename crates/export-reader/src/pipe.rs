//! Passes an object's bytes to a blocking thread, which decompresses and hashes them. The channel
//! lets the download run ahead of the thread; `tokio_util`'s `SyncIoBridge` would fetch only when
//! the thread reads.

use std::io::{self, BufRead, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

use tableferry_aws::ObjectBody;
use tableferry_domain::aws::failure::{AwsFailure, FailureClass};
use tableferry_domain::error_chain::in_words;

/// Maximum pieces waiting for the thread. A piece is one read of the connection, at most some
/// hundred KB.
const WAITING: usize = 16;

/// Runs `read` on an object in a blocking thread. If it stops early, no more is fetched.
pub(super) async fn through<T: Send + 'static>(
    mut body: ObjectBody,
    read: impl FnOnce(PieceReader) -> T + Send + 'static,
) -> Result<T, AwsFailure> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || {
        read(PieceReader {
            receiver,
            piece: Bytes::new(),
        })
    });
    // When S3 breaks off, the thread sees the end and stops; its result is dropped.
    while let Some(piece) = body.next().await? {
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    reading.await.map_err(|error| broken(&error))
}

/// A failure between S3 and the reader.
pub(super) fn broken(error: &(dyn std::error::Error + 'static)) -> AwsFailure {
    AwsFailure {
        class: FailureClass::Unknown,
        code: "ReadFailed".to_owned(),
        message: in_words(error),
    }
}

#[derive(Debug)]
pub(super) struct PieceReader {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl BufRead for PieceReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => break,
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, length: usize) {
        self.piece.advance(length.min(self.piece.len()));
    }
}

impl Read for PieceReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(into.len());
        into[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}
