//! `make fuzz`: feeds generated input to every parser, for a bounded time, with the toolchain that
//! builds the service.
//!
//! An input with a new outcome (another error, another kind of value) is kept and mutated further,
//! so that the search gets past the first checks. The absence of panics is not enough: each target
//! states what must hold for every accepted input.

mod bodies;
mod expressions;
mod json;
mod records;
mod search;
mod targets;
mod texts;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Feed generated input to every parser
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds per target
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Only targets whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Seed of the inputs; random if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Run one input that was found earlier; name its target with --only
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Folder for inputs that break a rule
    #[arg(long, default_value = "target/fuzz")]
    found: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("fuzz: seed {seed}");
    let mut all_well = true;
    for target in targets::ALL {
        if arguments
            .only
            .as_ref()
            .is_some_and(|only| !target.name.contains(only.as_str()))
        {
            continue;
        }
        let result = match &arguments.replay {
            Some(path) => search::replay(target, path),
            None => search::search(
                target,
                seed,
                Duration::from_secs(arguments.seconds),
                &arguments.found,
            ),
        };
        match result {
            Ok(summary) => eprintln!("fuzz: {:<16} {summary}", target.name),
            Err(found) => {
                eprintln!("fuzz: {:<16} {found}", target.name);
                all_well = false;
            }
        }
    }
    if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
