-- API keys, and who asked for what.

CREATE TABLE api_keys (
    -- UUIDv7: ordered by creation, which is the order of lists.
    id uuid PRIMARY KEY,
    -- What finds a key: its first digits. No secret.
    lookup text NOT NULL UNIQUE CHECK (lookup ~ '^[0-9a-f]{12}$'),
    -- The SHA-256 of the whole key. 160 random bits need no salt and no slow hash.
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    name text NOT NULL CHECK (name <> ''),
    scopes text[] NOT NULL
        CHECK (scopes <> '{}' AND scopes <@ ARRAY['exports:read', 'exports:write', 'webhooks:manage', 'admin']),
    -- Patterns of the tables and buckets that it holds for; empty is all.
    table_arns text[] NOT NULL,
    s3_buckets text[] NOT NULL,
    -- Requests a second in the long run; null is the service's own setting.
    rate_limit_per_s double precision CHECK (rate_limit_per_s > 0),
    created_at timestamptz NOT NULL,
    created_by text,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    -- An endpoint hears of the exports of all tables, and an admin makes keys: neither can be bounded by patterns.
    CONSTRAINT api_keys_bounded_scopes CHECK (
        (table_arns = '{}' AND s3_buckets = '{}') OR NOT scopes && ARRAY['webhooks:manage', 'admin'])
);

-- A name is one key's for ever, also after it was revoked: created_by says who it was.
CREATE UNIQUE INDEX api_keys_name ON api_keys (name);

-- Null: nobody had to say who they are, or the service did it by itself.
ALTER TABLE exports ADD COLUMN created_by text;
ALTER TABLE export_events ADD COLUMN created_by text;
ALTER TABLE webhook_endpoints ADD COLUMN created_by text;
ALTER TABLE webhook_jobs ADD COLUMN created_by text;
