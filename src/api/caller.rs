//! The caller of the request that is being answered, and what it may see and export.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::problem::{FieldError, Problem, ProblemType};
use crate::domain::aws::arn::TableArn;
use crate::domain::caller::allow::AllowList;
use crate::domain::caller::scope::Scope;
use crate::domain::caller::{Caller, CallerName};
use crate::domain::export::request::ExportRequest;
use crate::domain::invalid::Invalid;

/// The caller that the authentication layer admitted.
#[derive(Debug, Clone)]
pub struct RequestCaller(pub(super) Arc<Caller>);

impl RequestCaller {
    /// `None` where callers need not authenticate.
    pub(super) fn name(&self) -> Option<CallerName> {
        self.0.name.clone()
    }

    /// The name for a log line.
    pub(super) fn logged(&self) -> Option<&str> {
        self.0.name.as_ref().map(CallerName::as_str)
    }

    /// The tables and buckets that the caller may name.
    pub(super) fn allow(&self) -> &AllowList {
        self.0.grant.allow()
    }

    pub(super) fn has_scope(&self, scope: Scope) -> bool {
        self.0.grant.scopes().allow(scope)
    }

    /// Whether the caller may see and create exports of this table to this bucket.
    pub(super) fn may(&self, request: &ExportRequest) -> bool {
        self.allow().export(
            request.table_arn.as_str(),
            request.destination.bucket.as_str(),
        )
    }

    /// Rejects a request for a table or bucket that the caller may not name.
    pub(super) fn check(&self, request: &ExportRequest) -> Result<(), Problem> {
        let mut errors = Vec::new();
        if !self.allow().table(request.table_arn.as_str()) {
            errors.push(FieldError::new("/table_arn", &not_allowed("a table")));
        }
        if !self.allow().bucket(request.destination.bucket.as_str()) {
            errors.push(FieldError::new("/s3_bucket", &not_allowed("a bucket")));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::with_errors(ProblemType::Forbidden, errors))
        }
    }

    /// Rejects the adoption of an export of a table or bucket that the caller may not name,
    /// whether the export has a record here or not.
    pub(super) fn check_adoption(&self, request: &ExportRequest) -> Result<(), Problem> {
        if self.may(request) {
            return Ok(());
        }
        Err(forbidden("/export_arn", "an export of a table or bucket"))
    }

    /// Rejects a table that the caller may not name; `pointer` is where the request names it.
    pub(super) fn check_table(&self, pointer: &str, table: &TableArn) -> Result<(), Problem> {
        if self.allow().table(table.as_str()) {
            Ok(())
        } else {
            Err(forbidden(pointer, "a table"))
        }
    }
}

fn forbidden(pointer: &str, what: &str) -> Problem {
    Problem::with_errors(
        ProblemType::Forbidden,
        vec![FieldError::new(pointer, &not_allowed(what))],
    )
}

fn not_allowed(what: &str) -> Invalid {
    Invalid::new(format!("names {what} that this API key does not allow"))
}

impl<S: Send + Sync> FromRequestParts<S> for RequestCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller
            .ok_or_else(|| Problem::new(ProblemType::Internal, "the request was not authenticated"))
    }
}
