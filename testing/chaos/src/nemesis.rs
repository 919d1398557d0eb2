//! The nemesis: carries out the plan, round by round, and heals everything after each round.

use std::time::{Duration, Instant};

use crate::frontend::Command;
use crate::plan::{self, Bounds};
use crate::replica::STOP_PROMISE;
use crate::resumes::{self, Resumed};
use crate::stage::Stage;
use crate::takeover::{self, Takeover};
use crate::trouble::{Direction, Link, LinkTrouble, REPLICAS, Trouble};
use crate::{Arguments, Failed, database, endpoints, metrics, say};

/// The duration of AWS calls before a measured end of a process, and how long such calls are
/// collected.
const SLOW_CALL_MS: u64 = 1_500;

/// The worst measurements.
#[derive(Debug, Clone, Copy, Default)]
pub struct Worst {
    pub killed: Takeover,
    pub terminated: Takeover,
    /// The slowest stop after SIGTERM, in seconds.
    pub stop_s: f64,
    /// Late writes that were fenced off, by the replicas' own count.
    pub fenced_writes: u64,
    /// How soon every replica worked again after a round.
    pub resumed: Resumed,
    /// The number of connections that fell silent.
    pub silenced: u32,
}

/// The outcome of one trouble.
#[derive(Debug, Default)]
struct Effect {
    killed: Takeover,
    terminated: Takeover,
    stop_s: f64,
    fenced_writes: u64,
}

/// Runs every round. Fails if something does not recover after healing.
pub async fn run(stage: &Stage, arguments: &Arguments, seed: u64) -> Result<Worst, Failed> {
    let mut worst = Worst::default();
    let bounds = Bounds {
        kinds: arguments.kinds()?,
        trouble_s: arguments.round_s / 2.0,
        pause_s: arguments.pause_s,
    };
    for round in 0..arguments.rounds {
        let began = Instant::now();
        // Takeover is only measured in rounds in which nothing else is broken.
        let troubles = plan::round(seed, round, &bounds);
        let is_alone = troubles.len() == 1;
        let aws_was_silent = troubles
            .iter()
            .any(|trouble| matches!(trouble, Trouble::Silent { aws_too: true, .. }));
        let mut words: Vec<String> = troubles.iter().map(ToString::to_string).collect();
        words.extend(trouble_receivers(stage, seed, round)?);
        let mut effect = Vec::new();
        for trouble in troubles {
            let stage = stage.clone();
            effect.push(tokio::spawn(async move {
                make(&stage, trouble, is_alone).await
            }));
        }
        for effect in effect {
            let effect = effect.await??;
            worst.killed = worst.killed.or(effect.killed);
            worst.terminated = worst.terminated.or(effect.terminated);
            worst.stop_s = worst.stop_s.max(effect.stop_s);
            worst.fenced_writes += effect.fenced_writes;
        }
        let healed = stage.heal().await?;
        let trouble_s = began.elapsed().as_secs_f64();
        let resumed = resumes::watch(stage, round, healed, aws_was_silent).await?;
        worst.resumed = worst.resumed.or(if aws_was_silent {
            resumed.without_aws()
        } else {
            resumed
        });
        stage.servers.pair_again().await?;
        stage.wait_until_ready().await?;
        // Retries that are hours away would never meet another trouble.
        let _ = database::skip_some_delivery_pauses(&stage.pool).await;
        let rest_s =
            (arguments.round_s - began.elapsed().as_secs_f64()).max(arguments.round_s / 6.0);
        tokio::time::sleep(Duration::from_secs_f64(rest_s)).await;
        if round == arguments.rounds / 3 {
            endpoints::leave(stage).await?;
        }
        if round == arguments.rounds * 2 / 3 {
            endpoints::come_back(stage).await?;
        }
        let (acknowledged, number) = (stage.ledger.acknowledged(), round + 1);
        let wrong = stage.ledger.violations().len();
        let wrong = if wrong == 0 {
            String::new()
        } else {
            format!(", {wrong} VIOLATIONS")
        };
        let times = format!(
            "{trouble_s:>5.1} s of trouble, well {:>4.1} s later",
            resumed.all_s()
        );
        say(&format!(
            "  {number:>4}  {times}  {acknowledged:>6} acknowledged{wrong}  {}",
            words.join("; ")
        ));
    }
    for replica in 0..REPLICAS {
        worst.fenced_writes += fenced_writes(stage, replica).await;
        worst.silenced += stage.link(Link::Database, replica).silenced()
            + stage.link(Link::Aws, replica).silenced();
    }
    Ok(worst)
}

/// Heals the receivers of the previous round and breaks those of this one until the next round.
/// Returns a description.
fn trouble_receivers(stage: &Stage, seed: u64, round: u32) -> Result<Vec<String>, Failed> {
    for endpoint in stage.endpoints.iter() {
        endpoint.receiver.heal()?;
    }
    let mut words = Vec::new();
    for (endpoint, trouble) in plan::receivers(seed, round) {
        let endpoint = &stage.endpoints[endpoint];
        endpoint.receiver.make(trouble)?;
        words.push(format!("\"{}\": {trouble:?}", endpoint.filter.name));
    }
    Ok(words)
}

