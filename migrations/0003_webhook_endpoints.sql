-- Webhook endpoints, what is known of receivers, and the jobs that send again what was missed.

CREATE TABLE webhook_endpoints (
    -- UUIDv7: ordered by creation, which is the order of lists.
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    url text NOT NULL,
    description text,
    -- The types of events it hears of; empty is every type.
    event_types text[] NOT NULL,
    -- It hears only of exports that bear all of these.
    labels jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object'),
    -- Headers of its own. Their values may be tokens: a sealed JSON object of names and values.
    header_names text[] NOT NULL,
    sealed_headers text,
    disabled_at timestamptz,
    -- by_caller: a caller asked for it. gone: it answered 410. failing: nothing but failures for days.
    disabled_reason text CHECK (disabled_reason IN ('by_caller', 'gone', 'failing')),
    CONSTRAINT webhook_endpoints_headers CHECK ((sealed_headers IS NULL) = (header_names = '{}')),
    CONSTRAINT webhook_endpoints_reason_iff_disabled CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
);

CREATE TABLE webhook_secrets (
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    -- 1 is the first; the highest is the current one.
    generation integer NOT NULL CHECK (generation > 0),
    sealed_secret text NOT NULL,
    created_at timestamptz NOT NULL,
    -- When it stops to sign; null: it is the current one.
    expires_at timestamptz,
    PRIMARY KEY (endpoint_id, generation)
);

CREATE UNIQUE INDEX webhook_secrets_current ON webhook_secrets (endpoint_id) WHERE expires_at IS NULL;

COMMENT ON TABLE webhook_secrets IS 'What signs the webhooks of an endpoint; all that have not expired sign together.';

CREATE TABLE webhook_signing_keys (
    id uuid PRIMARY KEY,
    -- whpk_ and base64, as receivers get it.
    public_key text NOT NULL UNIQUE,
    sealed_private_key text NOT NULL,
    created_at timestamptz NOT NULL,
    -- When it stops to sign; null: it is the current one.
    expires_at timestamptz
);

CREATE UNIQUE INDEX webhook_signing_keys_current ON webhook_signing_keys ((true)) WHERE expires_at IS NULL;

COMMENT ON TABLE webhook_signing_keys IS 'The ed25519 keys of this service (v1a); all that have not expired sign together.';

CREATE TABLE webhook_receivers (
    -- As in webhook_deliveries.
    receiver text PRIMARY KEY,
    -- The first failure after the last success, by the clock of the service.
    failing_since timestamptz NOT NULL,
    -- Failures in a row.
    failures integer NOT NULL CHECK (failures > 0),
    -- Nothing is sent before, by the database's clock: it said that it is overloaded.
    slow_until timestamptz
) WITH (fillfactor = 50);

COMMENT ON TABLE webhook_receivers IS 'One row for each receiver whose last attempt failed.';

ALTER TABLE webhook_deliveries
    -- Pings, and the disabling of an endpoint, are about no export.
    ALTER COLUMN export_id DROP NOT NULL,
    -- No foreign key: the log outlives an endpoint that is deleted. Null: a callback_url.
    ADD COLUMN endpoint_id uuid,
    -- The event of the export, so that an endpoint gets each once however often it is replayed.
    ADD COLUMN event_sequence integer,
    -- Attempts since the schedule was begun, or begun again by a resend.
    ADD COLUMN schedule_attempts integer NOT NULL DEFAULT 0 CHECK (schedule_attempts >= 0),
    -- What fails, is slow and is capped together: an endpoint, or the origin of callback URLs.
    ADD COLUMN receiver text NOT NULL
        GENERATED ALWAYS AS (coalesce(endpoint_id::text, substring(url FROM '^[a-z]+://[^/?#]+'), url)) STORED,
    DROP CONSTRAINT webhook_deliveries_status_check,
    -- ABANDONED: its receiver is gone or disabled, so nothing more is tried.
    ADD CONSTRAINT webhook_deliveries_status_check CHECK (status IN ('PENDING', 'DELIVERED', 'EXHAUSTED', 'ABANDONED'));

UPDATE webhook_deliveries SET schedule_attempts = attempts;

-- The walk from receiver to receiver, and the claim of what is due for one.
DROP INDEX webhook_deliveries_due;
CREATE INDEX webhook_deliveries_by_receiver ON webhook_deliveries (receiver, due_at) WHERE status = 'PENDING';
-- The log of an endpoint, newest first, and what of it failed.
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (endpoint_id, id) WHERE status IN ('EXHAUSTED', 'ABANDONED');
-- Each event once an endpoint.
CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (endpoint_id, export_id, event_sequence);

ALTER TABLE webhook_attempts
    -- What kind of error it was, in one stable word.
    ADD COLUMN error_class text,
    -- How the answer began.
    ADD COLUMN response_excerpt text;

-- What endpoints may have missed, in order of time.
CREATE INDEX export_events_published ON export_events (at, export_id, sequence)
    WHERE type IN ('export.started', 'export.completed', 'export.failed', 'export.timed_out', 'export.cancelled');

CREATE TABLE webhook_jobs (
    id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    -- RECOVER: deliveries that failed are tried again. REPLAY_MISSING: events that never became a delivery become one.
    kind text NOT NULL CHECK (kind IN ('RECOVER', 'REPLAY_MISSING')),
    -- What happened in this time.
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    -- It begins when no older transaction is left: one may have read the endpoints before this one was there or enabled, and commit an event yet.
    asked_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- When to go on, by the database's clock; null when it is done.
    due_at timestamptz,
    finished_at timestamptz,
    -- How far it has come: everything up to here was looked at.
    cursor_at timestamptz,
    cursor_id uuid,
    cursor_sequence integer,
    -- Deliveries or events looked at, and deliveries that are sent because of it.
    examined bigint NOT NULL DEFAULT 0,
    queued bigint NOT NULL DEFAULT 0,
    CONSTRAINT webhook_jobs_due_until_finished CHECK ((due_at IS NULL) = (finished_at IS NOT NULL))
);

CREATE INDEX webhook_jobs_due ON webhook_jobs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_jobs_by_endpoint ON webhook_jobs (endpoint_id, id);
