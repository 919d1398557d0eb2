//! `make bench`: measures the service's release build on a durable Postgres (fsync on), next to
//! references in the same run on the same machine. Prints one table and writes
//! `testing/bench/results.json`.

mod accepts;
mod attacks;
mod database;
mod deliveries;
mod in_flight;
mod lists;
mod load;
mod polling;
mod processor;
mod receivers;
mod report;
mod stage;
mod start;
mod telemetry;
mod verification;
mod waiting;
mod whole;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use report::{Case, Report};

/// The error, in words.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Measure a running Tableferry
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each case runs; a figure is reported with its lowest, middle and highest value
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Run only cases whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// The service's program; by default the one next to this program
    #[arg(long)]
    tableferry: Option<PathBuf>,
    /// Output file for the figures
    #[arg(long, default_value = "testing/bench/results.json")]
    results: PathBuf,
    /// A document whose table of figures is replaced; the run should include every case
    #[arg(long)]
    document: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failed> {
    let program = match arguments.tableferry.clone() {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("tableferry"),
    };
    let wanted = |name: &str| {
        arguments
            .only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    };
    let mut report = Report::default();
    for case in Case::ALL {
        if !wanted(case.name()) {
            continue;
        }
        for round in 1..=arguments.rounds.max(1) {
            eprintln!(
                "bench: {} round {round} of {}",
                case.name(),
                arguments.rounds
            );
            let figures = match case {
                Case::Accepts => accepts::accepts(&program).await?,
                Case::InFlight => in_flight::polled(&program).await?,
                Case::Whole => whole::to_the_end(&program).await?,
                Case::Lists => lists::pages(&program).await?,
                Case::Polling => polling::compared(round),
                Case::Waiting => waiting::hear_of_the_end(&program).await?,
                Case::Telemetry => telemetry::costs(&program).await?,
                Case::Attacks => attacks::others_are_served(&program).await?,
                Case::Start => start::start(&program).await?,
                Case::FirstAttempt => deliveries::first_attempt(&program).await?,
                Case::Deliveries => deliveries::one_of_ten_hangs(&program).await?,
                Case::DeepVerification => verification::deep(&program).await?,
            };
            report.add(case, figures);
        }
    }
    report.print();
    report.write(&arguments.results)?;
    match &arguments.document {
        Some(document) => report.write_into(document),
        None => Ok(()),
    }
}
