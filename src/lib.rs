//! Tableferry: DynamoDB table exports to S3, run as a service.
//!
//! This package is the service itself: the API, authentication, the workers and the commands.
//! Everything below it is a crate of its own in `crates/`, and Cargo holds which crate may use
//! which; they are re-exported here under short names. ARCHITECTURE.md follows an export through
//! all of them.

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
pub mod settings;
pub mod version;
pub mod worker;
