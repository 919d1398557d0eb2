//! Decides which traces are recorded: once per unit of work, before its span is made. A unit of
//! work that is not recorded makes no span of OpenTelemetry, which would cost as much as one that
//! is sent, and neither do the calls within it.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::{
    Config, IdGenerator, RandomIdGenerator, SamplingDecision, ShouldSample,
};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{self, Filter};
use tracing_subscriber::registry::LookupSpan;

/// The decision about a unit of work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    /// Its trace: its parent's, or a new one.
    pub(super) trace_id: TraceId,
    /// Whether it is recorded.
    pub(super) recorded: bool,
}

thread_local! {
    /// The decision about the unit of work whose span this thread is making. `None` while it makes
    /// none, or one within a unit of work.
    static BEGINNING: Cell<Option<Decision>> = const { Cell::new(None) };
}

impl Decision {
    /// Makes the span of the unit of work.
    pub(super) fn begin<T>(self, make: impl FnOnce() -> T) -> T {
        struct Made;
        impl Drop for Made {
            fn drop(&mut self) {
                BEGINNING.set(None);
            }
        }
        BEGINNING.set(Some(self));
        let _made = Made;
        make()
    }
}

/// Passes only spans of recorded units of work on to OpenTelemetry.
#[derive(Debug)]
pub(super) struct Sampling {
    sampler: Box<dyn ShouldSample>,
    ours: Targets,
}

impl Sampling {
    /// Configured by `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`, as the SDK reads them.
    pub(super) fn from_env() -> Self {
        // Only spans of our own code: libraries make many, and their contents were not reviewed.
        Self {
            sampler: Config::default().sampler,
            ours: Targets::new().with_target("tableferry", LevelFilter::INFO),
        }
    }

    /// Decides about a unit of work with this parent. The available samplers use the trace and the
    /// parent, not the span.
    pub(super) fn decide(&self, parent: Option<&Context>) -> Decision {
        let of_parent = parent.map(|parent| parent.span().span_context().trace_id());
        let trace_id = of_parent.unwrap_or_else(|| Ids::default().new_trace_id());
        let result =
            self.sampler
                .should_sample(parent, trace_id, "", &SpanKind::Internal, &[], &[]);
        Decision {
            trace_id,
            recorded: result.decision == SamplingDecision::RecordAndSample,
        }
    }
}

impl<S> Filter<S> for Sampling
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn enabled(&self, metadata: &Metadata<'_>, context: &layer::Context<'_, S>) -> bool {
        let recorded = BEGINNING.get().map_or_else(
            || context.lookup_current().is_some(),
            |decision| decision.recorded,
        );
        recorded && Filter::<S>::enabled(&self.ours, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Filter::<S>::callsite_enabled(&self.ours, metadata).is_never() {
            Interest::never()
        } else {
            Interest::sometimes()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.ours)
    }
}

/// Generates IDs of traces and spans. A span that begins a trace gets the ID of the decision, so
/// that the sampler decides the same again.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        BEGINNING
            .get()
            .map_or_else(|| self.0.new_trace_id(), |decision| decision.trace_id)
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
