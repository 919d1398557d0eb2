//! Traces: the only module that uses OpenTelemetry. The trace of a request is stored with its
//! export ([`TraceParent`]), so the spans of later steps, calls to AWS and webhooks belong to it,
//! in any process.
//!
//! Without a collector no span is recorded, but the `traceparent` of a request is still passed on.

mod collector;
mod sampling;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::IdGenerator as _;
use tracing::field::{DisplayValue, display};
use tracing::{Span, dispatcher};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use tableferry_domain::trace::TraceParent;

pub use collector::{Traces, TracesError};
use sampling::{Ids, Sampling};

/// Begins a unit of work as part of a trace. `make` gets the trace's ID for log lines and makes the
/// span. Returns the span, and the parent for what it causes: the span itself if there is a
/// collector, otherwise `parent`.
pub fn begin(
    parent: Option<TraceParent>,
    make: impl FnOnce(Option<DisplayValue<TraceId>>) -> Span,
) -> (Span, Option<TraceParent>) {
    let context = parent.map(context_of);
    let decided = dispatcher::get_default(|subscriber| {
        Some(
            subscriber
                .downcast_ref::<Sampling>()?
                .decide(context.as_ref()),
        )
    });
    let Some(decision) = decided else {
        return (
            make(parent.map(|parent| display(trace_id_of(parent)))),
            parent,
        );
    };
    let trace_id = decision.trace_id;
    if !decision.recorded {
        let span = decision.begin(|| make(Some(display(trace_id))));
        return (
            span,
            trace_parent(
                trace_id,
                Ids::default().new_span_id(),
                TraceFlags::NOT_SAMPLED,
            ),
        );
    }
    decision.begin(|| {
        let span = make(Some(display(trace_id)));
        if let Some(context) = context {
            // Fails for a span that is not recorded.
            let _ = span.set_parent(context);
        }
        let context = span.context();
        let own = context.span().span_context().clone();
        (
            span,
            trace_parent(own.trace_id(), own.span_id(), own.trace_flags()).or(parent),
        )
    })
}

fn context_of(parent: TraceParent) -> Context {
    let span_id = SpanId::from_bytes(parent.span_id().to_be_bytes());
    let flags = TraceFlags::new(parent.flags());
    Context::new().with_remote_span_context(SpanContext::new(
        trace_id_of(parent),
        span_id,
        flags,
        true,
        TraceState::default(),
    ))
}

fn trace_id_of(parent: TraceParent) -> TraceId {
    TraceId::from_bytes(parent.trace_id().to_be_bytes())
}

fn trace_parent(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Option<TraceParent> {
    TraceParent::new(
        u128::from_be_bytes(trace_id.to_bytes()),
        u64::from_be_bytes(span_id.to_bytes()),
        flags.to_u8(),
    )
}
