//! `GET /problems/{name}`: explains a problem's `type`.

use axum::Json;
use axum::extract::Path;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::docs::problems;
use super::problem::{Problem, ProblemType};

/// The meaning of a type of problem.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemExplanation {
    /// The type's URI.
    #[schema(value_type = ProblemType)]
    pub r#type: String,
    /// The type in words.
    pub title: &'static str,
    /// The HTTP status of the response.
    pub status: u16,
    /// What the problem means and what the caller can do.
    pub explanation: &'static str,
}

problems!(ExplainProblems = NONE, NotFound);

/// Explain a type of problem
///
/// The `type` of every problem document is a path that can be looked up here.
#[utoipa::path(
    get,
    path = "/problems/{name}",
    tag = "Operations",
    security(()),
    params(("name" = String, Path, description = "The last part of the type", example = "validation-failed")),
    responses((status = 200, description = "The explanation", body = ProblemExplanation), ExplainProblems)
)]
pub async fn explain_problem(
    Path(name): Path<String>,
) -> Result<Json<ProblemExplanation>, Problem> {
    let kind = ProblemType::ALL
        .iter()
        .find(|kind| kind.describe().name == name);
    let kind = kind
        .ok_or_else(|| Problem::new(ProblemType::NotFound, "no type of problem has this name"))?;
    let described = kind.describe();
    Ok(Json(ProblemExplanation {
        r#type: kind.uri(),
        title: described.title,
        status: described.status,
        explanation: described.explanation,
    }))
}
