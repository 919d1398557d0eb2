//! The layer around every request: its span, one log line, one measurement, and catching panics.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderName;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use metrics::{Gauge, Histogram};
use tracing::field::{Empty, Value};
use tracing::{Instrument as _, Span};

use super::client_address;
use super::problem::Problem;
use super::trace;
use crate::telemetry::metrics_catalog::{HTTP_ACTIVE, HTTP_REQUESTS};
use crate::telemetry::traces;

/// Identifies a request in logs and to its caller.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Probes: too frequent to be worth a span.
const UNTOLD: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Logs and measures a request, as part of its caller's trace. Routes are named by their template,
/// so that metrics stay few.
pub fn observe(request: Request, next: Next) -> impl Future<Output = Response> {
    let began = Instant::now();
    let active = Active::begin();
    let method = known_method(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unknown", MatchedPath::as_str);
    let of_caller = trace::of_caller(request.headers());
    let (span, trace_parent) = if UNTOLD.contains(&route) {
        (Span::none(), of_caller)
    } else {
        traces::begin(of_caller, |trace_id| {
            span(&request, method, route, trace_id)
        })
    };
    let recorded = trace_parent.is_some_and(|parent| parent.is_recorded());
    let answer = trace::within(trace_parent, next.run(request)).map(move |response| {
        let _active = active;
        let route = matched.as_ref().map_or("unknown", MatchedPath::as_str);
        let (status, elapsed) = (response.status().as_u16(), began.elapsed());
        if recorded {
            // Only if the request is traced: recording a field later formats the span's fields for
            // the log again.
            let span = Span::current();
            span.record("http.response.status_code", status);
            if status >= 500 {
                span.record("otel.status_code", "ERROR");
            }
        }
        requests(method, route, status).record(elapsed.as_secs_f64());
        tracing::debug!(
            http.response.status_code = status,
            duration_ms = elapsed.as_secs_f64() * 1000.0,
            "request served"
        );
        response
    });
    answer.instrument(span)
}

/// Every log line of the request has these fields. The span's level is ERROR, so that it exists
/// whatever `TABLEFERRY_LOG` filters out.
fn span(
    request: &Request,
    method: &'static str,
    route: &str,
    trace_id: Option<impl Value>,
) -> Span {
    let request_id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    tracing::error_span!(
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        url.path = request.uri().path(),
        request.id = request_id,
        client.address =
            client_address::from_extensions(request.extensions()).map(tracing::field::display),
        trace_id,
    )
}

/// Removes an unsuitable request id, so that a new one is generated: callers may send anything, and
/// the id is written to logs and returned.
pub fn only_good_request_ids(mut request: Request) -> Request {
    let mut given = request.headers().get_all(REQUEST_ID).iter();
    let first = given.next().map(|id| id.as_bytes());
    let good = |id: &[u8]| {
        (1..=128).contains(&id.len())
            && id
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b))
    };
    if first.is_some_and(|id| !good(id)) || given.next().is_some() {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// The histograms of each route, by method and status.
type OfRoutes = HashMap<String, Vec<(&'static str, u16, Histogram)>>;

/// The histogram of such requests. Cached, because the lookup by labels costs more than recording;
/// there are few routes and methods.
fn requests(method: &'static str, route: &str, status: u16) -> Histogram {
    static KEPT: LazyLock<RwLock<OfRoutes>> = LazyLock::new(RwLock::default);
    let of_route = |kept: &OfRoutes| {
        let (.., histogram) = kept
            .get(route)?
            .iter()
            .find(|(m, s, _)| *m == method && *s == status)?;
        Some(histogram.clone())
    };
    if let Some(histogram) = of_route(&KEPT.read().unwrap_or_else(PoisonError::into_inner)) {
        return histogram;
    }
    let histogram = metrics::histogram!(
        HTTP_REQUESTS,
        "http_request_method" => method,
        "http_route" => route.to_owned(),
        "http_response_status_code" => status.to_string()
    );
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    kept.entry(route.to_owned())
        .or_default()
        .push((method, status, histogram.clone()));
    histogram
}

/// The number of requests that are being answered. Cached as well.
static ACTIVE: LazyLock<Gauge> = LazyLock::new(|| metrics::gauge!(HTTP_ACTIVE));

/// Counts a request until it is dropped, also if its caller disconnects.
struct Active;

impl Active {
    fn begin() -> Self {
        ACTIVE.increment(1.0);
        Self
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.decrement(1.0);
    }
}

/// The method for metrics: callers may send any word as a method.
fn known_method(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// A handler panicked: the caller gets a problem, the log the panic.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(
        exception.message = words.unwrap_or_default(),
        "a handler panicked"
    );
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use crate::api::{Admission, LayerContext, with_layers};
    use crate::listener::Listener;

    async fn panics() {
        panic!("hunter2");
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_and_the_next_request_is_served() {
        let router = Router::new()
            .route("/panics", get(panics))
            .route("/works", get(async || "works"));
        let router = with_layers(
            router,
            LayerContext::for_test(Admission::new(Arc::default())),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        tokio::spawn(Listener::new(Arc::default(), None).serve(
            listener,
            router,
            std::future::pending(),
        ));
        client
            .write_all(b"GET /panics HTTP/1.1\r\nhost: t\r\n\r\nGET /works HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert!(
            text.starts_with("HTTP/1.1 500 ") && text.contains("\"type\":\"/problems/internal\""),
            "{text}"
        );
        assert!(
            text.contains("HTTP/1.1 200 ") && text.ends_with("works") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
