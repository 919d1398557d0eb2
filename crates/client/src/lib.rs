//! The command line client: commands that call a running service over its REST API, like any other
//! caller.
//!
//! It shares the binary with the service, but not the service's settings. Of the other crates it
//! uses only pure functions (values and error chains of the domain, the parsers of export files)
//! and the clock. [`Session`] is what each command works with; `commands/` has one file per
//! command.

mod body;
pub mod commands;
mod connection;
mod download;
mod error;
mod event_stream;
pub mod exit;
mod pages;
mod problem;
mod progress;
pub mod screen;
mod session;
pub mod table;
mod wait;
mod wire;
pub mod words;

pub use commands::ClientCommand;
pub use error::ClientError;
pub use session::{Session, SessionArgs};
