-- Verifications: whether what lies in S3 is what AWS says it wrote.

-- Whether the export is verified by itself once it is COMPLETED.
ALTER TABLE exports ADD COLUMN verify boolean NOT NULL DEFAULT false;

CREATE TABLE export_verifications (
    -- The latest verification of an export replaces the one before; what came of each is in the export's events.
    export_id uuid PRIMARY KEY REFERENCES exports (id) ON DELETE CASCADE,
    -- Every byte is read, or only what S3 says of each object.
    deep boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'passed', 'failed')),
    -- When to go on, by the database's clock; null when it has ended. Claiming moves it ahead, and so does whoever works on it.
    due_at timestamptz,
    -- Grows with every claim and every new start. Writers name the claim they hold, so that a late one changes nothing.
    claims integer NOT NULL DEFAULT 0 CHECK (claims >= 0),
    -- Turns in a row that AWS did not answer.
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    -- Where in manifest-files.json the first file stands that has not been checked, in bytes.
    manifest_offset bigint NOT NULL DEFAULT 0 CHECK (manifest_offset >= 0),
    files_checked bigint NOT NULL DEFAULT 0 CHECK (files_checked >= 0),
    -- Null until the manifests were read.
    files_total bigint CHECK (files_total >= 0),
    items_counted bigint NOT NULL DEFAULT 0 CHECK (items_counted >= 0),
    -- The first hundred, each {"key", "detail"}, and how many there are in all.
    problems jsonb NOT NULL DEFAULT '[]',
    problems_total bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT export_verifications_due_iff_running CHECK ((status = 'running') = (due_at IS NOT NULL)),
    CONSTRAINT export_verifications_finished_iff_ended CHECK ((status = 'running') = (finished_at IS NULL)),
    CONSTRAINT export_verifications_problems CHECK (
        jsonb_typeof(problems) = 'array' AND jsonb_array_length(problems) <= 100 AND jsonb_array_length(problems) <= problems_total),
    CONSTRAINT export_verifications_files CHECK (files_checked <= files_total OR (files_total IS NULL AND files_checked = 0)),
    CONSTRAINT export_verifications_items_if_deep CHECK (deep OR items_counted = 0),
    CONSTRAINT export_verifications_passed CHECK (
        status <> 'passed' OR (problems_total = 0 AND files_total IS NOT NULL AND files_checked = files_total)),
    CONSTRAINT export_verifications_failed CHECK (status <> 'failed' OR problems_total > 0)
) WITH (fillfactor = 80);

COMMENT ON TABLE export_verifications IS 'One row for each export that was ever verified: the latest verification, and how far it has come.';

-- The claim of verifications that are due.
CREATE INDEX export_verifications_due ON export_verifications (due_at) WHERE status = 'running';
