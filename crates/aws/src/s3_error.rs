//! What a failed S3 call means.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tableferry_domain::aws::failure::{AwsFailure, FailureClass};

use super::call::Call;
use super::error::classify;

/// Whether S3 denies the caller this operation. Unknown credentials are another failure.
#[must_use]
pub fn is_access_denied(failure: &AwsFailure) -> bool {
    matches!(
        failure.code.as_str(),
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "AccountProblem"
    )
}

/// Whether S3 says that the bucket is in another region.
#[must_use]
pub fn is_elsewhere(failure: &AwsFailure) -> bool {
    matches!(
        failure.code.as_str(),
        "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
    )
}

/// Classifies a failed S3 call. Responses to HEAD have no body, so only their status counts.
fn classify_s3<E>(error: &SdkError<E, HttpResponse>) -> AwsFailure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let SdkError::ServiceError(context) = error else {
        return classify(error);
    };
    let by_status = match context.raw().status().as_u16() {
        301 | 307 => "PermanentRedirect",
        400 => "BadRequest",
        403 => "AccessDenied",
        404 => "NotFound",
        416 => "InvalidRange",
        503 => "SlowDown",
        _ => "UnknownError",
    };
    let code = context.err().code().unwrap_or(by_status).to_owned();
    let class = match code.as_str() {
        "NoSuchBucket" | "NoSuchKey" | "NotFound" | "InvalidObjectState" | "InvalidRange"
        | "InvalidBucketName" | "MethodNotAllowed" => FailureClass::Refused,
        "AccessDenied"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "RequestTimeTooSkewed" => FailureClass::Denied,
        "SlowDown" | "RequestTimeout" | "BandwidthLimitExceeded" => FailureClass::Throttled,
        // S3 passes on KMS's codes for keys that are disabled, pending deletion or deleted.
        code if code.starts_with("KMS.") => FailureClass::Refused,
        _ => classify(error).class,
    };
    let message = context
        .err()
        .message()
        .unwrap_or("S3 gave no message")
        .to_owned();
    AwsFailure {
        class,
        code,
        message,
    }
}

/// Records how an S3 call ended and classifies its failure.
pub(super) fn finish<T, E>(
    call: Call,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<T, AwsFailure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let answer = answer.map_err(|error| classify_s3(&error));
    // A missing object is an answer, not a failed call.
    call.ended(answer.as_ref().err().filter(|failure| !is_missing(failure)));
    answer
}

/// Whether S3 says that the object or bucket does not exist.
pub(super) fn is_missing(failure: &AwsFailure) -> bool {
    matches!(failure.code.as_str(), "NoSuchKey" | "NotFound")
}
