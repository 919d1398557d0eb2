//! A simulator of the part of AWS that DynamoDB table exports to S3 need.
//!
//! [`Simulator::start`] starts a DynamoDB endpoint and an S3 endpoint. Any client can fill a table,
//! export it and read the files. [`Control`] moves the clock and injects faults. The README lists
//! what is simulated and what is not.

mod arn;
mod caller;
mod clock;
mod control;
mod dynamodb;
mod faults;
mod filter;
mod item;
mod kms;
mod limits;
mod output;
mod s3;
mod seed;
mod serve;
mod settings;
mod simulator;
mod sts;
mod world;

pub use clock::Clock;
pub use control::{Call, Control, ControlError, ExportSummary};
pub use faults::{Fault, FaultKind};
pub use limits::{Burst, Limits};
pub use s3::{BucketInfo, StoreError};
pub use seed::{
    Age, BadAge, BucketSeed, GenerateSeed, KeySeed, Seed, SeedError, TableSeed, WriteSeed,
};
pub use settings::{DEFAULT_ACCOUNT_ID, Settings};
pub use simulator::{Simulator, StartError};
pub use world::Failure;
