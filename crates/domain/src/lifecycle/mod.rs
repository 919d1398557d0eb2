//! The life of an export: what to do next, when, and what an answer of AWS means. Pure decisions;
//! time and randomness are arguments.

pub mod backoff;
pub mod doubt;
mod next_poll;
pub mod outcome;
pub mod retry;
pub mod step;
pub mod timing;
pub mod transition;
