//! Tableferry: DynamoDB table exports to S3, run as a service.
//!
//! This package is the service itself: the API, authentication, the workers and the commands. The
//! layers below are separate crates in `crates/`, and their Cargo.toml files decide which may use
//! which. They are re-exported here under short names. ARCHITECTURE.md follows an export through
//! all of them.

pub use tableferry_api_types as api_types;
pub use tableferry_aws as aws;
pub use tableferry_client as client;
pub use tableferry_clock as clock;
pub use tableferry_domain as domain;
pub use tableferry_export_files as export_files;
pub use tableferry_export_reader as export_reader;
pub use tableferry_listener as listener;
pub use tableferry_store as store;
pub use tableferry_telemetry as telemetry;
pub use tableferry_webhooks as webhooks;

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod database_watch;
#[cfg(feature = "dev")]
pub mod dev;
pub mod keyring;
pub mod progress;
pub mod request_limits;
pub mod settings;
pub mod shared;
pub mod signals;
pub mod startup;
pub mod stop_signal;
pub mod version;
pub mod worker;
pub mod workers;
