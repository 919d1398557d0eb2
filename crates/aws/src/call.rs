//! Measures a call to AWS: duration, outcome and span.

use std::future::Future;
use std::time::Instant;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::clients;
use super::error::{TIMED_OUT, classify};
use super::operations::Operation;
use tableferry_domain::aws::failure::{AwsFailure, FailureClass};
use tableferry_telemetry::metrics_catalog::{AWS_CALLS, THROTTLES};

/// A call that was answered but not yet classified.
#[derive(Debug)]
pub(super) struct Call {
    operation: Operation,
    began: Instant,
    seconds: f64,
    span: Span,
}

/// Makes a call. Returns the answer and the [`Call`], whose end must be recorded.
pub(super) fn make<T>(
    operation: Operation,
    call: impl Future<Output = T> + Send,
) -> impl Future<Output = (T, Call)> + Send
where
    T: Send,
{
    // The SDK's futures take tens of kilobytes; boxing keeps them out of the futures that await
    // them.
    let call = Box::pin(call);
    async move {
        // A call for many exports belongs to no trace.
        let span = if Span::current().is_none() {
            Span::none()
        } else {
            span_of(operation.method())
        };
        let began = Instant::now();
        let answer = call.instrument(span.clone()).await;
        (
            answer,
            Call {
                operation,
                began,
                seconds: began.elapsed().as_secs_f64(),
                span,
            },
        )
    }
}

fn span_of(method: &'static str) -> Span {
    tracing::error_span!(
        "aws call",
        otel.name = method,
        otel.kind = "client",
        otel.status_code = Empty,
        rpc.system.name = "aws-api",
        rpc.method = method,
        aws.outcome = Empty,
    )
}

impl Call {
    /// Records the end of the call: with this failure, or successfully.
    pub(super) fn ended(self, failure: Option<&AwsFailure>) {
        let outcome = failure.map_or("ok", |failure| failure.class.as_str());
        metrics::histogram!(AWS_CALLS, "rpc_system_name" => "aws-api", "rpc_method" => self.operation.method(), "outcome" => outcome)
            .record(self.seconds);
        if failure.is_some_and(|failure| failure.code == TIMED_OUT) {
            clients::timed_out(self.began);
        }
        if failure.is_some_and(|failure| failure.class == FailureClass::Throttled) {
            metrics::counter!(THROTTLES, "rpc_method" => self.operation.method()).increment(1);
        }
        self.span.record("aws.outcome", outcome);
        if failure.is_some() {
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

/// Makes a call and classifies its failure.
pub(super) fn ask<T, E, R>(
    operation: Operation,
    call: impl Future<Output = Result<T, SdkError<E, R>>> + Send,
) -> impl Future<Output = Result<T, AwsFailure>> + Send
where
    T: Send,
    E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    R: std::fmt::Debug + Send + 'static,
{
    let made = make(operation, call);
    async move {
        let (answer, call) = made.await;
        let answer = answer.map_err(|error| classify(&error));
        call.ended(answer.as_ref().err());
        answer
    }
}
