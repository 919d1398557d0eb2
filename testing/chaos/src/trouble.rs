//! The kinds of trouble there are, in types and in words.

use std::fmt;
use std::time::Duration;

use tableferry_simulator::Fault;

use crate::frontend::Command;

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
    /// Nothing gets through in either direction, and nothing is closed: what was sent arrives when
    /// the trouble is over.
    Stall,
    /// Requests get through, answers do not until the trouble is over.
    Deaf,
}

/// What does not get through a silent connection any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Nothing does.
    Both,
    /// What the replica sends is lost.
    Requests,
    /// What is sent to the replica is lost.
    Answers,
}

/// How a fail-over goes. Always the synchronous standby is promoted, and later the address leads to
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOver {
    /// The primary is killed and stays away.
    Killed,
    /// The primary is killed and comes back as a standby where it was, before the address moves:
    /// new connections reach a server that only reads.
    OldAsStandby {
        /// For how long.
        lasting: Duration,
    },
    /// The primary gets SIGSTOP: open connections say nothing any more. It wakes up, as a primary,
    /// after the round.
    Paused,
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
    /// Open connections to Postgres carry nothing from now on, permanently; new connections work.
    Silent {
        /// Whose; `None` is every replica's.
        replica: Option<usize>,
        /// What is lost.
        direction: Direction,
        /// How often.
        times: u32,
        /// How long after the time before.
        apart: Duration,
        /// Those to AWS too.
        aws_too: bool,
    },
    /// Connections to Postgres fall silent right after a command, whose answer is lost. Each
    /// replica's on another command.
    SilentOnCommand {
        /// The command of the first replica, by its place in `Command::ALL`.
        first: usize,
        /// How many connections of each replica.
        times: u32,
        /// For how long the command is waited for.
        lasting: Duration,
    },
    /// The standby gets SIGSTOP, and SIGCONT after a while: meanwhile no transaction can be
    /// committed.
    StandbyAway {
        /// For how long.
        lasting: Duration,
    },
    /// The standby becomes the primary.
    FailOver {
        /// What becomes of the old primary.
        way: FailOver,
        /// How long after the promotion, or after the old primary's time as a standby, the address
        /// moves.
        address_after: Duration,
    },
    /// The pooler gets SIGTERM and is started again after a while.
    RestartPooler {
        /// After how long.
        back_after: Duration,
    },
    /// The simulator makes calls go wrong for a while.
    Aws {
        /// The rule.
        fault: Fault,
        /// For how long.
        lasting: Duration,
    },
}

impl Trouble {
    /// The replica whose process it is for.
    #[must_use]
    pub fn replica(&self) -> Option<usize> {
        match self {
            Self::Kill { replica, .. }
            | Self::Terminate { replica, .. }
            | Self::Pause { replica, .. } => Some(*replica),
            _ => None,
        }
    }

    /// Whether it starts or stops a server of Postgres, or the pooler.
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
            Self::EndBackends { times } => write!(f, "{times} times all backends are ended"),
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
                    "{times} connections of each replica silent on {commands:?} within {:.1} s",
                    lasting.as_secs_f64()
                )
            }
            Self::RestartPooler { back_after } => write!(
                f,
                "PgBouncer SIGTERM, back after {:.1} s",
                back_after.as_secs_f64()
            ),
            Self::StandbyAway { lasting } => write!(
                f,
                "the standby stands still for {:.1} s",
                lasting.as_secs_f64()
            ),
            Self::FailOver { way, address_after } => {
                match way {
                    FailOver::Killed => write!(f, "primary SIGKILL")?,
                    FailOver::OldAsStandby { lasting } => {
                        write!(
                            f,
                            "primary SIGKILL and back as a standby for {:.1} s",
                            lasting.as_secs_f64()
                        )?;
                    }
                    FailOver::Paused => write!(f, "primary SIGSTOP")?,
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
