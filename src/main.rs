//! The `tableferry` binary.

use std::process::ExitCode;

use clap::Parser as _;
use tableferry::cli::Cli;

/// Gives back what a rush of requests needed, and is faster than the system's where many threads share it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
