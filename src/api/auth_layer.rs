//! The authentication layer: admits callers, counts their requests, checks the scope that the
//! operation requires, and hides the exports that a caller may not see.

use std::future::{Future, ready};

use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::Either;

use super::caller::RequestCaller;
use super::path::ExportPath;
use super::permissions::{Access, Permissions};
use super::problem::{Problem, ProblemType};
use super::{ApiState, client_address, rate_headers};
use crate::auth::AuthError;
use crate::auth::rate_limiter::RateLimitStatus;
use crate::domain::caller::{Caller, CallerName};
use crate::telemetry::metrics_catalog::RATE_LIMITED;

/// The routes of one export begin with this.
const OF_AN_EXPORT: &str = "/v1/exports/{id}";

/// Passes a request on if its caller may make it, with the caller as an extension.
pub(super) fn authenticate(
    State((state, permissions)): State<(ApiState, Permissions)>,
    mut request: Request,
    next: Next,
) -> impl Future<Output = Response> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let access = route.as_ref().and_then(|route| {
        let declared = permissions.declared(request.method(), route.as_str())?;
        Some(declared.access)
    });
    let (Some(route), Some(access)) = (route, access.filter(|access| *access != Access::Everyone))
    else {
        return Either::Left(next.run(request));
    };
    if !state.authenticator.is_required() {
        request
            .extensions_mut()
            .insert(RequestCaller(state.authenticator.anonymous()));
        return Either::Left(next.run(request));
    }
    // Boxed, so that its memory is released before the request is answered.
    let admitted = Box::pin(admit(state, access, route, request));
    Either::Right(admitted.then(move |(rate_limit, admitted)| {
        let answer = match admitted {
            Ok(request) => Either::Left(next.run(request)),
            Err(response) => Either::Right(ready(*response)),
        };
        answer.map(move |mut response| {
            if let Some(rate_limit) = rate_limit {
                rate_headers::add(&rate_limit, response.headers_mut());
            }
            response
        })
    }))
}

/// The request with its caller, or the response that rejects it; and the caller's rate limit
/// status, if its requests are counted.
async fn admit(
    state: ApiState,
    access: Access,
    route: MatchedPath,
    request: Request,
) -> (Option<RateLimitStatus>, Result<Request, Box<Response>>) {
    let (mut parts, body) = request.into_parts();
    let from = client_address::from_extensions(&parts.extensions);
    let caller = match state
        .authenticator
        .authenticate(credentials(&parts.headers), from)
        .await
    {
        Ok(caller) => caller,
        Err(error) => return (None, Err(Box::new(rejected(error)))),
    };
    let rate_limit = state
        .authenticator
        .rate_limiter
        .count(&caller, state.clock.now());
    let checked = match rate_limit.and_then(|status| status.refused_for) {
        Some(wait) => {
            metrics::counter!(RATE_LIMITED).increment(1);
            if rate_limit.is_some_and(|status| status.is_news) {
                tracing::warn!(
                    caller.name = caller.name.as_ref().map(CallerName::as_str),
                    "a caller exceeds its rate limit"
                );
            }
            let detail = "this caller exceeds its rate limit; see the RateLimit-Policy header";
            Err(Problem::new(ProblemType::RateLimited, detail).retry_after(wait))
        }
        None => check(&state, access, &caller, route.as_str(), &mut parts).await,
    };
    let admitted = checked.map(|()| {
        parts.extensions.insert(RequestCaller(caller));
        Request::from_parts(parts, body)
    });
    (
        rate_limit,
        admitted.map_err(|problem| Box::new(problem.into_response())),
    )
}

/// Checks that this caller may make this call, and may see the export that it is about.
async fn check(
    state: &ApiState,
    access: Access,
    caller: &Caller,
    route: &str,
    parts: &mut Parts,
) -> Result<(), Problem> {
    match access {
        Access::Scope(scope) if caller.grant.scopes().allow(scope) => {}
        Access::Scope(scope) => {
            return Err(Problem::new(
                ProblemType::Forbidden,
                format!("this operation requires the scope {}", scope.as_str()),
            ));
        }
        Access::Everyone | Access::Nobody => {
            return Err(Problem::new(
                ProblemType::Forbidden,
                "this operation is not permitted",
            ));
        }
    }
    let allow = caller.grant.allow();
    if allow.is_everything() || !route.starts_with(OF_AN_EXPORT) {
        return Ok(());
    }
    // Read as handlers read it: a path can be written in many ways.
    let ExportPath(id) = ExportPath::from_request_parts(parts, &()).await?;
    match state.store.table_and_bucket(id).await? {
        Some((table, bucket)) if allow.export(&table, &bucket) => Ok(()),
        // Callers that may not see an export are told that it does not exist.
        _ => Err(ExportPath::not_found()),
    }
}

/// The text after `Bearer`; `None` if there is none, or more than one `Authorization` header.
fn credentials(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (scheme, credentials) = given.next()?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && given.next().is_none()).then(|| credentials.trim())
}

/// The response to a request that could not be authenticated.
fn rejected(error: AuthError) -> Response {
    let detail = error.to_string();
    match error {
        AuthError::Store(error) => Problem::from(error).into_response(),
        AuthError::IssuerAway => Problem::new(ProblemType::Unavailable, detail).into_response(),
        AuthError::TooMany { retry_after } => Problem::new(ProblemType::RateLimited, detail)
            .retry_after(retry_after)
            .into_response(),
        AuthError::Missing => challenge("Bearer realm=\"tableferry\"", detail),
        AuthError::Malformed
        | AuthError::Unknown
        | AuthError::Expired
        | AuthError::Revoked
        | AuthError::Token(_) => challenge(
            "Bearer realm=\"tableferry\", error=\"invalid_token\"",
            detail,
        ),
    }
}

fn challenge(challenge: &'static str, detail: String) -> Response {
    let mut response = Problem::new(ProblemType::Unauthenticated, detail).into_response();
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    );
    response
}
