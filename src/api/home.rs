//! `GET /`: redirects browsers to the documentation, and answers 404 to other clients.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::problem::{Problem, ProblemType};

/// Where Swagger UI is.
const DOCS: &str = "/docs/";

/// Answers 303 to browsers, which ask for HTML.
pub(super) async fn home(headers: HeaderMap) -> Response {
    let wants_html = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")));
    if wants_html {
        return Redirect::to(DOCS).into_response();
    }
    Problem::new(
        ProblemType::NotFound,
        "there is nothing at this URL; the API is below /v1, its documentation at /docs",
    )
    .into_response()
}
