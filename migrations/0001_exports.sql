-- Exports, the schedule by which they are looked at, and their history.

CREATE TABLE exports (
    -- UUIDv7: ordered by creation, which is the order of lists.
    id uuid PRIMARY KEY,
    -- Grows by one with every change. Writers name the version they saw, so that a late one changes nothing.
    version integer NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- Asked for here, or started elsewhere and adopted.
    origin text NOT NULL CHECK (origin IN ('created', 'imported')),

    -- The request. What AWS settles later (an open export_time, say) is written over the open value.
    table_arn text NOT NULL,
    account_id text NOT NULL CHECK (account_id ~ '^[0-9]{12}$'),
    region text NOT NULL,
    s3_bucket text NOT NULL,
    s3_bucket_owner text CHECK (s3_bucket_owner ~ '^[0-9]{12}$'),
    s3_prefix text CHECK (s3_prefix <> ''),
    s3_sse_algorithm text CHECK (s3_sse_algorithm IN ('AES256', 'KMS')),
    s3_sse_kms_key_id text,
    export_format text NOT NULL CHECK (export_format IN ('DYNAMODB_JSON', 'ION')),
    export_type text NOT NULL CHECK (export_type IN ('FULL_EXPORT', 'INCREMENTAL_EXPORT')),
    export_time timestamptz,
    export_from_time timestamptz,
    export_to_time timestamptz,
    export_view_type text CHECK (export_view_type IN ('NEW_IMAGE', 'NEW_AND_OLD_IMAGES')),
    filter_specification jsonb,
    -- timeouts.create as it was written, and its length.
    create_timeout text NOT NULL,
    create_timeout_ms bigint NOT NULL CHECK (create_timeout_ms > 0),
    callback_url text,
    callback_secret text,
    labels jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object'),

    -- The caller's Idempotency-Key and the SHA-256 of the request that came with it.
    idempotency_key text,
    request_fingerprint bytea,

    -- AWS honours a token for 8 hours; it is stored before AWS is called, with the time it was made.
    client_token text,
    client_token_made_at timestamptz,

    export_status text NOT NULL
        CHECK (export_status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT')),
    status_reason text,

    -- What AWS said.
    export_arn text,
    table_id text,
    start_time timestamptz,
    end_time timestamptz,
    item_count bigint CHECK (item_count >= 0),
    billed_size_in_bytes bigint CHECK (billed_size_in_bytes >= 0),
    manifest_key text,
    -- Who ended it: aws failed it after accepting it, or refused to start it.
    failure_source text CHECK (failure_source IN ('aws', 'refused')),
    failure_code text,
    failure_message text,

    CONSTRAINT exports_kms_key_needs_kms CHECK (s3_sse_kms_key_id IS NULL OR s3_sse_algorithm IS NOT DISTINCT FROM 'KMS'),
    CONSTRAINT exports_window_iff_incremental CHECK (
        CASE export_type
            WHEN 'INCREMENTAL_EXPORT' THEN export_from_time IS NOT NULL AND export_view_type IS NOT NULL AND export_time IS NULL
            ELSE export_from_time IS NULL AND export_to_time IS NULL AND export_view_type IS NULL
        END),
    CONSTRAINT exports_secret_needs_callback CHECK (callback_secret IS NULL OR callback_url IS NOT NULL),
    CONSTRAINT exports_fingerprint_with_key CHECK ((idempotency_key IS NULL) = (request_fingerprint IS NULL)),
    CONSTRAINT exports_created_has_token CHECK (
        origin = 'imported' OR (client_token IS NOT NULL AND client_token_made_at IS NOT NULL)),
    -- A state holds exactly what is true in it.
    CONSTRAINT exports_arn_by_status CHECK (
        CASE export_status
            WHEN 'PENDING' THEN export_arn IS NULL
            WHEN 'CANCELLED' THEN export_arn IS NULL
            WHEN 'IN_PROGRESS' THEN export_arn IS NOT NULL
            WHEN 'COMPLETED' THEN export_arn IS NOT NULL
            WHEN 'FAILED' THEN (failure_source = 'aws') = (export_arn IS NOT NULL)
            ELSE true
        END),
    CONSTRAINT exports_accepted_needs_arn CHECK (export_arn IS NOT NULL OR (table_id IS NULL AND start_time IS NULL)),
    CONSTRAINT exports_failure_iff_failed CHECK (
        (export_status = 'FAILED') = (failure_source IS NOT NULL)
        AND (failure_source IS NULL) = (failure_code IS NULL)
        AND (failure_source IS NULL) = (failure_message IS NULL)),
    CONSTRAINT exports_end_time_by_aws CHECK (
        end_time IS NULL OR export_status = 'COMPLETED' OR (export_status = 'FAILED' AND failure_source = 'aws')),
    CONSTRAINT exports_written_iff_completed CHECK (
        export_status = 'COMPLETED' OR (item_count IS NULL AND billed_size_in_bytes IS NULL AND manifest_key IS NULL))
);

COMMENT ON TABLE exports IS 'One row an export, written only when the export changes.';

-- POST /v1/exports with an Idempotency-Key.
CREATE UNIQUE INDEX exports_idempotency_key ON exports (idempotency_key);
-- POST /v1/exports/import, and the proof that no export of AWS is followed twice.
CREATE UNIQUE INDEX exports_export_arn ON exports (export_arn);
-- GET /v1/exports, a filter each; newest first is the order of ids.
CREATE INDEX exports_list_by_status ON exports (export_status, id);
CREATE INDEX exports_list_by_table ON exports (table_arn, id);
CREATE INDEX exports_list_by_bucket ON exports (s3_bucket, id);
CREATE INDEX exports_list_by_created ON exports (created_at, id);
-- Removing old ones.
CREATE INDEX exports_ended ON exports (updated_at) WHERE export_status NOT IN ('PENDING', 'IN_PROGRESS');
CREATE INDEX exports_list_by_label ON exports USING gin (labels jsonb_path_ops);

CREATE TABLE export_schedule (
    export_id uuid PRIMARY KEY REFERENCES exports (id) ON DELETE CASCADE,
    -- '<account>/<region>': what AWS throttles and limits together.
    lane text NOT NULL,
    -- START: AWS is to be asked to start it. FOLLOW: AWS is asked how it goes.
    phase text NOT NULL CHECK (phase IN ('START', 'FOLLOW')),
    -- When to look at it next, by the database's clock. Claiming moves it ahead, so nothing needs to be released.
    due_at timestamptz NOT NULL,
    -- The delay between two looks; claiming a look adds it to now, so that an unchanged look costs one write.
    delay_ms bigint NOT NULL CHECK (delay_ms >= 0),
    -- Grows with every claim. Writers name the claim they hold, so that a late one changes nothing.
    claims integer NOT NULL DEFAULT 0 CHECK (claims >= 0),
    -- Failed AWS calls in a row.
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    -- Since when a start may be on its way to AWS, or have been accepted without our hearing of it. Such an export cannot be cancelled.
    start_sent_at timestamptz,
    -- When timeouts.create ends, by the clock of the service: an export that waits for its start times out without a call.
    deadline_at timestamptz NOT NULL,
    -- It is TIMED_OUT and followed slowly: it holds no place in flight.
    timed_out boolean NOT NULL DEFAULT false,
    -- Its status_reason says already that it waits for a place in flight.
    told_waiting boolean NOT NULL DEFAULT false,
    CONSTRAINT export_schedule_start_sent CHECK (phase = 'START' OR start_sent_at IS NULL)
) WITH (fillfactor = 80);

COMMENT ON TABLE export_schedule IS 'One narrow row for each export that is still looked at, so that looking does not rewrite wide rows.';

-- The walk from lane to lane, the claim of looks that are due, and the count of what is in flight in a lane.
CREATE INDEX export_schedule_by_lane ON export_schedule (lane, phase, due_at);
-- The claim of starts in the order in which the exports were created.
CREATE INDEX export_schedule_starts ON export_schedule (lane, export_id) WHERE phase = 'START';
-- Starts that are on their way or in doubt: they hold a place in flight.
CREATE INDEX export_schedule_sent ON export_schedule (lane, export_id) WHERE start_sent_at IS NOT NULL;
-- Exports that wait for their start too long.
CREATE INDEX export_schedule_overdue ON export_schedule (deadline_at) WHERE phase = 'START' AND start_sent_at IS NULL;
-- Exports that have not been told that they wait for a place in flight.
CREATE INDEX export_schedule_untold ON export_schedule (lane, export_id) WHERE phase = 'START' AND NOT told_waiting;

CREATE TABLE export_events (
    export_id uuid NOT NULL REFERENCES exports (id) ON DELETE CASCADE,
    -- The version of the export that the event led to.
    sequence integer NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    export_status text NOT NULL
        CHECK (export_status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT')),
    detail text NOT NULL,
    PRIMARY KEY (export_id, sequence)
);

COMMENT ON TABLE export_events IS 'The history of each export, oldest first by sequence.';
