//! The kinds of trouble: their types and descriptions.

use std::fmt;
use std::time::Duration;

use tableferry_simulator::Fault;

use crate::frontend::Command;

pub const REPLICAS: usize = 3;

/// The number of webhook endpoints, each with its own receiver.
pub const ENDPOINTS: usize = 5;

/// Which of a replica's two neighbours a proxy is in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Database,
    Aws,
}

/// The trouble of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkTrouble {
    /// Connections are reset, including new ones.
    Refuse,
    /// Connections are reset once; new ones work.
    Cut,
    /// Each piece of data is delayed by this many milliseconds.
    Delay(u64),
    /// Nothing gets through in either direction, and nothing is closed: data that was sent arrives
    /// when the trouble is over.
    Stall,
    /// Requests get through; responses are held back until the trouble is over.
    Deaf,
}

/// The direction that a silent connection loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Both,
    /// What the replica sends is lost.
    Requests,
    /// What is sent to the replica is lost.
    Answers,
}

/// The course of a fail-over. The synchronous standby is always promoted, and the address moves to
/// it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOver {
    /// The primary is killed and stays down.
    Killed,
    /// The primary is killed and comes back as a standby at its old address, before the address
    /// moves: new connections reach a read-only server.
    OldAsStandby { lasting: Duration },
    /// The primary gets SIGSTOP: open connections stop responding. It resumes, as a primary, after
    /// the round.
    Paused,
}

/// A webhook receiver's misbehaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverTrouble {
    /// It answers 500.
    Fail,
    /// It accepts and never answers.
    Hang,
    /// It answers with 2xx, this many milliseconds late.
    Slow {
        /// Less than the service's timeout.
        ms: u64,
    },
    /// It answers 429 and asks for a pause.
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

#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// A replica gets SIGKILL and is started again after a while.
    Kill {
        replica: usize,
        back_after: Duration,
    },
    /// A replica gets SIGTERM, must end with status 0 in time, and is started again after a while.
    Terminate {
        replica: usize,
        back_after: Duration,
    },
    /// A replica gets SIGSTOP, and SIGCONT after a while.
    Pause { replica: usize, lasting: Duration },
    /// Postgres is stopped with `-m immediate` and started again after a while.
    CrashPostgres { back_after: Duration },
    /// All backends are ended with pg_terminate_backend, several times.
    EndBackends {
        /// How many times, half a second apart.
        times: u32,
    },
    /// A link of one replica, or of all, has trouble for a while.
    Links {
        /// `None` means all.
        replica: Option<usize>,
        link: Link,
        trouble: LinkTrouble,
        lasting: Duration,
    },
    /// Open connections to Postgres carry nothing from now on, permanently; new connections work.
    Silent {
        /// `None` means every replica's.
        replica: Option<usize>,
        direction: Direction,
        times: u32,
        /// The time between two of them.
        apart: Duration,
        /// Connections to AWS too.
        aws_too: bool,
    },
    /// Connections to Postgres fall silent right after a command, whose response is lost. Each
    /// replica's fall silent at another command.
    SilentOnCommand {
        /// The command of the first replica, as an index into `Command::ALL`.
        first: usize,
        /// How many connections of each replica.
        times: u32,
        /// How long to wait for the command.
        lasting: Duration,
    },
    /// The standby gets SIGSTOP, and SIGCONT after a while: meanwhile no transaction can commit.
    StandbyAway { lasting: Duration },
    /// The standby becomes the primary.
    FailOver {
        way: FailOver,
        /// How long after the promotion, or after the old primary's time as a standby, the address
        /// moves.
        address_after: Duration,
    },
    /// The pooler gets SIGTERM and is started again after a while.
    RestartPooler { back_after: Duration },
    /// The simulator makes calls fail for a while.
    Aws { fault: Fault, lasting: Duration },
}

