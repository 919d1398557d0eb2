//! What is kept of a receiver's answer, and how little of it is read: a receiver may send anything,
//! at any length and pace.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::RETRY_AFTER;
use tokio::time::{Instant, timeout_at};

use tableferry_domain::retry_after::retry_after;
use tableferry_domain::timestamp::Timestamp;

/// How much of a body is read. A receiver that says a little more than it should can still say it
/// to the end.
const READ_BYTES: usize = 64 * 1024;

/// How much of a body is kept.
const KEPT_BYTES: usize = 4 * 1024;

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; any 2xx means delivered.
    pub status_code: u16,
    /// After how long the receiver wants to be asked again.
    pub retry_after: Option<Duration>,
    /// How the body begins: its first 4 KiB as UTF-8, without NUL characters; what is no UTF-8 is
    /// replaced.
    pub excerpt: String,
}

/// Reads an answer whose head has come. The body is read until it ends, breaks off, is long enough,
/// or `deadline` comes; none of these changes what the head has said. `now_s` is in seconds since
/// the Unix epoch.
pub async fn read(mut response: Response<Incoming>, deadline: Instant, now_s: i64) -> Answer {
    let status_code = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| {
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of this age of the world"
        )]
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

/// A body that comes in pieces.
trait Body {
    /// The next piece; `None` when it has ended or broken off.
    fn next(&mut self) -> impl Future<Output = Option<impl AsRef<[u8]> + Send>> + Send;
}

impl Body for Incoming {
    async fn next(&mut self) -> Option<impl AsRef<[u8]> + Send> {
        loop {
            // Trailers are no part of the body.
            if let Ok(data) = self.frame().await?.ok()?.into_data() {
                return Some(data);
            }
        }
    }
}

/// Reads a body piece by piece, and keeps its beginning.
async fn excerpt(body: &mut impl Body, deadline: Instant) -> String {
    let (mut kept, mut read) = (Vec::new(), 0);
    while read < READ_BYTES {
        let Ok(Some(piece)) = timeout_at(deadline, body.next()).await else {
            break;
        };
        let piece = piece.as_ref();
        kept.extend_from_slice(&piece[..piece.len().min(KEPT_BYTES - kept.len())]);
        read += piece.len();
    }
    let end = if read > KEPT_BYTES {
        whole_characters(&kept)
    } else {
        kept.len()
    };
    String::from_utf8_lossy(&kept[..end]).replace('\0', "")
}

/// Where the last whole character ends, so that a cut leaves no half one.
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
        // A body that ends within a character is told as it is.
        assert_eq!(excerpt_of(vec![b"ok\xc3".to_vec()]).await.0, "ok\u{fffd}");
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_not_waited_for() {
        let text = excerpt(&mut Silent, Instant::now()).await;
        assert_eq!(text, "");
    }
}
