//! `GET /problems/{name}`: what a problem's `type` means. Every type URI of this API can be looked
//! up.

use axum::Json;
use axum::extract::Path;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Problem, ProblemType};
use super::problem_docs::problems;

/// What a type of problem means.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemExplanation {
    /// The type's URI.
    #[schema(value_type = ProblemType)]
    pub r#type: String,
    /// The type in words.
    pub title: &'static str,
    /// The HTTP status that comes with it.
    pub status: u16,
    /// What it means and what to do.
    pub explanation: &'static str,
}

problems! {
    /// What can go wrong.
    ExplainProblems: NotFound
}

/// Explain a type of problem
///
/// The `type` of every problem document is a path that can be looked up here.
#[utoipa::path(
    get,
    path = "/problems/{name}",
    tag = "Operations",
    security(()),
    params(("name" = String, Path, description = "The last part of the type", example = "validation-failed")),
    responses((status = 200, description = "What it means", body = ProblemExplanation), ExplainProblems)
)]
pub async fn explain_problem(
    Path(name): Path<String>,
) -> Result<Json<ProblemExplanation>, Problem> {
    let kind = ProblemType::ALL
        .into_iter()
        .find(|kind| kind.describe().0 == name);
    let kind = kind.ok_or_else(|| {
        Problem::new(
            ProblemType::NotFound,
            "there is no problem type of this name",
        )
    })?;
    let (_, status, title, explanation) = kind.describe();
    Ok(Json(ProblemExplanation {
        r#type: kind.uri(),
        title,
        status: status.as_u16(),
        explanation,
    }))
}
