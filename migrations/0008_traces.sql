-- Which trace an export belongs to.

-- The traceparent of W3C Trace Context that the request came with, or that was made for it; null if there is none. What is done for the
-- export later, and the webhooks that tell of it, continue this trace.
ALTER TABLE exports
    ADD COLUMN trace_parent text,
    ADD CONSTRAINT exports_trace_parent_form CHECK (trace_parent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$');
