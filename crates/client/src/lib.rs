//! The command line client: the commands that use a running service over its REST API, as any other
//! caller does.
//!
//! It shares the binary with the service and nothing else: it reads no settings of the service, and
//! of the other rooms it uses only pure readers: the domain's (durations, times), and those of
//! records in `proof`. [`Session`] is what each command works with; `commands/` has one file for
//! each of them.

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
