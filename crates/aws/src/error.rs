//! Classifies each failed call once.
//!
//! ThrottlingException, ValidationException and AccessDeniedException are not in DynamoDB's model
//! of exports; the SDK hands them over unhandled, so codes are matched by name.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::roles::RoleNotAssumed;
use tableferry_domain::aws_failure::{AwsFailure, FailureClass};
use tableferry_telemetry::error_chain::{chain, in_words};

/// The code of a call that AWS did not answer in time.
pub(super) const TIMED_OUT: &str = "TimedOut";

/// What a failed call means.
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
        // Without credentials a call never leaves this process.
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

/// An answer that lacks what every answer has.
pub(super) fn bad_answer(what: &str) -> AwsFailure {
    unknown("BadResponse", format!("AWS's answer has no {what}"))
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
        // InternalServerError and whatever is not known yet: AWS may have done it.
        _ => FailureClass::Unknown,
    }
}
