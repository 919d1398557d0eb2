//! Limits of a request: how many are worked on at once, how large a body may be and how long it may
//! take to arrive, how long an answer may take. Limits of connections are in `crates/listener`.
//!
//! A request counts as being worked on while its handler runs, but not while its body arrives or
//! while it waits for an export to end: many requests can wait, and they cost little.

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

use super::permissions::{AsksAws, Permissions};
use super::prefer;
use super::problem::{Problem, ProblemType};
use crate::listener::OverCapacity;
use crate::request_limits::RequestLimits;
use crate::telemetry::reasons::CutReason;

/// The largest body.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// A body up to this size costs no more memory than its connection.
const SMALL_BODY_BYTES: usize = 16 * 1024;

/// How many larger bodies are held at once, so that many slow clients do not fill the memory.
const MAX_LARGE_BODIES: usize = 256;

/// Never limited, so that an overloaded process does not look dead to what monitors it.
const ALWAYS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

tokio::task_local! {
    static WORK: Work;
}

/// The requests that are being worked on, and how many may be.
#[derive(Debug, Clone)]
pub struct Admission {
    limits: Arc<RequestLimits>,
    requests: Arc<Semaphore>,
    large_bodies: Arc<Semaphore>,
}

/// A request that is being worked on.
struct Work {
    admission: Admission,
    slot: Cell<Option<OwnedSemaphorePermit>>,
    large_body: Cell<Option<OwnedSemaphorePermit>>,
}

