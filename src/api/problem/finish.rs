//! The layer that writes problem documents: those of handlers and those of the framework.

use std::future::Future;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use super::{Problem, ProblemType, status};
use crate::api::rate_headers::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::api_types::problem::{PROBLEM_JSON, ProblemDocument};

/// Writes the document of every error response.
pub(in crate::api) fn finish(request: Request, next: Next) -> impl Future<Output = Response> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    next.run(request)
        .map(move |response| finished(response, &path, &method))
}

fn finished(response: Response, path: &str, method: &Method) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if status == StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            ProblemType::MethodNotAllowed,
            format!("{method} is not allowed here; the Allow header lists the methods that are"),
        ),
        None if status == StatusCode::NOT_FOUND => Problem::new(
            ProblemType::NotFound,
            "nothing exists at this URL; GET /openapi.json lists every path",
        ),
        None => Problem::new(type_of(status), "the request could not be served"),
    };
    let mut document = problem.document(path, method);
    for name in [
        header::ALLOW,
        header::WWW_AUTHENTICATE,
        RATE_LIMIT,
        RATE_LIMIT_POLICY,
    ] {
        if let Some(value) = response.headers().get(&name) {
            document.headers_mut().insert(name, value.clone());
        }
    }
    document
}

/// The type of an error that the framework answered.
fn type_of(status: StatusCode) -> ProblemType {
    match status {
        StatusCode::UNAUTHORIZED => ProblemType::Unauthenticated,
        StatusCode::FORBIDDEN => ProblemType::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => ProblemType::RateLimited,
        StatusCode::NOT_FOUND => ProblemType::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemType::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemType::PayloadTooLarge,
        StatusCode::REQUEST_TIMEOUT => ProblemType::RequestTimeout,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemType::UnsupportedMediaType,
        StatusCode::SERVICE_UNAVAILABLE => ProblemType::Unavailable,
        status if status.is_client_error() => ProblemType::InvalidParameter,
        _ => ProblemType::Internal,
    }
}

impl Problem {
    fn document(&self, instance: &str, method: &Method) -> Response {
        let what_now = match (self.outcome_is_unknown, method.is_safe()) {
            (false, _) => "",
            (true, true) => "; try again",
            (true, false) => {
                "; it is not known whether the change was stored. With an Idempotency-Key it is safe to repeat the request"
            }
        };
        let document = ProblemDocument {
            r#type: self.kind.uri(),
            title: self.kind.describe().title,
            status: self.kind.describe().status,
            detail: format!("{}{what_now}", self.detail),
            instance: instance.to_owned(),
            errors: self.errors.clone(),
        };
        let mut response = (status(self.kind), axum::Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.kind == ProblemType::RequestTimeout {
            // The rest of the body would be read as the next request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
