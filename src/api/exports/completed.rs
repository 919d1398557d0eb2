//! What the calls about a completed export's files share: finding them, and saying what is wrong
//! when they cannot be read.

use std::sync::Arc;

use crate::api::ApiState;
use crate::api::problem::{Problem, ProblemType};
use crate::aws::is_access_denied;
use crate::domain::aws_failure::{AwsFailure, FailureClass};
use crate::domain::export::Export;
use crate::domain::ids::ExportId;
use crate::domain::output::Output;
use crate::export_reader::{ExportFiles, ReadError};

/// The export of this id, if it is COMPLETED.
pub(super) async fn completed(state: &ApiState, id: ExportId) -> Result<(Export, Output), Problem> {
    let export = state
        .store
        .find(id)
        .await?
        .ok_or_else(Problem::no_such_export)?;
    let Some(output) = Output::of(&export) else {
        return Err(Problem::new(
            ProblemType::NotCompleted,
            format!("the export is {}", export.status().as_str()),
        ));
    };
    Ok((export, output))
}

/// The files of the export of this id, if it is COMPLETED.
pub(super) async fn files_of(state: &ApiState, id: ExportId) -> Result<ExportFiles, Problem> {
    let (_, output) = completed(state, id).await?;
    Ok(ExportFiles::open(Arc::clone(&state.aws), output).await?)
}

impl From<AwsFailure> for Problem {
    fn from(failure: AwsFailure) -> Self {
        if is_access_denied(&failure) {
            let needed = "reading an export needs s3:GetObject on its objects and s3:ListBucket on its bucket, and kms:Decrypt where they are encrypted with a KMS key";
            return Self::new(ProblemType::RefusedByAws, format!("{failure} ({needed})"));
        }
        if failure.class == FailureClass::Refused {
            return Self::new(ProblemType::RefusedByAws, failure.to_string());
        }
        tracing::warn!(
            aws.error.code = failure.code,
            aws.error.message = failure.message,
            "files of an export could not be read"
        );
        Self::new(
            ProblemType::AwsUnavailable,
            format!("S3 did not give the files of the export ({})", failure.code),
        )
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Aws(failure) => failure.into(),
            ReadError::Missing { .. } | ReadError::Malformed { .. } => {
                Self::new(ProblemType::OutputUnreadable, error.to_string())
            }
        }
    }
}
