//! What the operations on a completed export's files share: finding the files, and the answers if
//! they cannot be read.

use std::sync::Arc;

use crate::api::ApiState;
use crate::api::path::ExportPath;
use crate::api::problem::{Problem, ProblemType};
use crate::aws::is_access_denied;
use crate::domain::aws::failure::{AwsFailure, FailureClass};
use crate::domain::export::Export;
use crate::domain::export::output::Output;
use crate::domain::ids::ExportId;
use crate::export_reader::{ExportFiles, ReadError};

/// The export with this id, if it is COMPLETED.
pub(super) async fn completed(state: &ApiState, id: ExportId) -> Result<(Export, Output), Problem> {
    let export = state
        .store
        .find(id)
        .await?
        .ok_or_else(ExportPath::not_found)?;
    let Some(output) = Output::from_export(&export) else {
        return Err(Problem::new(
            ProblemType::NotCompleted,
            format!("the export is {}", export.status().as_str()),
        ));
    };
    Ok((export, output))
}

/// The files of the export with this id, if it is COMPLETED.
pub(super) async fn files_of(state: &ApiState, id: ExportId) -> Result<ExportFiles, Problem> {
    let (_, output) = completed(state, id).await?;
    ExportFiles::open(Arc::clone(&state.aws), output)
        .await
        .map_err(|failure| files_unreadable(&failure))
}

/// The answer if AWS did not deliver a file of an export.
pub(super) fn files_unreadable(failure: &AwsFailure) -> Problem {
    if is_access_denied(failure) {
        let needed = "reading an export requires s3:GetObject on its objects and s3:ListBucket on its bucket, and kms:Decrypt if they are encrypted with a KMS key";
        return Problem::new(ProblemType::RefusedByAws, format!("{failure} ({needed})"));
    }
    if failure.class == FailureClass::Refused {
        return Problem::new(ProblemType::RefusedByAws, failure.to_string());
    }
    tracing::warn!(
        aws.error.code = failure.code,
        aws.error.message = failure.message,
        "files of an export could not be read"
    );
    Problem::new(
        ProblemType::AwsUnavailable,
        format!(
            "S3 did not deliver the files of the export ({})",
            failure.code
        ),
    )
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Aws(failure) => files_unreadable(&failure),
            ReadError::Missing { .. } | ReadError::Malformed { .. } => {
                Self::new(ProblemType::OutputUnreadable, error.to_string())
            }
        }
    }
}
