//! Who may make which call: the layer that lets callers in, counts what they ask for, and keeps
//! each to what is theirs.
//!
//! What a call needs is said once, by `security(…)` at its handler: the OpenAPI document shows it,
//! and [`Permissions`] reads it from there. A call of which nothing is said is made by nobody.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::Either;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

use super::ApiState;
use super::client_address;
use super::exports::IdPath;
use super::problem::{FieldError, Problem, ProblemType};
use crate::auth::Refusal;
use crate::auth::rates::Standing;
use crate::domain::arn::TableArn;
use crate::domain::caller::scope::Scope;
use crate::domain::caller::{Caller, CallerName};
use crate::domain::invalid::Invalid;
use crate::domain::request::ExportRequest;
use crate::telemetry::metrics_catalog::RATE_LIMITED;

/// The scheme of `security(…)` at handlers.
pub(super) const SCHEME: &str = "bearer";

/// Where a caller stands, by draft-ietf-httpapi-ratelimit-headers.
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What every caller has, by the same.
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Everything below one export.
const OF_AN_EXPORT: &str = "/v1/exports/{id}";

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everybody.
    Open,
    /// Who has this scope.
    Scope(Scope),
    /// Nobody, since nothing is said of it.
    Nobody,
}

/// What each call needs.
#[derive(Debug, Clone)]
pub(super) struct Permissions(Arc<HashMap<String, Vec<(Method, Access)>>>);

impl Permissions {
    /// As the document says it.
    pub(super) fn of(document: &OpenApi) -> Self {
        let calls = |item: &PathItem| -> Vec<(Method, Access)> {
            let calls = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            calls
                .into_iter()
                .filter_map(|(method, call)| Some((method, access(call.as_ref()?))))
                .collect()
        };
        Self(Arc::new(
            document
                .paths
                .paths
                .iter()
                .map(|(path, item)| (path.clone(), calls(item)))
                .collect(),
        ))
    }

    /// Who may make this call; nothing if there is none, and the router says so.
    fn access(&self, method: &Method, route: &str) -> Option<Access> {
        // The router answers HEAD as it answers GET.
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.0
            .get(route)?
            .iter()
            .find(|(known, _)| known == method)
            .map(|(_, access)| *access)
    }
}

/// Whether callers must say who they are to make this call.
pub(super) fn is_closed(call: &Operation) -> bool {
    access(call) != Access::Open
}

/// The scope that a call needs, if it needs one.
pub(super) fn scope_of(call: &Operation) -> Option<Scope> {
    match access(call) {
        Access::Scope(scope) => Some(scope),
        Access::Open | Access::Nobody => None,
    }
}

/// What the document says of one call: `[{}]` is open, `[{"bearer": [scope]}]` needs the scope.
fn access(call: &Operation) -> Access {
    let said = serde_json::to_value(&call.security).unwrap_or_default();
    let Some([requirement]) = said.as_array().map(Vec::as_slice) else {
        return Access::Nobody;
    };
    if requirement
        .as_object()
        .is_some_and(serde_json::Map::is_empty)
    {
        return Access::Open;
    }
    match requirement[SCHEME].as_array().map(Vec::as_slice) {
        Some([scope]) => scope
            .as_str()
            .and_then(|scope| Scope::parse(scope).ok())
            .map_or(Access::Nobody, Access::Scope),
        _ => Access::Nobody,
    }
}

