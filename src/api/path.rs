//! Reads ids from paths. What is no id names nothing.

use axum::extract::{FromRequestParts as _, Path};
use axum::http::request::Parts;
use uuid::Uuid;

/// The `{id}` of a path, if it is a UUID.
pub(super) async fn uuid_of_path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<Uuid> {
    text_of_path(parts, state)
        .await
        .and_then(|text| Uuid::try_parse(&text).ok())
}

/// The `{id}` of a path as it stands there.
pub(super) async fn text_of_path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    Path::<String>::from_request_parts(parts, state)
        .await
        .ok()
        .map(|Path(text)| text)
}