impl Admission {
    #[must_use]
    pub fn new(limits: Arc<RequestLimits>) -> Self {
        let requests = Arc::new(Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS)));
        Self {
            limits,
            requests,
            large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
        }
    }

    /// How long callers may wait for an export to end.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.limits.longest_wait
    }

    fn take_slot(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| {
            CutReason::RequestsFull.count();
            Problem::new(ProblemType::Unavailable, "this process is working on its maximum number of requests; nothing was changed; try again")
        })
    }

    /// How long this request may take. Calls of AWS have time-outs of their own.
    fn time_for(&self, request: &Request, operations: &Permissions) -> Duration {
        let answer = if asks_aws(request, operations) {
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

/// Whether the operation calls AWS before it answers this request, as its handler declares.
fn asks_aws(request: &Request, operations: &Permissions) -> bool {
    let declared = request
        .extensions()
        .get::<MatchedPath>()
        .and_then(|route| operations.declared(request.method(), route.as_str()));
    match declared.map_or(&AsksAws::Never, |declared| &declared.asks_aws) {
        AsksAws::Never => false,
        AsksAws::Always => true,
        AsksAws::If(parameter) => {
            let query = request.uri().query().unwrap_or_default();
            url::form_urlencoded::parse(query.as_bytes())
                .any(|(name, value)| name == parameter.as_str() && value == "true")
        }
    }
}

/// Lets a request be worked on if there is a free slot, for as long as it may take.
pub fn admit(
    State((admission, operations)): State<(Admission, Permissions)>,
    request: Request,
    next: Next,
) -> impl Future<Output = Response> {
    if ALWAYS.contains(&request.uri().path()) {
        return Either::Left(Either::Left(next.run(request)));
    }
    match work(admission, &operations, &request) {
        Ok((work, time)) => Either::Right(timeout(time, WORK.scope(work, next.run(request))).map(
            |answer| {
                answer.unwrap_or_else(|_| {
                    CutReason::AnswerTime.count();
                    Problem::with_unknown_outcome("the request took too long").into_response()
                })
            },
        )),
        Err(problem) => Either::Left(Either::Right(ready(problem.into_response()))),
    }
}

/// Takes a slot for a request. Returns how long it may take.
fn work(
    admission: Admission,
    operations: &Permissions,
    request: &Request,
) -> Result<(Work, Duration), Problem> {
    if request.extensions().get::<OverCapacity>().is_some() {
        CutReason::OverCapacity.count();
        let detail = "this process has its maximum number of open connections; nothing was changed; try again";
        return Err(Problem::new(ProblemType::Unavailable, detail));
    }
    if declared_bytes(request).is_some_and(|bytes| bytes > MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    let slot = Cell::new(Some(admission.take_slot()?));
    let time = admission.time_for(request, operations);
    Ok((
        Work {
            admission,
            slot,
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

/// Gives the slot of this request back: from here on it only waits.
pub fn now_waits() {
    let _ = WORK.try_with(|work| (work.slot.take(), work.large_body.take()));
}

/// Reads a body, within its limits of size and time. The slot of the request is free meanwhile.
pub async fn read_body(body: Body) -> Result<Bytes, Problem> {
    let admission = WORK.try_with(|work| {
        drop(work.slot.take());
        work.admission.clone()
    });
    // Without the layer nothing is counted, and the same bounds hold.
    let admission = admission.unwrap_or_else(|_| Admission::new(Arc::default()));
    let time = admission.limits.body_time;
    let (bytes, large) = timeout(time, collect(body, &admission))
        .await
        .unwrap_or_else(|_| {
            CutReason::BodyTime.count();
            let detail = format!(
                "the body did not arrive within {} seconds; nothing was changed",
                time.as_secs()
            );
            Err(Problem::new(ProblemType::RequestTimeout, detail))
        })?;
    let slot = admission.take_slot()?;
    let _ = WORK.try_with(|work| {
        work.slot.set(Some(slot));
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
        let piece =
            piece.map_err(|_| Problem::new(ProblemType::MalformedJson, "the body ended early"))?;
        if bytes.len() + piece.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        if bytes.len() + piece.len() > SMALL_BODY_BYTES && large.is_none() {
            large = Some(Arc::clone(&admission.large_bodies).try_acquire_owned().map_err(|_| {
                CutReason::BodiesFull.count();
                Problem::new(ProblemType::Unavailable, "this process is receiving its maximum number of large bodies; nothing was changed; try again")
            })?);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.into(), large))
}

fn too_large() -> Problem {
    CutReason::BodySize.count();
    Problem::new(
        ProblemType::PayloadTooLarge,
        format!("the body is larger than {MAX_BODY_BYTES} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::extract::Request;
    use axum::routing::{get, post};
    use tower::ServiceExt as _;

    use super::*;

    /// The time for a request, in seconds, at the real routes.
    async fn time(method: &str, uri: &str, prefer: &str, body: &'static str) -> u64 {
        let operations = Permissions::from(&super::super::routes().into_openapi());
        let found = Arc::new(Mutex::new(None));
        let find = {
            let found = Arc::clone(&found);
            move |request: Request| {
                let time = Admission::new(Arc::default()).time_for(&request, &operations);
                *found.lock().unwrap() = Some(time.as_secs());
                ready(())
            }
        };
        let router = Router::new()
            .route("/v1/exports", post(find.clone()).get(find.clone()))
            .route("/v1/exports/{id}/files", get(find.clone()))
            .route("/v1/exports/discover", post(find));
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("prefer", prefer)
            .body(Body::from(body))
            .unwrap();
        router.oneshot(request).await.unwrap();
        let time = *found.lock().unwrap();
        time.unwrap()
    }

    #[tokio::test]
    async fn a_request_has_the_time_that_its_parts_take() {
        assert_eq!(time("POST", "/v1/exports", "", "").await, 30);
        assert_eq!(time("POST", "/v1/exports", "", "{}").await, 60);
        assert_eq!(time("POST", "/v1/exports", "wait=50", "{}").await, 110);
        assert_eq!(time("POST", "/v1/exports", "wait=300", "{}").await, 110);
    }

    #[tokio::test]
    async fn only_what_asks_aws_has_the_time_for_that() {
        for uri in ["/v1/exports?preflight=true", "/v1/exports/discover"] {
            assert_eq!(time("POST", uri, "", "{}").await, 150, "{uri}");
        }
        assert_eq!(time("GET", "/v1/exports/x/files", "", "").await, 120);
        assert_eq!(
            time("POST", "/v1/exports?preflight=false", "", "").await,
            30
        );
        for uri in [
            "/v1/exports?label=preflight:true",
            "/v1/exports?preflight=true",
        ] {
            assert_eq!(time("GET", uri, "", "").await, 30, "{uri}");
        }
    }

    #[test]
    fn the_explanations_of_problems_name_these_limits() {
        let explanation = |kind: ProblemType| kind.describe().explanation;
        let size = format!("at most {} KiB", MAX_BODY_BYTES / 1024);
        assert!(explanation(ProblemType::PayloadTooLarge).contains(&size));
        let time = RequestLimits::default().body_time.as_secs();
        assert!(explanation(ProblemType::RequestTimeout).contains(&format!("{time} seconds")));
    }
}
