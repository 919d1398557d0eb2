//! A stand-in for the part of AWS that surrounds DynamoDB table exports to S3.
//!
//! [`Simulator::start`] brings up a DynamoDB endpoint and an S3 endpoint on which other people's
//! clients can fill a table, export it and read the files. [`Control`] moves its clock and makes it
//! misbehave. The README says what it does and what it does not.

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
