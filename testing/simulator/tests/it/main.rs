//! The simulator over HTTP: every rule that clients depend on. The clock is frozen, nothing sleeps.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod around;
mod client;
mod describing;
mod expressions;
mod faults;
mod filtered_output;
mod full_output;
mod incremental_output;
mod items;
mod late_failures;
mod listing;
mod objects;
mod protocol;
mod quotas;
mod restart;
mod s3_checks;
mod s3_client;
mod s3_copies;
mod s3_listings;
mod set_up;
mod starting;
mod tables;
mod times;
mod tokens;
