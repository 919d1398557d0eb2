//! Background work: claim what is due, do it, write what came of it. Decisions are in the domain;
//! every step may run twice.

pub mod crew;
pub mod delivery_worker;
mod export_search;
pub mod export_step;
pub mod export_worker;
pub mod lanes;
pub mod retention;
mod verification_step;
pub mod verification_worker;
pub mod webhook_job_worker;
