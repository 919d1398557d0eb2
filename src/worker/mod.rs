//! Background jobs: claim what is due, do it, store the outcome. The decisions are in the domain,
//! and every step may run twice.

pub mod delivery_worker;
mod export_search;
pub mod export_step;
pub mod export_worker;
mod in_flight;
pub mod lanes;
pub mod retention;
pub mod runner;
mod verification_step;
pub mod verification_worker;
pub mod webhook_job_worker;

pub use in_flight::InFlight;
