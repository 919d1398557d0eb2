//! Sends recorded spans to a collector.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::sampling::{Ids, Sampling};
use tableferry_domain::error_chain::in_words;

/// How long the process waits for the last spans to be sent when it ends.
const FLUSH: Duration = Duration::from_secs(2);

/// Limits one request to the collector, unless OpenTelemetry's own timeout is shorter.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The TLS library cannot be set up.
    #[error("cannot set up the HTTP client for traces")]
    Client(#[source] reqwest::Error),
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

/// Sends spans to a collector, in batches, from a thread of its own.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl fmt::Debug for Traces {
    // The provider would show the collector's headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}

impl Traces {
    /// Configured by the variables `OTEL_EXPORTER_OTLP_…` and `OTEL_TRACES_SAMPLER`. Needs a
    /// running tokio.
    pub fn to_collector() -> Result<Self, TracesError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the operator's own address, not a caller's"
        )]
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(SEND_TIMEOUT)
            .build()
            .map_err(TracesError::Client)?;
        let sender = Sender {
            client,
            runtime: Handle::current(),
            failing: AtomicBool::new(false),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_protocol(Protocol::HttpBinary)
            .build()?;
        let provider = SdkTracerProvider::builder().with_id_generator(Ids::default());
        let provider = provider
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        Ok(Self { provider })
    }

    /// Turns recorded spans of tracing into spans of OpenTelemetry.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("tableferry"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false) // no code here asks OpenTelemetry for the current span
            .with_filter(Sampling::from_env())
    }

    /// Sends the remaining spans, at the end of the process.
    pub async fn finish(self) {
        // It waits for its own thread, which waits for this runtime.
        let sent =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH)).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(
                error.message = in_words(&error),
                "the last traces were not sent"
            );
        }
    }
}

/// The resource in OpenTelemetry's variables, otherwise this program.
fn resource() -> Resource {
    let detected = Resource::builder().build();
    let named = detected
        .get(&Key::from_static_str("service.name"))
        .is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if named {
        builder.build()
    } else {
        builder.with_service_name("tableferry").build()
    }
}

/// An HTTP client for the exporter's thread, on which tokio does not run.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.execute(request.try_into()?).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = Response::new(response.bytes().await?);
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok::<_, reqwest::Error>(answer)
        });
        let answer = sent.await?.map_err(reqwest::Error::without_url);
        let failure = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answered {}", answer.status())),
            Err(error) => Some(in_words(error)),
        };
        let failing = failure.is_some();
        let failed = self.failing.swap(failing, Ordering::Relaxed);
        match failure {
            Some(why) if !failed => tracing::warn!(error.message = why, "traces cannot be sent"),
            None if failed => tracing::info!("traces are sent again"),
            _ => {}
        }
        Ok(answer?)
    }
}
