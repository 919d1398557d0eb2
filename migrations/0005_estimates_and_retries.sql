-- Retries of exports that came to nothing, and what was expected of an export when it was accepted.

ALTER TABLE exports
    -- retry.max_attempts: how many exports are made for one request, the first included. 1 is none but the first.
    ADD COLUMN retry_max_attempts integer NOT NULL DEFAULT 1 CHECK (retry_max_attempts BETWEEN 1 AND 10),
    -- Which attempt this is, from 1.
    ADD COLUMN attempt integer NOT NULL DEFAULT 1 CHECK (attempt > 0),
    -- The export that this one repeats. No foreign key: it outlives a record that is deleted.
    ADD COLUMN retry_of uuid,
    -- What the expected duration rests on; null when nothing was estimated.
    ADD COLUMN estimate_basis text CHECK (estimate_basis IN ('past_exports_of_this_table', 'similar_size', 'known_range')),
    -- How long AWS is expected to take.
    ADD COLUMN estimated_duration_ms bigint CHECK (estimated_duration_ms > 0),
    -- What AWS is expected to bill; null when the table's size is not known.
    ADD COLUMN estimated_size_bytes bigint CHECK (estimated_size_bytes >= 0),
    -- The price of a GB (10^9 bytes) in the table's region when it was accepted, by the settings.
    ADD COLUMN price_usd_per_gb double precision CHECK (price_usd_per_gb >= 0),
    ADD CONSTRAINT exports_retry_of_iff_later_attempt CHECK ((retry_of IS NULL) = (attempt = 1)),
    ADD CONSTRAINT exports_estimate_is_whole CHECK ((estimate_basis IS NULL) = (estimated_duration_ms IS NULL)
        AND (estimate_basis IS NULL) = (price_usd_per_gb IS NULL)
        AND (estimated_size_bytes IS NULL OR estimate_basis IS NOT NULL));

-- POST /v1/exports/{id}/retry, retried_by of each export, and the proof that no export is retried twice.
CREATE UNIQUE INDEX exports_retry_of ON exports (retry_of);
-- Estimates: the latest exports of a table that are COMPLETED, with what they took.
CREATE INDEX exports_completed_by_table ON exports (table_arn, export_type, id) WHERE export_status = 'COMPLETED';