/// Lets a request through if its caller may make it, and tells its handler who that is.
pub(super) fn guard(
    State((state, permissions)): State<(ApiState, Permissions)>,
    mut request: Request,
    next: Next,
) -> impl Future<Output = Response> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let access = route
        .as_ref()
        .and_then(|route| permissions.access(request.method(), route.as_str()));
    let (Some(route), Some(access)) = (route, access.filter(|access| *access != Access::Open))
    else {
        return Either::Left(next.run(request));
    };
    if !state.gate.is_closed() {
        request
            .extensions_mut()
            .insert(Calling(state.gate.anybody()));
        return Either::Left(next.run(request));
    }
    // Boxed, so that nothing of it is kept while the request is answered.
    let let_in = Box::pin(let_in(state, access, route, request));
    Either::Right(let_in.then(move |(standing, let_in)| {
        let answer = match let_in {
            Ok(request) => Either::Left(next.run(request)),
            Err(refused) => Either::Right(ready(*refused)),
        };
        answer.map(move |mut response| {
            if let Some(standing) = standing {
                tell(&standing, response.headers_mut());
            }
            response
        })
    }))
}

/// The request with its caller if that caller may make it, else the answer; and where the caller
/// stands, if that is counted.
async fn let_in(
    state: ApiState,
    access: Access,
    route: MatchedPath,
    request: Request,
) -> (Option<Standing>, Result<Request, Box<Response>>) {
    let (mut parts, body) = request.into_parts();
    let from = client_address::of(&parts.extensions);
    let caller = match state.gate.admit(credentials(&parts.headers), from).await {
        Ok(caller) => caller,
        Err(refusal) => return (None, Err(Box::new(refused(refusal)))),
    };
    let standing = state.gate.rates.count(&caller, state.chance.now());
    let checked = match standing.and_then(|standing| standing.refused_for) {
        Some(wait) => {
            metrics::counter!(RATE_LIMITED).increment(1);
            if standing.is_some_and(|standing| standing.is_news) {
                tracing::warn!(
                    caller.name = caller.name.as_ref().map(CallerName::as_str),
                    "a caller asks more often than it may"
                );
            }
            let detail =
                "this caller asks more often than it may; RateLimit-Policy says how often that is";
            Err(Problem::new(ProblemType::RateLimited, detail).retry_after(wait))
        }
        None => check(&state, access, &caller, route.as_str(), &mut parts).await,
    };
    let let_in = checked.map(|()| {
        parts.extensions.insert(Calling(caller));
        Request::from_parts(parts, body)
    });
    (
        standing,
        let_in.map_err(|problem| Box::new(problem.into_response())),
    )
}

/// Whether this caller may make this call, of this record.
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
                format!("this call needs the scope {}", scope.as_str()),
            ));
        }
        Access::Open | Access::Nobody => {
            return Err(Problem::new(
                ProblemType::Forbidden,
                "nobody may make this call",
            ));
        }
    }
    let allow = caller.grant.allow();
    if allow.is_everything() || !route.starts_with(OF_AN_EXPORT) {
        return Ok(());
    }
    // Read as handlers read it: a path can be written in many ways.
    let IdPath(id) = IdPath::from_request_parts(parts, &()).await?;
    match state.store.place_of(id).await? {
        Some((table, bucket)) if allow.export(&table, &bucket) => Ok(()),
        // To whom it is not theirs it is not there.
        _ => Err(Problem::no_such_export()),
    }
}

/// The text after `Bearer`; nothing if there is none, or more than one.
fn credentials(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (scheme, credentials) = given.next()?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && given.next().is_none()).then(|| credentials.trim())
}

fn refused(refusal: Refusal) -> Response {
    let detail = match refusal {
        Refusal::Store(error) => return Problem::from(error).into_response(),
        Refusal::IssuerAway => {
            let detail = "the issuer of this token does not tell its keys at the moment, so that it cannot be checked";
            return Problem::new(ProblemType::Unavailable, detail).into_response();
        }
        Refusal::TooMany { retry_after } => {
            let detail = "many credentials from this address were refused, and too many wait to be looked up; try again later";
            return Problem::new(ProblemType::RateLimited, detail)
                .retry_after(retry_after)
                .into_response();
        }
        Refusal::Missing => {
            return challenge(
                "Bearer realm=\"tableferry\"",
                "send an API key as Authorization: Bearer tferry_…".to_owned(),
            );
        }
        Refusal::Malformed => {
            "this is no API key: it has a typo, or was cut off, or is something else".to_owned()
        }
        Refusal::Unknown => "there is no such API key".to_owned(),
        Refusal::Ended(why) => format!("the API key is {why}"),
        Refusal::Token(why) => format!("the token is not taken: {why}"),
    };
    challenge(
        "Bearer realm=\"tableferry\", error=\"invalid_token\"",
        detail,
    )
}

