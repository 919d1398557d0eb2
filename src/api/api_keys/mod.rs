//! `/v1/api-keys`, for admins: one file per operation.

pub mod create;
pub mod get;
pub mod list;
pub mod revoke;
