-- Lists by a label and something else: what else an export has is seen in the index of its labels, without a look at the export.

ALTER TABLE export_labels
    -- A bit for the export's table, for its bucket, for its type and for each of its labels, chosen by a hash of the text (src/store/marks.rs). An
    -- entry without the bit of what is asked for is passed by; one that has it may have it from something else, so the export is still looked at.
    -- All bits where they are not known: for entries of before, and of processes of the previous version.
    ADD COLUMN marks bigint NOT NULL DEFAULT -1,
    DROP CONSTRAINT export_labels_pkey,
    ADD CONSTRAINT export_labels_pkey PRIMARY KEY (label, export_id) INCLUDE (marks);
