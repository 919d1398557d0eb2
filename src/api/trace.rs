//! The trace of the request that is being answered, as `observe` found it, for handlers that store
//! it.

use std::future::Future;

use axum::http::HeaderMap;

use crate::domain::trace::TraceParent;

tokio::task_local! {
    static CURRENT: Option<TraceParent>;
}

/// The request's trace, if it has one.
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

/// The trace of the caller, from the request's header. A malformed or repeated header is ignored,
/// as the standard requires.
pub(super) fn of_caller(headers: &HeaderMap) -> Option<TraceParent> {
    let mut given = headers.get_all("traceparent").iter();
    let parent = TraceParent::parse(given.next()?.to_str().ok()?);
    if given.next().is_some() { None } else { parent }
}
