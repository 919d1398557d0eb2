//! Breaks what a running Tableferry stands on, while clients ask it for exports, and then checks
//! that it kept its word.
//!
//! Three replicas as processes, a real Postgres, the simulator of AWS, a proxy before each of a
//! replica's connections, webhook endpoints with their receivers, and clients. Each round a nemesis
//! breaks something, by a plan that follows from a seed. In the end everything is healed and a
//! checker compares what was acknowledged, what the simulator started and what the receivers got.
//! `docs/chaos.md` says what is counted. Development only.

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

/// Whatever keeps the harness itself from going on.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// In which mode a pooler works.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Pooler {
    /// Each client has a connection of its own, for as long as it is connected.
    Session,
}

/// Break what three replicas stand on and check that no export was lost or started twice.
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos", version)]
pub struct Arguments {
    /// How often something is broken
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// The plan and the clients' choices follow from it; drawn if absent
    #[arg(long)]
    seed: Option<u64>,
    /// How long a round lasts at least, in seconds, the calm at its end included
    #[arg(long, default_value_t = 12.0)]
    round_s: f64,
    /// The longest SIGSTOP and the longest partition, in seconds
    #[arg(long, default_value_t = 30.0)]
    pause_s: f64,
    /// How many exports are asked for, per second
    #[arg(long, default_value_t = 4.0)]
    rate: f64,
    /// How many times faster than AWS exports run
    #[arg(long, default_value_t = 100.0)]
    speed: f64,
    /// Only these kinds of trouble, by name, parted by commas
    #[arg(long)]
    only: Option<String>,
    /// Put a PgBouncer of this mode between the replicas and Postgres (Debian's package pgbouncer)
    #[arg(long)]
    pooler: Option<Pooler>,
    /// Parameters of connections that this PgBouncer ignores instead of refusing them, parted by
    /// commas
    #[arg(long, default_value = "")]
    pooler_ignores: String,
    /// How long everything may take to end after the last round, in seconds
    #[arg(long, default_value_t = 180)]
    settle_s: u64,
    /// The binary of the service; the one beside this program if absent
    #[arg(long)]
    tableferry: Option<PathBuf>,
}

impl Arguments {
    /// The command that carries out the same plan.
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

    /// The kinds of trouble to draw from.
    fn kinds(&self) -> Result<Vec<usize>, Failed> {
        Ok(self.only.as_ref().map_or_else(
            || Ok(plan::all_kinds(self.pooler.is_some())),
            |only| plan::kinds(only),
        )?)
    }
}

/// Says something to the person at the terminal.
pub fn say(text: &str) {
    let mut out = std::io::stdout();
    // A closed terminal is no reason to stop.
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// The time of this machine, by which the service's times are judged.
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
        "chaos: seed {seed}, {rounds} rounds (the same plan again: {again})"
    ));
    let ended = tokio::select! {
        ended = run(&arguments, seed) => ended,
        () = told_to_stop() => Err("told to stop".into()),
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

/// Everything; whether every promise was kept.
async fn run(arguments: &Arguments, seed: u64) -> Result<bool, Failed> {
    let began = Instant::now();
    // Before anything is started.
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
    say("chaos: healed; waiting until everything has ended");
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

async fn told_to_stop() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
