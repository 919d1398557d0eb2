//! What a request may cost: how many are worked on at once, how large a body is and how long it may
//! take to come, how long an answer may take. What a connection may cost is `crates/listener`'s.
//!
//! A request is counted as work while its handler runs. Who still sends a body, or waits for an
//! export's end, is not: many can, and they cost little, so they keep nobody out.

use std::cell::Cell;
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::Either;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::prefer;
use super::problem::{Problem, ProblemType};
use crate::listener::{Crowded, Limits, count_cut};

/// The largest body.
pub const MOST_BODY_BYTES: usize = 256 * 1024;

/// A body up to this size costs no more than its connection.
const SMALL_BODY_BYTES: usize = 16 * 1024;

/// How many larger bodies are held at once, so that many clients that send slowly do not fill the
/// memory.
const MOST_LARGE_BODIES: usize = 256;

/// Answered whatever else goes on: whoever watches the service must not take it for dead.
const ALWAYS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Requests that ask AWS, whose calls have time-outs of their own.
const ASK_AWS: [&str; 6] = [
    "/v1/exports/preflight",
    "/v1/exports/discover",
    "/v1/exports/import",
    "/v1/exports/{id}/manifest",
    "/v1/exports/{id}/files",
    "/v1/exports/{id}/items",
];

tokio::task_local! {
    static WORK: Work;
}

/// What is worked on at the moment, and how much may be.
#[derive(Debug, Clone)]
pub struct Admission {
    limits: Arc<Limits>,
    requests: Arc<Semaphore>,
    large_bodies: Arc<Semaphore>,
}

/// A request that is worked on.
struct Work {
    admission: Admission,
    place: Cell<Option<OwnedSemaphorePermit>>,
    large_body: Cell<Option<OwnedSemaphorePermit>>,
}

impl Admission {
    /// Nothing is worked on.
    #[must_use]
    pub fn new(limits: Arc<Limits>) -> Self {
        let requests = Arc::new(Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS)));
        Self {
            limits,
            requests,
            large_bodies: Arc::new(Semaphore::new(MOST_LARGE_BODIES)),
        }
    }

    /// How long callers may wait for an export's end.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.limits.longest_wait
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| {
            count_cut("requests_full");
            Problem::new(ProblemType::Unavailable, "more requests are worked on than this process takes; nothing was changed; try again")
        })
    }

    /// How long this request may take.
    fn time_for(&self, request: &Request) -> Duration {
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        let asks_aws = ASK_AWS.contains(&route)
            || request
                .uri()
                .query()
                .is_some_and(|query| query.contains("preflight"));
        let answer = if asks_aws {
            self.limits.aws_answer_time
        } else {
            self.limits.answer_time
        };
        let body = if request.body().is_end_stream() {
            Duration::ZERO
        } else {
            self.limits.body_time
        };
        answer + body + prefer::wait(request.headers(), self.longest_wait()).unwrap_or_default()
    }
}

/// Lets a request be worked on if there is room for it, for as long as it may take.
pub fn admit(
    State(admission): State<Admission>,
    request: Request,
    next: Next,
) -> impl Future<Output = Response> {
    if ALWAYS.contains(&request.uri().path()) {
        return Either::Left(Either::Left(next.run(request)));
    }
    match work(admission, &request) {
        Ok((work, time)) => Either::Right(timeout(time, WORK.scope(work, next.run(request))).map(
            |answer| {
                answer.unwrap_or_else(|_| {
                    count_cut("answer_time");
                    Problem::with_unknown_outcome("the answer took too long").into_response()
                })
            },
        )),
        Err(problem) => Either::Left(Either::Right(ready(problem.into_response()))),
    }
}

/// Begins to work on a request, and says how long that may take.
fn work(admission: Admission, request: &Request) -> Result<(Work, Duration), Problem> {
    if request.extensions().get::<Crowded>().is_some() {
        count_cut("crowded");
        let detail =
            "more connections are open than this process takes; nothing was changed; try again";
        return Err(Problem::new(ProblemType::Unavailable, detail));
    }
    if declared_bytes(request).is_some_and(|bytes| bytes > MOST_BODY_BYTES as u64) {
        return Err(too_large());
    }
    let place = Cell::new(Some(admission.place()?));
    let time = admission.time_for(request);
    Ok((
        Work {
            admission,
            place,
            large_body: Cell::default(),
        },
        time,
    ))
}

fn declared_bytes(request: &Request) -> Option<u64> {
    request
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// From here on the request only waits for something to happen: others may be worked on in its
/// place.
pub fn now_waits() {
    let _ = WORK.try_with(|work| (work.place.take(), work.large_body.take()));
}

/// Reads a body, within its size and its time. Meanwhile others may be worked on.
///
/// # Errors
/// It is too large, too slow or breaks off, or there is no room for it or its request now.
pub async fn read_body(body: Body) -> Result<Bytes, Problem> {
    let admission = WORK.try_with(|work| {
        drop(work.place.take());
        work.admission.clone()
    });
    // Without the layer nothing is counted, and the same bounds hold.
    let admission = admission.unwrap_or_else(|_| Admission::new(Arc::default()));
    let time = admission.limits.body_time;
    let (bytes, large) = timeout(time, collect(body, &admission))
        .await
        .unwrap_or_else(|_| {
            count_cut("body_time");
            let detail = format!(
                "the body did not come within {} seconds; nothing was changed",
                time.as_secs()
            );
            Err(Problem::new(ProblemType::RequestTimeout, detail))
        })?;
    let place = admission.place()?;
    let _ = WORK.try_with(|work| {
        work.place.set(Some(place));
        work.large_body.set(large);
    });
    Ok(bytes)
}

async fn collect(
    body: Body,
    admission: &Admission,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Problem> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(declared.min(SMALL_BODY_BYTES));
    let mut large = None;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| {
            Problem::new(
                ProblemType::MalformedJson,
                "the body broke off before its end",
            )
        })?;
        if bytes.len() + piece.len() > MOST_BODY_BYTES {
            return Err(too_large());
        }
        if bytes.len() + piece.len() > SMALL_BODY_BYTES && large.is_none() {
            large = Some(Arc::clone(&admission.large_bodies).try_acquire_owned().map_err(|_| {
                count_cut("bodies_full");
                Problem::new(ProblemType::Unavailable, "more large bodies come in than this process takes; nothing was changed; try again")
            })?);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.into(), large))
}

fn too_large() -> Problem {
    count_cut("body_size");
    Problem::new(
        ProblemType::PayloadTooLarge,
        format!("the body is larger than {MOST_BODY_BYTES} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_takes_its_time() {
        let admission = Admission::new(Arc::default());
        let time = |uri: &str, prefer: &str, body: &'static str| {
            let request = Request::builder()
                .uri(uri)
                .header("prefer", prefer)
                .body(Body::from(body))
                .unwrap();
            admission.time_for(&request).as_secs()
        };
        assert_eq!(time("/v1/exports", "", ""), 30);
        assert_eq!(time("/v1/exports", "", "{}"), 60);
        assert_eq!(time("/v1/exports?preflight=true", "", "{}"), 150);
        assert_eq!(time("/v1/exports", "wait=50", "{}"), 110);
        assert_eq!(time("/v1/exports", "wait=300", "{}"), 110);
    }
}
