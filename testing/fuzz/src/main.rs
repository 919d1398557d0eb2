//! `make fuzz`: throws made-up input at every parser, for a bounded time, on the toolchain that
//! builds the service.
//!
//! An input whose outcome is new (another error, another kind of value) is kept and varied further,
//! so that the search finds its way past the first checks. What counts is not only that nothing
//! panics: each target says what must hold of whatever is accepted.

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

/// Throw made-up input at every parser.
#[derive(Debug, Parser)]
struct Arguments {
    /// For how long each target is tried
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Only targets whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// What the inputs follow from; drawn unless given
    #[arg(long)]
    seed: Option<u64>,
    /// One input that was found, tried again; name its target with --only
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Where inputs are kept that break a rule
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
            Ok(told) => eprintln!("fuzz: {:<16} {told}", target.name),
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
