//! `/v1/exports`: one file per operation.

mod adopting;
pub mod cancel;
mod completed;
pub mod create;
pub mod delete;
pub mod discover;
pub mod events;
pub mod files;
pub mod get;
pub mod import;
pub mod items;
pub mod list;
pub mod manifest;
pub mod preflight;
pub mod request;
mod respond;
pub mod retry;
pub mod verify;
mod vetting;
