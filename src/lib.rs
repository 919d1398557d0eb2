//! Tableferry: DynamoDB table exports to S3, run as a service.
//!
//! Who may use whom: `app → {front, api → auth, worker} → {store, output → {aws, proof}, webhook} → domain`. The domain is pure; only [`store`] names
//! sqlx, only [`aws`] names the AWS SDK, only [`webhook`] sends to addresses that callers chose. `tests/it/tidy.rs` holds
//! these walls. [`client`] stands beside them: it uses a running service, and of these only the domain and the readers of [`proof`]. ARCHITECTURE.md tells how an export travels through the house.

pub mod api;
pub mod app;
pub mod auth;
pub mod aws;
pub mod causes;
pub mod chance;
pub mod cli;
pub mod client;
pub mod database_watch;
#[cfg(feature = "dev")]
pub mod dev;
pub mod domain;
pub mod front;
pub mod keyring;
pub mod log_limit;
pub mod measures;
pub mod output;
pub mod progress;
pub mod proof;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod version;
pub mod webhook;
pub mod worker;
