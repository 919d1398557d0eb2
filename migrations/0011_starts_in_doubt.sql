ALTER TABLE exports
    -- It is TIMED_OUT, and a start of it got no answer: AWS may run it. It is searched for (src/domain/doubt.rs).
    ADD COLUMN start_in_doubt boolean NOT NULL DEFAULT false,
    -- Not checked for the rows that are there: the default holds in all of them, and a check would lock the table while it reads it.
    ADD CONSTRAINT exports_doubt_by_status CHECK (NOT start_in_doubt OR (export_status = 'TIMED_OUT' AND export_arn IS NULL)) NOT VALID;
