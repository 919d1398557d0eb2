//! Which trace the request belongs to that is being answered: what `observe` found in it, for
//! handlers that store it.

use std::future::Future;

use axum::http::HeaderMap;

use crate::domain::trace::TraceParent;

tokio::task_local! {
    static CURRENT: Option<TraceParent>;
}

/// The request's trace; nothing if it has none.
pub(super) fn current() -> Option<TraceParent> {
    CURRENT.try_with(|current| *current).ok().flatten()
}

/// Answers a request within this trace.
pub(super) fn within<F: Future>(
    trace_parent: Option<TraceParent>,
    answer: F,
) -> impl Future<Output = F::Output> {
    CURRENT.scope(trace_parent, answer)
}

/// What the request says of the trace that its caller is in. What is malformed or given twice is
/// ignored, as the standard asks.
pub(super) fn of_caller(headers: &HeaderMap) -> Option<TraceParent> {
    let mut given = headers.get_all("traceparent").iter();
    let parent = TraceParent::parse(given.next()?.to_str().ok()?);
    if given.next().is_some() { None } else { parent }
}
