//! CORS: which web pages may call the API from a browser, and which headers of an answer they may
//! read.

use std::time::Duration;

use axum::http::{HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::exports::create::IDEMPOTENT_REPLAYED;
use super::observe::REQUEST_ID;
use super::prefer::PREFERENCE_APPLIED;
use super::rate_headers::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::domain::origins::Origins;

/// How long a browser may cache the answer to a preflight request.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Pages of these origins may make every call and read every header that callers need. Cookies are
/// not allowed, because callers authenticate with a header.
pub(super) fn layer(origins: &Origins) -> CorsLayer {
    let origins = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::These(these) => AllowOrigin::list(
            these
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        ),
    };
    let exposed = [
        header::LOCATION,
        header::LINK,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        PREFERENCE_APPLIED,
        RATE_LIMIT,
        RATE_LIMIT_POLICY,
        REQUEST_ID,
        IDEMPOTENT_REPLAYED,
    ];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed)
        .max_age(MAX_AGE)
}
