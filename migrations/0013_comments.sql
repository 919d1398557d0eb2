-- What tables and columns mean, in the database itself: psql shows it with \d+, and docs/schema.sql lists it.
-- No data changes.

COMMENT ON TABLE exports IS 'One row per export, written only when the export changes.';
COMMENT ON COLUMN exports.id IS 'UUIDv7: the order of ids is the order of creation, which is the order of lists.';
COMMENT ON COLUMN exports.version IS 'Grows by one with every change. Every write names the version that its writer saw; a late writer changes nothing.';
COMMENT ON COLUMN exports.origin IS 'created: requested here. imported: started elsewhere and adopted.';
COMMENT ON COLUMN exports.export_time IS 'As requested; null until AWS says which time it used.';
COMMENT ON COLUMN exports.create_timeout IS 'timeouts.create as the caller wrote it.';
COMMENT ON COLUMN exports.create_timeout_ms IS 'The length of timeouts.create.';
COMMENT ON COLUMN exports.callback_secret IS 'Signs webhooks to callback_url. Sealed with the service''s key if it has one.';
COMMENT ON COLUMN exports.callback_headers IS 'Headers that webhooks to callback_url bear: a JSON object of names and values, sealed.';
COMMENT ON COLUMN exports.idempotency_key IS 'The caller''s Idempotency-Key.';
COMMENT ON COLUMN exports.request_fingerprint IS 'The SHA-256 of the request that came with idempotency_key.';
COMMENT ON COLUMN exports.client_token IS 'The ClientToken of the start at AWS. Stored before AWS is called.';
COMMENT ON COLUMN exports.client_token_made_at IS 'When client_token was drawn. AWS honours a token for 8 hours.';
COMMENT ON COLUMN exports.status_reason IS 'Why the export has its status, in words for callers.';
COMMENT ON COLUMN exports.export_arn IS 'The ARN of the export at AWS; null until AWS has accepted it.';
COMMENT ON COLUMN exports.start_time IS 'When AWS started the export.';
COMMENT ON COLUMN exports.end_time IS 'When AWS finished the export.';
COMMENT ON COLUMN exports.manifest_key IS 'The S3 key of manifest-summary.json.';
COMMENT ON COLUMN exports.failure_source IS 'aws: AWS accepted the export and it failed. refused: AWS refused to start it.';
COMMENT ON COLUMN exports.start_in_doubt IS 'The export is TIMED_OUT and a start of it got no answer: AWS may be running it, and the service searches for it.';
COMMENT ON COLUMN exports.verify IS 'Whether the files are verified once the export is COMPLETED.';
COMMENT ON COLUMN exports.retry_max_attempts IS 'retry.max_attempts: the maximum number of exports made for one request, the first included.';
COMMENT ON COLUMN exports.attempt IS 'The number of this attempt, from 1.';
COMMENT ON COLUMN exports.retry_of IS 'The export that this one retries. No foreign key: it outlives a row that is deleted.';
COMMENT ON COLUMN exports.estimate_basis IS 'What the estimated duration rests on; null if nothing was estimated.';
COMMENT ON COLUMN exports.estimated_duration_ms IS 'How long AWS is expected to take.';
COMMENT ON COLUMN exports.estimated_size_bytes IS 'What AWS is expected to bill; null if the size of the table is not known.';
COMMENT ON COLUMN exports.price_usd_per_gb IS 'The price of a GB (10^9 bytes) in the table''s region when the export was accepted, from the settings.';
COMMENT ON COLUMN exports.likely_end_from_ms IS 'The earliest likely end, counted from start_time; null without past exports of the table.';
COMMENT ON COLUMN exports.likely_end_to_ms IS 'The latest likely end, counted from start_time.';
COMMENT ON COLUMN exports.trace_parent IS 'traceparent of W3C Trace Context: the trace that later work for the export and its webhooks continue.';
COMMENT ON COLUMN exports.created_by IS 'The name of the API key or the identity of the caller; null if no authentication was required, or the service made the export itself.';

