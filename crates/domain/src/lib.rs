//! The rules of table exports, pure: no I/O, no async, no clock of its own.
//!
//! Values that callers send are parsed here once ([`request`], [`arn`], [`s3`]); from then on a
//! type is the proof that a rule holds. [`export`] holds the states an export can be in, [`step`]
//! decides what to do next with one and what an answer of AWS means, [`view`] is the resource that
//! callers and webhook receivers see.

pub mod account;
pub mod address;
pub mod adopt;
pub mod arn;
pub mod aws_failure;
pub mod backoff;
pub mod bucket;
pub mod caller;
pub mod description;
pub mod doubt;
pub mod duration;
pub mod estimate;
pub mod event;
pub mod export;
pub mod failure;
pub mod filter;
pub mod filter_document;
pub mod fingerprint;
pub mod hex;
pub mod iam;
pub mod ids;
pub mod invalid;
pub mod labels;
pub mod origins;
pub mod output;
pub mod pace;
pub mod preflight;
pub mod public_url;
pub mod request;
pub mod retry;
pub mod retry_after;
pub mod s3;
pub mod step;
pub mod timestamp;
pub mod timing;
pub mod trace;
pub mod verification;
pub mod view;
pub mod webhook;
