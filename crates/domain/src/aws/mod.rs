//! AWS's names, answers and policies as values.

pub mod account;
pub mod arn;
pub mod description;
pub mod failure;
pub mod iam;
pub mod s3;