COMMENT ON TABLE export_schedule IS 'One narrow row per export that is still polled, so that polling does not rewrite wide rows.';
COMMENT ON COLUMN export_schedule.lane IS '<account>/<region>: what AWS throttles and limits together.';
COMMENT ON COLUMN export_schedule.phase IS 'START: AWS is to be asked to start the export. FOLLOW: AWS is polled for its status.';
COMMENT ON COLUMN export_schedule.due_at IS 'When the export is due, by the clock of the database. Claiming moves it ahead by a lease, so nothing has to be released.';
COMMENT ON COLUMN export_schedule.delay_ms IS 'The delay between two polls. Claiming a poll adds it to now, so that a poll that changes nothing costs one write.';
COMMENT ON COLUMN export_schedule.claims IS 'Grows with every claim. The outcome of a start names its claim; a late one changes nothing.';
COMMENT ON COLUMN export_schedule.failures IS 'Calls of AWS that failed in a row.';
COMMENT ON COLUMN export_schedule.start_sent_at IS 'Since when a start may be on its way to AWS, or accepted without an answer. Such an export cannot be cancelled.';
COMMENT ON COLUMN export_schedule.deadline_at IS 'When timeouts.create ends, by the clock of the service.';
COMMENT ON COLUMN export_schedule.timed_out IS 'The export is TIMED_OUT and polled slowly; it does not count as in flight.';
COMMENT ON COLUMN export_schedule.told_waiting IS 'status_reason already says that the export waits because AWS runs as many as it allows.';

COMMENT ON TABLE export_events IS 'The history of each export, in the order of sequence.';
COMMENT ON COLUMN export_events.sequence IS 'The version of the export that the event led to.';
COMMENT ON COLUMN export_events.created_by IS 'The caller whose request led to the event; null if the service did it by itself.';

COMMENT ON TABLE export_labels IS 'The labels of each export, by which lists are filtered. Inserted and deleted by the statements that insert and delete the export.';
COMMENT ON COLUMN export_labels.label IS '<key>:<value>. A key has no colon.';
COMMENT ON COLUMN export_labels.marks IS 'A Bloom filter (64 bits, one hash) of the table, bucket, type and labels of the export; all bits are set where it is not known.';

COMMENT ON TABLE export_verifications IS 'One row per export that was ever verified: the latest verification and its progress.';
COMMENT ON COLUMN export_verifications.deep IS 'true: every byte is read. false: only what S3 says of each object is compared.';
COMMENT ON COLUMN export_verifications.due_at IS 'When to continue, by the clock of the database; null when the verification has ended.';
COMMENT ON COLUMN export_verifications.claims IS 'Grows with every claim and every new start. A write names its claim; a late one changes nothing.';
COMMENT ON COLUMN export_verifications.failures IS 'Turns in a row in which AWS did not answer.';
COMMENT ON COLUMN export_verifications.manifest_offset IS 'The position in manifest-files.json of the first file that is not checked yet, in bytes.';
COMMENT ON COLUMN export_verifications.files_total IS 'Null until the manifests are read.';
COMMENT ON COLUMN export_verifications.problems IS 'The first hundred problems, each {"key", "detail"}.';
COMMENT ON COLUMN export_verifications.problems_total IS 'The number of problems, including those that are not kept.';

COMMENT ON TABLE webhook_endpoints IS 'Where webhooks go, besides the callback_url of an export.';
COMMENT ON COLUMN webhook_endpoints.event_types IS 'The types of events that it receives; empty: all.';
COMMENT ON COLUMN webhook_endpoints.labels IS 'It receives only events of exports with all of these labels.';
COMMENT ON COLUMN webhook_endpoints.sealed_headers IS 'Headers that its webhooks bear: a JSON object of names and values, sealed.';
COMMENT ON COLUMN webhook_endpoints.disabled_reason IS 'by_caller: a caller disabled it. gone: it answered 410. failing: every attempt failed for days.';

COMMENT ON TABLE webhook_secrets IS 'The secrets that sign the webhooks of an endpoint; all that have not expired sign together.';
COMMENT ON COLUMN webhook_secrets.generation IS 'From 1; the highest is the current one.';
COMMENT ON COLUMN webhook_secrets.expires_at IS 'When it stops signing; null: it is the current one.';

COMMENT ON TABLE webhook_signing_keys IS 'The ed25519 keys of this service (v1a); all that have not expired sign together.';
COMMENT ON COLUMN webhook_signing_keys.public_key IS 'whpk_ and base64, as receivers get it.';
COMMENT ON COLUMN webhook_signing_keys.expires_at IS 'When it stops signing; null: it is the current one.';

COMMENT ON TABLE webhook_receivers IS 'One row per receiver whose last attempt failed.';
COMMENT ON COLUMN webhook_receivers.receiver IS 'As in webhook_deliveries.';
COMMENT ON COLUMN webhook_receivers.failing_since IS 'The first failure after the last success, by the clock of the service.';
COMMENT ON COLUMN webhook_receivers.failures IS 'Failures in a row.';
COMMENT ON COLUMN webhook_receivers.slow_until IS 'Nothing is sent before this time, by the clock of the database, because the receiver said that it is overloaded.';

