//! Tableferry: DynamoDB table exports to S3, run as a service.

pub mod domain;
