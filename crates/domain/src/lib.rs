//! The rules of table exports: pure, without I/O, async or a clock of its own.
//!
//! - [`export`]: an export, its states, its request, its events, failure and verification.
//! - [`lifecycle`]: what to do next with an export, when, and what an answer of AWS means.
//! - [`rate`]: token buckets and the pace of calls to AWS.
//! - [`aws`]: ARNs, S3 destinations, policies and AWS's answers as values.
//! - [`preflight`], [`webhook`], [`caller`]: checks before a start; notifications; API keys, roles
//!   and permissions.
//! - [`error_chain`]: an error and its sources as text, for every crate.
//!
//! Values that callers send are parsed once, into types whose values satisfy the rules.

pub mod aws;
pub mod caller;
pub mod duration;
pub mod error_chain;
pub mod export;
pub mod fingerprint;
pub mod hex;
pub mod ids;
pub mod invalid;
pub mod lifecycle;
pub mod origins;
pub mod preflight;
pub mod public_url;
pub mod rate;
pub mod retry_after;
pub mod timestamp;
pub mod trace;
pub mod webhook;
