//! The `tableferry` binary.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tableferry::cli::Cli;

/// Returns memory to the system after a burst of requests, and is faster than the system's
/// allocator with many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the process waits at its end for blocking threads: resolving a name or reading a file
/// may hang.
const BLOCKED_LIMIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tableferry: the runtime cannot be started\n  because: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run());
    runtime.shutdown_timeout(BLOCKED_LIMIT);
    code
}
