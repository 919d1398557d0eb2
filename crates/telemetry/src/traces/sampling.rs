//! Which traces are recorded. That is decided once for each piece of work, before its span is made:
//! a piece of work that is not recorded makes no span of OpenTelemetry, which would cost as much as
//! one that is sent, and neither do the calls within.

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

/// What was decided about a piece of work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    /// Its trace: its parent's, or a new one.
    pub(super) trace_id: TraceId,
    /// Whether it is recorded.
    pub(super) recorded: bool,
}

thread_local! {
    /// What was decided about the piece of work whose span this thread is making; nothing while it
    /// makes none, or one within.
    static BEGINNING: Cell<Option<Decision>> = const { Cell::new(None) };
}

impl Decision {
    /// Makes the span of the piece of work.
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

/// Decides, and lets through to OpenTelemetry only spans of what is recorded.
#[derive(Debug)]
pub(super) struct Sampling {
    sampler: Box<dyn ShouldSample>,
    ours: Targets,
}

impl Sampling {
    /// By the variables `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`, as the SDK reads them.
    pub(super) fn from_env() -> Self {
        // Spans of our own code alone: those of libraries are many, and nobody has looked at what
        // is in them.
        Self {
            sampler: Config::default().sampler,
            ours: Targets::new().with_target("tableferry", LevelFilter::INFO),
        }
    }

    /// Decides about a piece of work with this parent. The samplers that can be chosen look at the
    /// trace and the parent, not at the span.
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

/// Ids of traces and spans. A span that begins a trace gets the id that was decided about, so that
/// the sampler says the same of it again.
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
