//! What goes wrong when: a plan that follows from the seed alone, so that a run can be repeated.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use tableferry_simulator::{Fault, FaultKind};

/// How many replicas run.
pub const REPLICAS: usize = 3;

/// How many webhook endpoints there are, each with a receiver of its own.
pub const ENDPOINTS: usize = 5;

/// Which of a replica's two neighbours a proxy stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Postgres.
    Database,
    /// The simulator's DynamoDB.
    Aws,
}

/// What a link does to its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkTrouble {
    /// Connections are reset, new ones too.
    Refuse,
    /// Connections are reset once; new ones work.
    Cut,
    /// Each piece of data comes so many milliseconds late.
    Delay(u64),
    /// Nothing gets through in either direction, and nothing is closed: what was sent arrives when the trouble is over.
    Stall,
    /// Requests get through, answers do not until the trouble is over.
    Deaf,
}

/// What a receiver of webhooks does to whoever sends one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverTrouble {
    /// It answers 500.
    Fail,
    /// It accepts and never answers.
    Hang,
    /// It answers well, so many milliseconds late.
    Slow {
        /// How late; less than the service waits.
        ms: u64,
    },
    /// It answers 429 and asks to be left alone for a while.
    Throttle {
        /// `Retry-After`.
        retry_after_s: u64,
    },
    /// The same with 503.
    Unavailable {
        /// `Retry-After`.
        retry_after_s: u64,
    },
    /// Its connections break and its port is closed.
    Restart,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// A replica gets SIGKILL and is started again after a while.
    Kill {
        /// Which.
        replica: usize,
        /// After how long it is started again.
        back_after: Duration,
    },
    /// A replica gets SIGTERM, must end with status 0 in time, and is started again after a while.
    Terminate {
        /// Which.
        replica: usize,
        /// After how long it is started again.
        back_after: Duration,
    },
    /// A replica gets SIGSTOP, and SIGCONT after a while.
    Pause {
        /// Which.
        replica: usize,
        /// For how long.
        lasting: Duration,
    },
    /// Postgres is stopped with `-m immediate` and started again after a while.
    CrashPostgres {
        /// After how long it is started again.
        back_after: Duration,
    },
    /// Backends are ended with pg_terminate_backend, all of them, again and again.
    EndBackends {
        /// How often, half a second apart.
        times: u32,
    },
    /// A link of a replica, or of all of them, makes trouble for a while.
    Links {
        /// Which; `None` is all.
        replica: Option<usize>,
        /// To where.
        link: Link,
        /// What kind.
        trouble: LinkTrouble,
        /// For how long.
        lasting: Duration,
    },
    /// The simulator makes calls go wrong for a while.
    Aws {
        /// The rule.
        fault: Fault,
        /// For how long.
        lasting: Duration,
    },
}

/// What is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long a round is at most in trouble, pauses and partitions apart.
    pub trouble_s: f64,
    /// The longest SIGSTOP, and the longest that a link holds back what it carries.
    pub pause_s: f64,
}

/// The plan of a round. `round` counts from 0; the first rounds go once through every kind of trouble.
pub fn round(seed: u64, round: u32, bounds: Bounds) -> Vec<Trouble> {
    let mut random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(round));
    // Each seed begins elsewhere, so that short runs with changing seeds see everything.
    let first = (seed.wrapping_add(u64::from(round)) % KINDS) as u32;
    let count = [1, 1, 1, 2, 2, 3][random.usize(..6)];
    let mut troubles = vec![draw(first, &mut random, bounds)];
    while troubles.len() < count {
        let next = draw(random.u32(..KINDS as u32), &mut random, bounds);
        // One trouble for a replica's process at a time.
        let busy = next.replica().is_some_and(|replica| troubles.iter().any(|t| t.replica() == Some(replica)));
        let crashes = matches!(next, Trouble::CrashPostgres { .. }) && troubles.iter().any(|t| matches!(t, Trouble::CrashPostgres { .. }));
        if !busy && !crashes {
            troubles.push(next);
        }
    }
    troubles
}

const KINDS: u64 = 8;

/// What the receivers of one or two endpoints do throughout a round, beside its other troubles. Any six rounds in a row hold every kind.
pub fn receivers(seed: u64, round: u32) -> Vec<(usize, ReceiverTrouble)> {
    let mut random = Rng::with_seed(seed.wrapping_mul(0xD1B5_4A32_D192_ED03) ^ u64::from(round));
    let first = (seed.wrapping_add(u64::from(round)) % RECEIVER_KINDS) as u32;
    let mut endpoints: Vec<usize> = (0..ENDPOINTS).collect();
    random.shuffle(&mut endpoints);
    let mut troubles = vec![(endpoints[0], draw_receiver(first, &mut random))];
    if random.bool() {
        let kind = random.u32(..RECEIVER_KINDS as u32);
        troubles.push((endpoints[1], draw_receiver(kind, &mut random)));
    }
    troubles
}

const RECEIVER_KINDS: u64 = 6;

fn draw_receiver(kind: u32, random: &mut Rng) -> ReceiverTrouble {
    let retry_after_s = random.u64(1..=60);
    match kind {
        0 => ReceiverTrouble::Fail,
        1 => ReceiverTrouble::Hang,
        2 => ReceiverTrouble::Slow { ms: random.u64(500..=13_000) },
        3 => ReceiverTrouble::Throttle { retry_after_s },
        4 => ReceiverTrouble::Unavailable { retry_after_s },
        _ => ReceiverTrouble::Restart,
    }
}