fn challenge(challenge: &'static str, detail: String) -> Response {
    let mut response = Problem::new(ProblemType::Unauthenticated, detail).into_response();
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    );
    response
}

/// Tells a caller where they stand: how many at once, in which time, how many are left, and when
/// all are back.
fn tell(standing: &Standing, headers: &mut HeaderMap) {
    let (burst, window_s) = (
        standing.burst.floor(),
        (standing.burst / standing.rate_per_s).ceil(),
    );
    let (left, full_s) = (standing.left.floor(), standing.full_in.as_secs_f64().ceil());
    let policy = HeaderValue::try_from(format!("\"default\";q={burst};w={window_s}"));
    let stands = HeaderValue::try_from(format!("\"default\";r={left};t={full_s}"));
    if let (Ok(policy), Ok(stands)) = (policy, stands) {
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, stands);
    }
}

/// Who makes the call that is being answered.
#[derive(Debug, Clone)]
pub struct Calling(pub Arc<Caller>);

impl Calling {
    /// The caller's name, if they had to say it.
    pub(super) fn name(&self) -> Option<CallerName> {
        self.0.name.clone()
    }

    /// The caller's name in logs.
    pub(super) fn logged(&self) -> Option<&str> {
        self.0.name.as_ref().map(CallerName::as_str)
    }

    /// Whether the caller may see and ask for exports of this table to this bucket.
    pub(super) fn may(&self, request: &ExportRequest) -> bool {
        self.0.grant.allow().export(
            request.table_arn.as_str(),
            request.destination.bucket.as_str(),
        )
    }

    /// Refuses a request for what is not the caller's, naming the fields.
    pub(super) fn check(&self, request: &ExportRequest) -> Result<(), Problem> {
        let allow = self.0.grant.allow();
        let mut errors = Vec::new();
        if !allow.table(request.table_arn.as_str()) {
            errors.push(FieldError::new("/table_arn", &not_yours("table")));
        }
        if !allow.bucket(request.destination.bucket.as_str()) {
            errors.push(FieldError::new("/s3_bucket", &not_yours("bucket")));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::with_errors(ProblemType::Forbidden, errors))
        }
    }

    /// Refuses to adopt an export of what is not the caller's, whether it is known here or not.
    pub(super) fn check_adoption(&self, request: &ExportRequest) -> Result<(), Problem> {
        if self.may(request) {
            return Ok(());
        }
        let invalid = Invalid::new(
            "names an export of a table or bucket that this API key does not hold for",
        );
        Err(Problem::with_errors(
            ProblemType::Forbidden,
            vec![FieldError::new("/export_arn", &invalid)],
        ))
    }

    /// Refuses a table that is not the caller's; `pointer` says where it is named.
    pub(super) fn check_table(&self, pointer: &str, table: &TableArn) -> Result<(), Problem> {
        if self.0.grant.allow().table(table.as_str()) {
            return Ok(());
        }
        Err(Problem::with_errors(
            ProblemType::Forbidden,
            vec![FieldError::new(pointer, &not_yours("table"))],
        ))
    }
}

/// What is wrong with naming what is not the caller's.
fn not_yours(what: &str) -> Invalid {
    Invalid::new(format!(
        "names a {what} that this API key does not hold for"
    ))
}

impl<S: Send + Sync> FromRequestParts<S> for Calling {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let calling = parts.extensions.get::<Self>().cloned();
        calling.ok_or_else(|| {
            Problem::new(ProblemType::Internal, "nobody was let in to make this call")
        })
    }
}
