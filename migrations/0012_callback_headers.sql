-- Headers of a callback's own, such as a token that its receiver wants to see.

ALTER TABLE exports
    -- A sealed JSON object of names and values.
    ADD COLUMN callback_headers text,
    ADD CONSTRAINT exports_headers_need_callback CHECK (callback_headers IS NULL OR callback_url IS NOT NULL);

ALTER TABLE webhook_deliveries
    -- Those of the callback, as they were when the event happened; null for endpoints, whose headers may change until each attempt.
    ADD COLUMN sealed_headers text,
    ADD CONSTRAINT webhook_deliveries_headers_of_callback CHECK (sealed_headers IS NULL OR endpoint_id IS NULL);