fn draw(kind: u32, random: &mut Rng, bounds: Bounds) -> Trouble {
    let replica = random.usize(..REPLICAS);
    let share = |random: &mut Rng, from: f64| Duration::from_secs_f64(bounds.trouble_s * (from + (1.0 - from) * random.f64()));
    match kind {
        0 | 1 => Trouble::Kill { replica, back_after: share(random, 0.1) },
        2 => Trouble::Terminate { replica, back_after: share(random, 0.1) },
        3 => Trouble::Pause { replica, lasting: Duration::from_secs_f64(bounds.pause_s * (0.2 + 0.8 * random.f64())) },
        4 => Trouble::CrashPostgres { back_after: share(random, 0.05) },
        5 => Trouble::EndBackends { times: random.u32(1..=6) },
        6 => {
            let link = if random.bool() { Link::Database } else { Link::Aws };
            let trouble = match random.u32(..5) {
                0 => LinkTrouble::Refuse,
                1 => LinkTrouble::Cut,
                2 => LinkTrouble::Delay(random.u64(50..=1_500)),
                3 => LinkTrouble::Stall,
                _ => LinkTrouble::Deaf,
            };
            let replica = (random.u32(..4) > 0).then_some(replica);
            let lasting = match trouble {
                // A partition may outlast every time limit, as a pause may.
                LinkTrouble::Stall | LinkTrouble::Deaf => Duration::from_secs_f64(bounds.pause_s * (0.1 + 0.9 * random.f64())),
                _ => share(random, 0.3),
            };
            Trouble::Links { replica, link, trouble, lasting }
        }
        _ => Trouble::Aws { fault: aws_fault(random), lasting: share(random, 0.4) },
    }
}

fn aws_fault(random: &mut Rng) -> Fault {
    let kinds = [
        FaultKind::Throttle,
        FaultKind::Error500,
        FaultKind::DropAnswer,
        FaultKind::DropAnswer,
        FaultKind::Delay { ms: random.u64(200..=9_000) },
        FaultKind::Hang,
        FaultKind::AccessDenied,
        FaultKind::ExpiredCredentials,
    ];
    let operation = ["*", "ExportTableToPointInTime", "DescribeExport", "ListExports"][random.usize(..4)];
    Fault::new(operation, kinds[random.usize(..kinds.len())].clone()).probability(0.2 + 0.8 * random.f64())
}

impl Trouble {
    fn replica(&self) -> Option<usize> {
        match self {
            Self::Kill { replica, .. } | Self::Terminate { replica, .. } | Self::Pause { replica, .. } => Some(*replica),
            _ => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { replica, back_after } => write!(f, "SIGKILL replica {replica}, back after {:.1} s", back_after.as_secs_f64()),
            Self::Terminate { replica, back_after } => {
                write!(f, "SIGTERM replica {replica}, back after {:.1} s", back_after.as_secs_f64())
            }
            Self::Pause { replica, lasting } => write!(f, "SIGSTOP replica {replica} for {:.1} s", lasting.as_secs_f64()),
            Self::CrashPostgres { back_after } => write!(f, "Postgres stops immediately, back after {:.1} s", back_after.as_secs_f64()),
            Self::EndBackends { times } => write!(f, "{times} times all backends are ended"),
            Self::Links { replica, link, trouble, lasting } => {
                let whose = replica.map_or_else(|| "every replica".to_owned(), |replica| format!("replica {replica}"));
                write!(f, "{trouble:?} between {whose} and {link:?} for {:.1} s", lasting.as_secs_f64())
            }
            Self::Aws { fault, lasting } => {
                let chance = fault.probability.unwrap_or(1.0);
                write!(f, "{:?} for {:.0} % of {} for {:.1} s", fault.kind, chance * 100.0, fault.operation, lasting.as_secs_f64())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { trouble_s: 6.0, pause_s: 30.0 };

    #[test]
    fn a_seed_gives_the_same_plan_again() {
        let plan = |seed| (0..50).map(|n| (round(seed, n, BOUNDS), receivers(seed, n))).collect::<Vec<_>>();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn eight_rounds_hold_every_kind() {
        for seed in 0..20 {
            let all: Vec<Trouble> = (0..8).flat_map(|n| round(seed, n, BOUNDS)).collect();
            for wanted in ["SIGKILL", "SIGTERM", "SIGSTOP", "Postgres stops", "backends", "between", " % of "] {
                assert!(all.iter().any(|t| t.to_string().contains(wanted)), "{wanted}");
            }
        }
    }

    #[test]
    fn six_rounds_hold_every_trouble_of_receivers() {
        for seed in 0..20 {
            let all = format!("{:?}", (0..6).flat_map(|n| receivers(seed, n)).collect::<Vec<_>>());
            for wanted in ["Fail", "Hang", "Slow", "Throttle", "Unavailable", "Restart"] {
                assert!(all.contains(wanted), "{wanted}");
            }
        }
    }

    #[test]
    fn a_replica_has_one_trouble_at_a_time() {
        for n in 0..2_000 {
            let mut replicas: Vec<usize> = round(3, n, BOUNDS).iter().filter_map(Trouble::replica).collect();
            replicas.sort_unstable();
            assert!(replicas.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}
