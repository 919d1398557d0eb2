//! The service from outside: HTTP in, a real Postgres with a fresh database for each test, the
//! simulator as AWS, workers stepped by the test. No test sleeps to wait for an effect.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect should fail on the spot"
)]

mod support;

mod accounts;
mod api_keys;
mod authorization;
mod bad_input;
mod callback_headers;
mod callbacks;
mod client_address;
mod cors;
mod create_export;
mod database;
mod differential;
mod discover;
mod download;
mod estimates;
mod events;
mod failures;
mod filters;
mod forbidden;
mod hostile_receivers;
mod idempotency;
mod import;
mod items;
mod lanes;
mod lifecycle;
mod list;
mod listener;
mod manifest;
mod manifests;
mod metrics;
mod odd_receivers;
mod oidc;
mod oidc_providers;
mod openapi;
mod openapi_rules;
mod policies;
mod poolers;
mod preflight;
mod process;
mod proxies;
mod public_url;
mod read_only_database;
mod receiver_failures;
mod recovery;
mod retention;
mod retry;
mod secrets;
mod silent_aws;
mod silent_database;
mod snapshots;
mod systemd;
mod terraform;
mod tidy;
mod tls;
mod together;
mod traces;
mod verify;
mod verify_workers;
mod version;
mod waiting;
mod webhook_delivery;
mod webhook_endpoints;
mod webhook_receivers;
mod webhook_replay;
mod webhook_replay_missing;
mod webhook_signatures;