impl Trouble {
    /// The replica whose process it affects.
    #[must_use]
    pub fn replica(&self) -> Option<usize> {
        match self {
            Self::Kill { replica, .. }
            | Self::Terminate { replica, .. }
            | Self::Pause { replica, .. } => Some(*replica),
            _ => None,
        }
    }

    /// Whether it starts or stops a Postgres server or the pooler.
    #[must_use]
    pub fn is_of_servers(&self) -> bool {
        matches!(
            self,
            Self::RestartPooler { .. }
                | Self::CrashPostgres { .. }
                | Self::StandbyAway { .. }
                | Self::FailOver { .. }
        )
    }
}

fn whose(replica: Option<usize>) -> String {
    replica.map_or_else(
        || "every replica".to_owned(),
        |replica| format!("replica {replica}"),
    )
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill {
                replica,
                back_after,
            } => write!(
                f,
                "SIGKILL replica {replica}, back after {:.1} s",
                back_after.as_secs_f64()
            ),
            Self::Terminate {
                replica,
                back_after,
            } => {
                write!(
                    f,
                    "SIGTERM replica {replica}, back after {:.1} s",
                    back_after.as_secs_f64()
                )
            }
            Self::Pause { replica, lasting } => write!(
                f,
                "SIGSTOP replica {replica} for {:.1} s",
                lasting.as_secs_f64()
            ),
            Self::CrashPostgres { back_after } => write!(
                f,
                "Postgres stops immediately, back after {:.1} s",
                back_after.as_secs_f64()
            ),
            Self::EndBackends { times } => write!(f, "all backends are terminated, {times} times"),
            Self::Links {
                replica,
                link,
                trouble,
                lasting,
            } => {
                let whose = whose(*replica);
                write!(
                    f,
                    "{trouble:?} between {whose} and {link:?} for {:.1} s",
                    lasting.as_secs_f64()
                )
            }
            Self::Silent {
                replica,
                direction,
                times,
                apart,
                aws_too,
            } => {
                let (whose, where_to) = (
                    whose(*replica),
                    if *aws_too {
                        "Postgres and AWS"
                    } else {
                        "Postgres"
                    },
                );
                let what = if *direction == Direction::Both {
                    ""
                } else {
                    &format!(" ({direction:?})")
                };
                write!(
                    f,
                    "open connections of {whose} to {where_to} fall silent{what}, {times} times, {} ms apart",
                    apart.as_millis()
                )
            }
            Self::SilentOnCommand {
                first,
                times,
                lasting,
            } => {
                let commands: Vec<Command> = (0..REPLICAS)
                    .map(|replica| Command::of_replica(*first, replica))
                    .collect();
                write!(
                    f,
                    "{times} connections of each replica fall silent at {commands:?} within {:.1} s",
                    lasting.as_secs_f64()
                )
            }
            Self::RestartPooler { back_after } => write!(
                f,
                "SIGTERM PgBouncer, back after {:.1} s",
                back_after.as_secs_f64()
            ),
            Self::StandbyAway { lasting } => {
                write!(f, "SIGSTOP the standby for {:.1} s", lasting.as_secs_f64())
            }
            Self::FailOver { way, address_after } => {
                match way {
                    FailOver::Killed => write!(f, "SIGKILL the primary")?,
                    FailOver::OldAsStandby { lasting } => {
                        write!(
                            f,
                            "SIGKILL the primary, back as a standby for {:.1} s",
                            lasting.as_secs_f64()
                        )?;
                    }
                    FailOver::Paused => write!(f, "SIGSTOP the primary")?,
                }
                write!(
                    f,
                    ", the standby is promoted, the address moves after {:.1} s",
                    address_after.as_secs_f64()
                )
            }
            Self::Aws { fault, lasting } => {
                let chance = fault.probability.unwrap_or(1.0);
                write!(
                    f,
                    "{:?} for {:.0} % of {} for {:.1} s",
                    fault.kind,
                    chance * 100.0,
                    fault.operation,
                    lasting.as_secs_f64()
                )
            }
        }
    }
}
