-- Webhook deliveries, written in the transaction of the change that they announce, and each attempt at one.

CREATE TABLE webhook_deliveries (
    -- Receivers see it as webhook-id, the same on every attempt.
    id uuid PRIMARY KEY,
    -- No foreign key: a delivery outlives a record that is deleted.
    export_id uuid NOT NULL,
    event_type text NOT NULL,
    url text NOT NULL,
    -- The secret that came with the request; null signs with the service's own.
    signing_secret text,
    -- The exact bytes that are sent and signed.
    body text NOT NULL,
    status text NOT NULL CHECK (status IN ('PENDING', 'DELIVERED', 'EXHAUSTED')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- When to try next, by the database's clock; null when there is nothing left to do.
    due_at timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT webhook_deliveries_due_iff_pending CHECK ((status = 'PENDING') = (due_at IS NOT NULL))
);

-- The claim of due deliveries.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE status = 'PENDING';
-- Removing old ones.
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (created_at) WHERE status <> 'PENDING';
-- The deliveries of one export.
CREATE INDEX webhook_deliveries_by_export ON webhook_deliveries (export_id);

CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    -- 1 for the first.
    attempt integer NOT NULL CHECK (attempt > 0),
    at timestamptz NOT NULL,
    duration_ms bigint NOT NULL CHECK (duration_ms >= 0),
    -- The receiver's answer; null when there was none.
    status_code integer,
    -- What went wrong, in words; null when it was delivered.
    error text,
    PRIMARY KEY (delivery_id, attempt),
    CONSTRAINT webhook_attempts_answer_or_error CHECK (status_code IS NOT NULL OR error IS NOT NULL)
);
