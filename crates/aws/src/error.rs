//! Classifies failed calls.
//!
//! The model of DynamoDB's export calls lacks ThrottlingException, ValidationException and
//! AccessDeniedException; the SDK returns them unhandled, so codes are matched by name.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::roles::RoleNotAssumed;
use tableferry_domain::aws::failure::{AwsFailure, FailureClass};
use tableferry_domain::error_chain::{chain, in_words};

/// The code of a call that timed out.
pub(super) const TIMED_OUT: &str = "TimedOut";

pub(super) fn classify<E, R>(error: &SdkError<E, R>) -> AwsFailure
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let code = context.err().code().unwrap_or("UnknownError").to_owned();
            let message = context
                .err()
                .message()
                .unwrap_or("AWS gave no message")
                .to_owned();
            AwsFailure {
                class: class_of(&code),
                code,
                message,
            }
        }
        SdkError::TimeoutError(_) => unknown(TIMED_OUT, "AWS did not answer in time".to_owned()),
        SdkError::ResponseError(_) => unknown("BadResponse", in_words(error)),
        // Without credentials, the call was not sent.
        _ if let Some(why) =
            chain(error).find_map(|cause| cause.downcast_ref::<RoleNotAssumed>()) =>
        {
            AwsFailure {
                class: FailureClass::Denied,
                code: "RoleNotAssumed".to_owned(),
                message: why.to_string(),
            }
        }
        _ if chain(error).any(|cause| cause.is::<CredentialsError>()) => AwsFailure {
            class: FailureClass::Denied,
            code: "NoCredentials".to_owned(),
            message: in_words(error),
        },
        _ => unknown("ConnectionFailed", in_words(error)),
    }
}

fn unknown(code: &str, message: String) -> AwsFailure {
    AwsFailure {
        class: FailureClass::Unknown,
        code: code.to_owned(),
        message,
    }
}

/// A response without a required value.
pub(super) fn bad_answer(what: &str) -> AwsFailure {
    unknown("BadResponse", format!("AWS's response has no {what}"))
}

fn class_of(code: &str) -> FailureClass {
    match code {
        "ValidationException"
        | "TableNotFoundException"
        | "ResourceNotFoundException"
        | "PointInTimeRecoveryUnavailableException"
        | "InvalidExportTimeException"
        | "ExportConflictException"
        // KMS's.
        | "NotFoundException"
        | "InvalidArnException" => FailureClass::Refused,
        "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "SlowDown"
        | "ProvisionedThroughputExceededException" => FailureClass::Throttled,
        "LimitExceededException" => FailureClass::LimitExceeded,
        "ExportNotFoundException" => FailureClass::ExportNotFound,
        "AccessDeniedException"
        | "AccessDenied"
        | "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidSignatureException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "SignatureDoesNotMatch"
        | "OptInRequired" => FailureClass::Denied,
        // InternalServerError and unknown codes: AWS may have carried the call out.
        _ => FailureClass::Unknown,
    }
}
