//! Reads JSON bodies: one object, which is checked as a whole before any field is read.

use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde_json::{Map, Value};

use super::limits::read_body;
use super::problem::{FieldError, Problem, ProblemType};
use crate::domain::export::filter::pointer;
use crate::domain::invalid::Invalid;

/// The JSON object of a request's body.
#[derive(Debug)]
pub struct JsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_json(request).await.and_then(object).map(Self)
    }
}

async fn read_json(request: Request) -> Result<Value, Problem> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if !(essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json")))
    {
        return Err(not_json());
    }
    let bytes = read_body(request.into_body()).await?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Problem::new(
            ProblemType::MalformedJson,
            format!("the body is not valid JSON: {e}"),
        )
    })
}

fn object(value: Value) -> Result<Map<String, Value>, Problem> {
    let Value::Object(object) = value else {
        let error = FieldError::new("", &Invalid::new("the body must be a JSON object"));
        return Err(Problem::invalid_fields(vec![error]));
    };
    let mut errors = Vec::new();
    find_nul_in(&object, &String::new, &mut errors);
    if errors.is_empty() {
        Ok(object)
    } else {
        Err(Problem::invalid_fields(errors))
    }
}

/// The JSON object of a request's body, or an empty one if there is no body, or if it is null.
#[derive(Debug)]
pub struct OptionalJsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for OptionalJsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return match read_json(request).await? {
                Value::Null => Ok(Self(Map::new())),
                value => object(value).map(Self),
            };
        }
        // Without a content type, a body is not allowed.
        match read_body(request.into_body()).await?.is_empty() {
            true => Ok(Self(Map::new())),
            false => Err(not_json()),
        }
    }
}

fn not_json() -> Problem {
    Problem::new(
        ProblemType::UnsupportedMediaType,
        "send the body with Content-Type: application/json",
    )
}

/// Postgres cannot store NUL characters, and no field needs one. The pointer `at` is built only if
/// a value has one.
fn find_nul(value: &Value, at: &dyn Fn() -> String, errors: &mut Vec<FieldError>) {
    match value {
        Value::String(text) if text.contains('\0') => errors.push(FieldError::new(at(), &nul())),
        Value::Array(all) => all
            .iter()
            .enumerate()
            .for_each(|(i, v)| find_nul(v, &|| format!("{}/{i}", at()), errors)),
        Value::Object(all) => find_nul_in(all, at, errors),
        _ => {}
    }
}

fn find_nul_in(
    members: &Map<String, Value>,
    at: &dyn Fn() -> String,
    errors: &mut Vec<FieldError>,
) {
    for (name, v) in members {
        let at = || format!("{}{}", at(), pointer(name));
        if name.contains('\0') {
            errors.push(FieldError::new(at(), &nul()));
        } else {
            find_nul(v, &at, errors);
        }
    }
}

fn nul() -> Invalid {
    Invalid::new("must not contain NUL characters")
}
