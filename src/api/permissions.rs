//! What each operation requires, and whether it calls AWS: read from the OpenAPI document.
//!
//! A handler declares its scope once, by `security(…)`; the document shows it, and the
//! authentication layer enforces it. An operation that declares nothing is denied to everyone.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

use crate::domain::caller::scope::Scope;

/// The scheme of `security(…)` at handlers.
pub(super) const SCHEME: &str = "bearer";

/// The extension by which a handler declares that it calls AWS: `true`, or the name of a query
/// parameter that makes it do so. It is not part of the published document.
pub(super) const ASKS_AWS: &str = "x-asks-aws";

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Everyone,
    /// Callers with this scope.
    Scope(Scope),
    /// The handler declares nothing.
    Nobody,
}

/// When an operation calls AWS before it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AsksAws {
    Never,
    Always,
    /// If this query parameter is `true`.
    If(String),
}

/// What one operation declares.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub access: Access,
    pub asks_aws: AsksAws,
}

/// What every operation declares, by its path and method.
#[derive(Debug, Clone, Default)]
pub(super) struct Permissions(Arc<HashMap<String, Vec<(Method, Declared)>>>);

impl From<&OpenApi> for Permissions {
    fn from(document: &OpenApi) -> Self {
        let operations = |item: &PathItem| -> Vec<(Method, Declared)> {
            let operations = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            operations
                .into_iter()
                .filter_map(|(method, operation)| {
                    let operation = operation.as_ref()?;
                    let declared = Declared {
                        access: access(operation),
                        asks_aws: asks_aws(operation),
                    };
                    Some((method, declared))
                })
                .collect()
        };
        Self(Arc::new(
            document
                .paths
                .paths
                .iter()
                .map(|(path, item)| (path.clone(), operations(item)))
                .collect(),
        ))
    }
}

impl Permissions {
    /// What the operation of this route declares; `None` if there is none, which the router
    /// answers.
    pub(super) fn declared(&self, method: &Method, route: &str) -> Option<&Declared> {
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
            .map(|(_, declared)| declared)
    }
}

/// Whether callers must authenticate for this operation.
pub(super) fn is_closed(operation: &Operation) -> bool {
    access(operation) != Access::Everyone
}

/// The scope that this operation requires, if any.
pub(super) fn scope_of(operation: &Operation) -> Option<Scope> {
    match access(operation) {
        Access::Scope(scope) => Some(scope),
        Access::Everyone | Access::Nobody => None,
    }
}

/// `[{}]` admits everyone, `[{"bearer": [scope]}]` requires the scope.
fn access(operation: &Operation) -> Access {
    let declared = serde_json::to_value(&operation.security).unwrap_or_default();
    let Some([requirement]) = declared.as_array().map(Vec::as_slice) else {
        return Access::Nobody;
    };
    if requirement
        .as_object()
        .is_some_and(serde_json::Map::is_empty)
    {
        return Access::Everyone;
    }
    match requirement[SCHEME].as_array().map(Vec::as_slice) {
        Some([scope]) => scope
            .as_str()
            .and_then(|scope| Scope::parse(scope).ok())
            .map_or(Access::Nobody, Access::Scope),
        _ => Access::Nobody,
    }
}

fn asks_aws(operation: &Operation) -> AsksAws {
    let extensions = operation.extensions.as_ref();
    match extensions.and_then(|extensions| extensions.get(ASKS_AWS)) {
        Some(Value::Bool(true)) => AsksAws::Always,
        Some(Value::String(parameter)) => AsksAws::If(parameter.clone()),
        _ => AsksAws::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::ProblemType;

    /// The operations that can answer one of these problems, and whether each declares that it
    /// calls AWS.
    fn operations_with(problems: &[ProblemType]) -> Vec<(String, AsksAws)> {
        let document = crate::api::routes().into_openapi();
        let mut found = Vec::new();
        for (path, item) in &document.paths.paths {
            let operations = [&item.get, &item.put, &item.post, &item.delete, &item.patch];
            for operation in operations.into_iter().flatten() {
                let responses = serde_json::to_string(&operation.responses).unwrap();
                let answers =
                    |kind: &ProblemType| responses.contains(&format!("\"{}\"", kind.uri()));
                if problems.iter().any(answers) {
                    let id = operation.operation_id.clone().unwrap_or_default();
                    found.push((format!("{id} {path}"), asks_aws(operation)));
                }
            }
        }
        found
    }

    #[test]
    fn operations_that_answer_for_aws_declare_that_they_ask_it() {
        let found = operations_with(&[ProblemType::AwsUnavailable, ProblemType::RefusedByAws]);
        assert!(found.len() >= 5, "{found:?}");
        for (operation, asks_aws) in found {
            assert_ne!(
                asks_aws,
                AsksAws::Never,
                "{operation} lacks extensions((\"{ASKS_AWS}\" = …))"
            );
        }
    }
}
