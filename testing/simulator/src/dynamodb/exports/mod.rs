//! The export operations: start, describe, list.

mod describe;
mod filter;
mod list;
mod request;
mod start;
mod window;

pub(super) use describe::describe;
pub(super) use list::list;
pub(super) use start::start;
