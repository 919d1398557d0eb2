//! Background work: claim what is due, do it, write what came of it. Decisions are in the domain; every step may run twice.

pub mod crew;
pub mod delivery_worker;
pub mod export_worker;