COMMENT ON TABLE webhook_deliveries IS 'One row per webhook and receiver, written by the statement that writes the change it announces.';
COMMENT ON COLUMN webhook_deliveries.id IS 'Receivers see it as webhook-id, the same in every attempt.';
COMMENT ON COLUMN webhook_deliveries.export_id IS 'Null for pings and for the disabling of an endpoint. No foreign key: a delivery outlives an export that is deleted.';
COMMENT ON COLUMN webhook_deliveries.endpoint_id IS 'Null: the callback_url of the export. No foreign key: a delivery outlives an endpoint that is deleted.';
COMMENT ON COLUMN webhook_deliveries.event_sequence IS 'The sequence of the event, so that an endpoint gets each event once, however often it is replayed.';
COMMENT ON COLUMN webhook_deliveries.receiver IS 'What fails, is slow and is limited together: an endpoint, or the origin of callback URLs.';
COMMENT ON COLUMN webhook_deliveries.signing_secret IS 'The secret that came with the export; null: the secrets of the endpoint, or the service''s own.';
COMMENT ON COLUMN webhook_deliveries.sealed_headers IS 'The headers of the callback when the event happened; null for endpoints.';
COMMENT ON COLUMN webhook_deliveries.body IS 'The exact bytes that are sent and signed.';
COMMENT ON COLUMN webhook_deliveries.status IS 'PENDING, DELIVERED, EXHAUSTED: the last attempt of the schedule failed, or ABANDONED: the receiver was deleted or disabled.';
COMMENT ON COLUMN webhook_deliveries.attempts IS 'Attempts in total.';
COMMENT ON COLUMN webhook_deliveries.schedule_attempts IS 'Attempts since the schedule of retries began, or began again with a resend.';
COMMENT ON COLUMN webhook_deliveries.due_at IS 'When to try next, by the clock of the database; null when the delivery has ended.';

COMMENT ON TABLE webhook_attempts IS 'One row per attempt at a delivery.';
COMMENT ON COLUMN webhook_attempts.attempt IS 'From 1.';
COMMENT ON COLUMN webhook_attempts.status_code IS 'The status of the receiver''s answer; null without an answer.';
COMMENT ON COLUMN webhook_attempts.error IS 'What went wrong, in words; null if it was delivered.';
COMMENT ON COLUMN webhook_attempts.error_class IS 'The kind of error, a stable word.';
COMMENT ON COLUMN webhook_attempts.response_excerpt IS 'The beginning of the receiver''s answer.';

COMMENT ON TABLE webhook_jobs IS 'One row per request to send again what an endpoint missed.';
COMMENT ON COLUMN webhook_jobs.kind IS 'RECOVER: deliveries that failed are tried again. REPLAY_MISSING: events without a delivery get one.';
COMMENT ON COLUMN webhook_jobs.since IS 'The beginning of the time that the job covers.';
COMMENT ON COLUMN webhook_jobs.until IS 'The end of the time that the job covers.';
COMMENT ON COLUMN webhook_jobs.asked_by IS 'The transaction that stored the job. The job begins when no older transaction runs: one may still commit an event for which it saw no endpoint.';
COMMENT ON COLUMN webhook_jobs.due_at IS 'When to continue, by the clock of the database; null when the job has ended.';
COMMENT ON COLUMN webhook_jobs.cursor_at IS 'With cursor_id and cursor_sequence: the last row that was examined.';
COMMENT ON COLUMN webhook_jobs.examined IS 'Deliveries or events examined.';
COMMENT ON COLUMN webhook_jobs.queued IS 'Deliveries that are sent because of the job.';

COMMENT ON TABLE api_keys IS 'One row per API key; of the key itself only a hash.';
COMMENT ON COLUMN api_keys.lookup IS 'The first digits of the key, by which it is found. Not secret.';
COMMENT ON COLUMN api_keys.hash IS 'The SHA-256 of the whole key. Its 160 random bits need no salt and no slow hash.';
COMMENT ON COLUMN api_keys.name IS 'Never used again, also after the key is revoked: created_by refers to it.';
COMMENT ON COLUMN api_keys.table_arns IS 'Patterns of the tables that the key is for; empty: all.';
COMMENT ON COLUMN api_keys.s3_buckets IS 'Patterns of the buckets that the key is for; empty: all.';
COMMENT ON COLUMN api_keys.rate_limit_per_s IS 'Requests per second in the long run; null: the service''s setting.';