async fn make(stage: &Stage, trouble: Trouble, is_alone: bool) -> Result<Effect, Failed> {
    let mut effect = Effect::default();
    match trouble {
        Trouble::Kill {
            replica,
            back_after,
        } => {
            effect.fenced_writes = fenced_writes(stage, replica).await;
            if is_alone {
                hold_calls(stage, replica, LinkTrouble::Stall).await;
            }
            let death = Instant::now();
            stage.replicas[replica].kill().await?;
            stage.link(Link::Aws, replica).heal();
            effect.killed = absence(stage, replica, death, back_after, is_alone).await?;
        }
        Trouble::Terminate {
            replica,
            back_after,
        } => {
            effect.fenced_writes = fenced_writes(stage, replica).await;
            if is_alone {
                hold_calls(stage, replica, LinkTrouble::Delay(SLOW_CALL_MS)).await;
            }
            let stopped = stage.replicas[replica].terminate().await?;
            stage.link(Link::Aws, replica).heal();
            effect.stop_s = stopped.after.as_secs_f64();
            if !stopped.in_order {
                let what = format!(
                    "replica {replica} ended {:.1} s after SIGTERM, or not with status 0",
                    effect.stop_s
                );
                stage.ledger.violated(
                    "unclean stops",
                    format!("{what} (promised: {} s)", STOP_PROMISE.as_secs()),
                    None,
                );
            }
            effect.terminated =
                absence(stage, replica, Instant::now(), back_after, is_alone).await?;
        }
        Trouble::Pause { replica, lasting } => {
            stage.replicas[replica].pause().await?;
            tokio::time::sleep(lasting).await;
            stage.replicas[replica].resume().await?;
        }
        Trouble::CrashPostgres { back_after } => {
            stage.servers.crash().await?;
            tokio::time::sleep(back_after).await;
            stage.servers.start_again().await?;
        }
        Trouble::EndBackends { times } => {
            for _ in 0..times {
                // Postgres itself may be down.
                let _ = database::end_backends(&stage.pool).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        Trouble::Links {
            replica,
            link,
            trouble,
            lasting,
        } => {
            let replicas = chosen(replica);
            for replica in replicas.clone() {
                stage.link(link, replica).make(trouble);
            }
            if trouble != LinkTrouble::Cut {
                tokio::time::sleep(lasting).await;
            }
            for replica in replicas {
                stage.link(link, replica).heal();
            }
        }
        Trouble::Silent {
            replica,
            direction,
            times,
            apart,
            aws_too,
        } => {
            for time in 0..times {
                tokio::time::sleep(if time == 0 { Duration::ZERO } else { apart }).await;
                silence(stage, replica, direction, aws_too);
            }
        }
        Trouble::SilentOnCommand {
            first,
            times,
            lasting,
        } => {
            for replica in 0..REPLICAS {
                stage
                    .link(Link::Database, replica)
                    .silence_on(Command::of_replica(first, replica), times);
            }
            tokio::time::sleep(lasting).await;
        }
        Trouble::RestartPooler { back_after } => stage.servers.restart_pooler(back_after).await?,
        Trouble::StandbyAway { lasting } => stage.servers.keep_standby_away(lasting).await?,
        Trouble::FailOver { way, address_after } => {
            stage
                .servers
                .fail_over(way, address_after, &stage.database_links)
                .await?
        }
        Trouble::Aws { fault, lasting } => {
            stage.aws.add_fault(fault);
            tokio::time::sleep(lasting).await;
            stage.aws.clear_faults();
        }
    }
    Ok(effect)
}

/// Delays a replica's AWS calls for a while, so that some are in flight when it ends.
async fn hold_calls(stage: &Stage, replica: usize, trouble: LinkTrouble) {
    stage.link(Link::Aws, replica).make(trouble);
    tokio::time::sleep(Duration::from_millis(SLOW_CALL_MS)).await;
}

/// A replica is down for a while. Measures how the others take over its work, if requested.
async fn absence(
    stage: &Stage,
    replica: usize,
    death: Instant,
    back_after: Duration,
    measured: bool,
) -> Result<Takeover, Failed> {
    let comes_back = async {
        tokio::time::sleep(back_after).await;
        stage.replicas[replica].start().await
    };
    if measured {
        let (takeover, started) = tokio::join!(takeover::watch(stage, death), comes_back);
        started.map(|()| takeover)
    } else {
        comes_back.await.map(|()| Takeover::default())
    }
}

/// A replica's count of fenced writes; 0 if it does not answer.
async fn fenced_writes(stage: &Stage, replica: usize) -> u64 {
    let metrics = metrics::of(stage, replica).await;
    metrics.map_or(0, |metrics| {
        metrics.sum("tableferry_fenced_writes_total", &[]) as u64
    })
}

fn silence(stage: &Stage, replica: Option<usize>, direction: Direction, aws_too: bool) {
    for replica in chosen(replica) {
        stage.link(Link::Database, replica).silence(direction);
        if aws_too {
            stage.link(Link::Aws, replica).silence(direction);
        }
    }
}

/// One replica or all.
fn chosen(replica: Option<usize>) -> std::ops::Range<usize> {
    replica.map_or(0..REPLICAS, |replica| replica..replica + 1)
}
