//! One log line and one measurement a request, and panics caught.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::{Problem, ProblemType};

/// Logs and measures a request. Routes are named by their template, so that metrics stay few.
pub async fn observe(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unknown".to_owned(), |matched| matched.as_str().to_owned());
    let request_id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let response = next.run(request).await;
    let (status, elapsed) = (response.status().as_u16(), began.elapsed());
    metrics::histogram!(
        "http_server_request_duration_seconds",
        "http_request_method" => known_method(&method),
        "http_route" => route,
        "http_response_status_code" => status.to_string()
    )
    .record(elapsed.as_secs_f64());
    tracing::debug!(
        http.request.method = %method,
        url.path = path,
        http.response.status_code = status,
        duration_ms = elapsed.as_secs_f64() * 1000.0,
        request.id = request_id,
        "request served"
    );
    response
}

/// Callers may send any word as a method; metrics know the usual ones.
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
    let words = panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(panic = words.unwrap_or_default(), "a handler panicked");
    Problem::new(ProblemType::Internal, "the error was logged").into_response()
}
