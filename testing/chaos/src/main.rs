//! Breaks the environment of a running Tableferry while clients create exports, and then checks
//! that it kept its promises.
//!
//! Three replicas as processes, a real Postgres, the simulator of AWS, a proxy in front of each of
//! a replica's connections, webhook endpoints with their receivers, and clients. In each round a
//! nemesis breaks something, by a plan that is derived from a seed. At the end everything is healed
//! and a checker compares what was acknowledged, what the simulator started and what the receivers
//! got. `docs/chaos.md` says what is counted. Development only.

mod checker;
mod clients;
mod database;
mod endpoints;
mod frontend;
mod honesty;
mod ledger;
mod metrics;
mod nemesis;
mod plan;
mod proxy;
mod receiver;
mod replica;
mod report;
mod resumes;
mod servers;
mod settle;
mod signature;
mod slots;
mod stage;
mod takeover;
mod trouble;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use private_postgres::PgBouncer;
use report::{Calm, Run};
use stage::Stage;

/// An error that ends the harness itself.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A pooler's mode.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Pooler {
    /// Each client has its own connection for as long as it is connected.
    Session,
}

/// Break the environment of three replicas and check that no export was lost or started twice
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos", version)]
pub struct Arguments {
    /// Number of rounds
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Seed of the plan and of the clients' choices; random if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Minimum duration of a round in seconds, including the quiet time at its end
    #[arg(long, default_value_t = 12.0)]
    round_s: f64,
    /// Longest SIGSTOP and longest partition, in seconds
    #[arg(long, default_value_t = 30.0)]
    pause_s: f64,
    /// Exports requested per second
    #[arg(long, default_value_t = 4.0)]
    rate: f64,
    /// How many times faster than AWS exports run
    #[arg(long, default_value_t = 100.0)]
    speed: f64,
    /// Only these kinds of trouble, by name, separated by commas
    #[arg(long)]
    only: Option<String>,
    /// Put a PgBouncer in this mode between the replicas and Postgres (Debian's package pgbouncer)
    #[arg(long)]
    pooler: Option<Pooler>,
    /// Startup parameters that this PgBouncer ignores instead of rejecting them, separated by
    /// commas
    #[arg(long, default_value = "")]
    pooler_ignores: String,
    /// How long everything may take to end after the last round, in seconds
    #[arg(long, default_value_t = 180)]
    settle_s: u64,
    /// The service's program; by default the one next to this program
    #[arg(long)]
    tableferry: Option<PathBuf>,
}

impl Arguments {
    /// The command that repeats this plan.
    fn command(&self, seed: u64) -> String {
        let Self {
            rounds,
            round_s,
            pause_s,
            ..
        } = self;
        let mut more: Vec<String> = self
            .only
            .iter()
            .map(|only| format!("--only {only}"))
            .collect();
        more.extend(self.pooler.map(|_| "--pooler session".to_owned()));
        more.extend(
            (!self.pooler_ignores.is_empty())
                .then(|| format!("--pooler-ignores {}", self.pooler_ignores)),
        );
        let more = if more.is_empty() {
            String::new()
        } else {
            format!(" ARGS=\"{}\"", more.join(" "))
        };
        format!("make chaos ROUNDS={rounds} ROUND_S={round_s} PAUSE_S={pause_s} SEED={seed}{more}")
    }

    /// The kinds of trouble to choose from.
    fn kinds(&self) -> Result<Vec<usize>, Failed> {
        Ok(self.only.as_ref().map_or_else(
            || Ok(plan::all_kinds(self.pooler.is_some())),
            |only| plan::kinds(only),
        )?)
    }
}

/// Prints progress to the terminal.
pub fn say(text: &str) {
    let mut out = std::io::stdout();
    // A closed terminal must not end the run.
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// This machine's time; the service's times are compared with it.
#[expect(clippy::disallowed_methods, reason = "nothing here is stepped by hand")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let (rounds, again) = (arguments.rounds, arguments.command(seed));
    say(&format!(
        "chaos: seed {seed}, {rounds} rounds (to repeat this plan: {again})"
    ));
    let ended = tokio::select! {
        ended = run(&arguments, seed) => ended,
        () = stop_signal() => Err("stopped by a signal".into()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            say(&format!("chaos: {trouble}"));
            ExitCode::from(2)
        }
    }
}

/// Runs everything. Returns whether every promise was kept.
async fn run(arguments: &Arguments, seed: u64) -> Result<bool, Failed> {
    let began = Instant::now();
    // Fail before anything is started.
    arguments.kinds()?;
    if arguments.pooler.is_some() && !PgBouncer::is_installed() {
        return Err("--pooler needs /usr/sbin/pgbouncer: apt-get install pgbouncer".into());
    }
    let mut stage = Stage::set_up(arguments, seed).await?;
    say(&format!(
        "chaos: everything is up after {:.1} s; logs in {}",
        began.elapsed().as_secs_f64(),
        stage.folder.display()
    ));
    let stop = CancellationToken::new();
    let clients = tokio::spawn(clients::run(
        stage.clone(),
        seed,
        arguments.rate,
        stop.clone(),
    ));
    let honesty = tokio::spawn(honesty::watch(stage.clone(), stop.clone()));
    let worst = nemesis::run(&stage, arguments, seed).await?;
    stop.cancel();
    let looks = honesty.await?;
    let _ = tokio::time::timeout(Duration::from_secs(90), clients).await;
    say("chaos: healed; waiting for everything to end");
    let settled = settle::wait(&stage, Duration::from_secs(arguments.settle_s)).await?;
    say(&format!(
        "chaos: waited for {:.0} s; checking",
        settled.after.as_secs_f64()
    ));
    let used = slots::check(&stage).await;
    let outcome = checker::check(&stage, &settled).await?;
    let kept = report::print(
        &stage,
        &outcome,
        &worst,
        Calm { looks, used },
        &Run {
            arguments,
            seed,
            lasted: began.elapsed(),
        },
    )
    .await;
    stage.tear_down(kept).await;
    Ok(kept)
}

async fn stop_signal() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
