-- Fewer writes for each export that is accepted, pages of lists read from an index whatever the filter, and when an end is likely.

-- Exports without a key, an ARN or a predecessor have no entry.
DROP INDEX exports_idempotency_key;
CREATE UNIQUE INDEX exports_idempotency_key ON exports (idempotency_key) WHERE idempotency_key IS NOT NULL;
DROP INDEX exports_export_arn;
CREATE UNIQUE INDEX exports_export_arn ON exports (export_arn) WHERE export_arn IS NOT NULL;
DROP INDEX exports_retry_of;
CREATE UNIQUE INDEX exports_retry_of ON exports (retry_of) WHERE retry_of IS NOT NULL;

-- An id holds the time it was made at, so a range of times is a range of the primary key.
DROP INDEX exports_list_by_created;
-- GET /v1/exports?export_type=…
CREATE INDEX exports_list_by_type ON exports (export_type, id);
-- GET /v1/exports?table_arn=…&export_status=…
CREATE INDEX exports_list_by_table_and_status ON exports (table_arn, export_status, id);
-- GET /v1/exports?s3_bucket=…&export_status=…
CREATE INDEX exports_list_by_bucket_and_status ON exports (s3_bucket, export_status, id);

-- GET /v1/exports?label=…: a GIN index cannot give the newest fifty of very many.
DROP INDEX exports_list_by_label;
CREATE TABLE export_labels (
    -- '<key>:<value>'; a key has no colon.
    label text NOT NULL,
    export_id uuid NOT NULL,
    PRIMARY KEY (label, export_id)
);
COMMENT ON TABLE export_labels IS 'The labels of each export, by which lists are filtered. Written and removed with the export, by the same statement.';
INSERT INTO export_labels (label, export_id) SELECT each.key || ':' || each.value, id FROM exports, jsonb_each_text(labels) AS each;

-- Checking these references took a third of the time that storing an export takes. What belongs to an export is inserted by the
-- statement that inserts it, or in a transaction that has changed its row, and removed by the statement that removes it.
ALTER TABLE export_schedule DROP CONSTRAINT export_schedule_export_id_fkey;
ALTER TABLE export_events DROP CONSTRAINT export_events_export_id_fkey;

ALTER TABLE exports
    -- Between which ages, from AWS's start, its end is likely by the past exports of its table; null when there are none.
    ADD COLUMN likely_end_from_ms bigint CHECK (likely_end_from_ms >= 0),
    ADD COLUMN likely_end_to_ms bigint CHECK (likely_end_to_ms >= likely_end_from_ms),
    ADD CONSTRAINT exports_likely_end_is_whole CHECK ((likely_end_from_ms IS NULL) = (likely_end_to_ms IS NULL)
        AND (likely_end_from_ms IS NULL OR estimate_basis IS NOT DISTINCT FROM 'past_exports_of_this_table'));
