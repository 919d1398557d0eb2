//! The `tableferry` binary.

use std::process::ExitCode;

use clap::Parser as _;
use tableferry::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
