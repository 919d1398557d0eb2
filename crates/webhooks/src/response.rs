//! Reads a receiver's response: only its first part, because a receiver may send anything, at any
//! length and speed.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::RETRY_AFTER;
use tokio::time::{Instant, timeout_at};

use tableferry_domain::retry_after::retry_after;
use tableferry_domain::timestamp::Timestamp;

/// The longest part of a body that is read. More than is kept, so that most receivers can send
/// their whole body.
const MAX_READ_BYTES: usize = 64 * 1024;

const MAX_KEPT_BYTES: usize = 4 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Any 2xx means delivered.
    pub status_code: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<Duration>,
    /// The first 4 KiB of the body as UTF-8, without NUL characters. Invalid bytes are replaced.
    pub excerpt: String,
}

/// Reads the rest of a response whose head has arrived. The body is read until it ends, breaks off,
/// is long enough, or `deadline` passes; none of these changes the status. `now_s` is in seconds
/// since the Unix epoch.
pub async fn read(mut response: Response<Incoming>, deadline: Instant, now_s: i64) -> Answer {
    let status_code = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        retry_after(
            value.to_str().ok()?,
            Timestamp::from_unix_seconds(now_s as f64)?,
        )
    });
    Answer {
        status_code,
        retry_after,
        excerpt: excerpt(response.body_mut(), deadline).await,
    }
}

trait Body {
    /// The next piece. `None` at the end, and when the body breaks off.
    fn next(&mut self) -> impl Future<Output = Option<impl AsRef<[u8]> + Send>> + Send;
}

impl Body for Incoming {
    async fn next(&mut self) -> Option<impl AsRef<[u8]> + Send> {
        loop {
            // Trailers are not part of the body.
            if let Ok(data) = self.frame().await?.ok()?.into_data() {
                return Some(data);
            }
        }
    }
}

async fn excerpt(body: &mut impl Body, deadline: Instant) -> String {
    let (mut kept, mut read) = (Vec::new(), 0);
    while read < MAX_READ_BYTES {
        let Ok(Some(piece)) = timeout_at(deadline, body.next()).await else {
            break;
        };
        let piece = piece.as_ref();
        kept.extend_from_slice(&piece[..piece.len().min(MAX_KEPT_BYTES - kept.len())]);
        read += piece.len();
    }
    let end = if read > MAX_KEPT_BYTES {
        whole_characters(&kept)
    } else {
        kept.len()
    };
    String::from_utf8_lossy(&kept[..end]).replace('\0', "")
}

/// The length up to the end of the last complete character.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Body for std::vec::IntoIter<Vec<u8>> {
        async fn next(&mut self) -> Option<impl AsRef<[u8]> + Send> {
            Iterator::next(self)
        }
    }

    /// What is kept of a body, and how much of it was read.
    async fn excerpt_of(pieces: Vec<Vec<u8>>) -> (String, usize) {
        let whole: usize = pieces.iter().map(Vec::len).sum();
        let mut body = pieces.into_iter();
        let text = excerpt(&mut body, Instant::now() + Duration::from_secs(60)).await;
        (text, whole - body.map(|piece| piece.len()).sum::<usize>())
    }

    struct Silent;

    impl Body for Silent {
        async fn next(&mut self) -> Option<impl AsRef<[u8]> + Send> {
            std::future::pending::<Option<Vec<u8>>>().await
        }
    }

    #[tokio::test]
    async fn little_is_read_and_less_is_kept() {
        let long = vec![vec![b'x'; 1000]; 1_000];
        let (text, read) = excerpt_of(long).await;
        assert_eq!((text, read), ("x".repeat(4096), 66_000));
        let (text, _) = excerpt_of(vec![vec![b'x'; 1 << 20]]).await;
        assert_eq!(text.len(), 4096);
    }

    #[tokio::test]
    async fn what_is_kept_is_text() {
        assert_eq!(excerpt_of(vec![]).await.0, "");
        assert_eq!(
            excerpt_of(vec![
                b"a\0b\xff".to_vec(),
                b"c\xc3".to_vec(),
                b"\xbc".to_vec()
            ])
            .await
            .0,
            "ab\u{fffd}c\u{fc}"
        );
        let cut = [b"x".to_vec(), "\u{fc}".repeat(4096).into_bytes()];
        assert_eq!(
            excerpt_of(cut.to_vec()).await.0,
            format!("x{}", "\u{fc}".repeat(2047))
        );
        // A body that ends within a character is not cut.
        assert_eq!(excerpt_of(vec![b"ok\xc3".to_vec()]).await.0, "ok\u{fffd}");
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_not_waited_for() {
        let text = excerpt(&mut Silent, Instant::now()).await;
        assert_eq!(text, "");
    }
}
