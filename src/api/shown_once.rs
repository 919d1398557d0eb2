//! Responses with a secret, which is returned only once: proxies must not store them.

use std::fmt::Display;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

/// 201 with `Location`: `path` and the id.
pub(super) fn created_with_secret(path: &str, id: impl Display, body: &impl Serialize) -> Response {
    let mut response = with_secret(body);
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::try_from(format!("{path}/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// 200.
pub(super) fn with_secret(body: &impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
