//! The plan: what goes wrong when. It is derived from the seed alone, so a run can be repeated.

use std::time::Duration;

use fastrand::Rng;
use tableferry_simulator::{Fault, FaultKind};

use crate::trouble::{
    Direction, ENDPOINTS, FailOver, Link, LinkTrouble, REPLICAS, ReceiverTrouble, Trouble,
};

/// The choices of the plan.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The kinds, as indexes into [`KINDS`]; not empty.
    pub kinds: Vec<usize>,
    /// The maximum duration of trouble in a round, except for pauses and partitions.
    pub trouble_s: f64,
    /// The longest SIGSTOP, and the longest time that a link holds data back.
    pub pause_s: f64,
}

/// The plan of a round. `round` counts from 0; the first rounds go once through every kind of
/// trouble.
pub fn round(seed: u64, round: u32, bounds: &Bounds) -> Vec<Trouble> {
    let mut random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(round));
    // Each seed starts at another kind, so that short runs with changing seeds cover everything.
    let first = seed.wrapping_add(u64::from(round)) % bounds.kinds.len() as u64;
    let count = [1, 1, 1, 2, 2, 3][random.usize(..6)];
    let mut troubles = vec![draw(bounds.kinds[first as usize], &mut random, bounds)];
    // If few kinds are chosen, no second one may be compatible.
    for _ in 0..20 {
        if troubles.len() >= count {
            break;
        }
        let next = draw(
            bounds.kinds[random.usize(..bounds.kinds.len())],
            &mut random,
            bounds,
        );
        // Only one trouble for a replica's process at a time.
        let busy = next
            .replica()
            .is_some_and(|replica| troubles.iter().any(|t| t.replica() == Some(replica)));
        // And only one for the Postgres servers.
        let servers_busy = next.is_of_servers() && troubles.iter().any(Trouble::is_of_servers);
        if !busy && !servers_busy {
            troubles.push(next);
        }
    }
    troubles
}

/// The kinds of trouble by name. A run of this many consecutive rounds covers every kind. The last
/// one needs a pooler.
pub const KINDS: [&str; 14] = [
    "kill",
    "terminate",
    "pause",
    "crash-postgres",
    "end-backends",
    "links",
    "aws",
    "silent",
    "silent-on-command",
    "standby-away",
    "fail-over-killed",
    "fail-over-old-as-standby",
    "fail-over-paused",
    "restart-pooler",
];

/// The indexes in [`KINDS`] of all kinds that are possible.
#[must_use]
pub fn all_kinds(has_pooler: bool) -> Vec<usize> {
    (0..KINDS.len() - usize::from(!has_pooler)).collect()
}

/// The indexes in [`KINDS`] of these names, separated by commas.
pub fn kinds(names: &str) -> Result<Vec<usize>, String> {
    let place = |name: &str| KINDS.iter().position(|kind| *kind == name.trim());
    names
        .split(',')
        .map(|name| {
            place(name)
                .ok_or_else(|| format!("unknown kind {name:?}; the kinds are {}", KINDS.join(", ")))
        })
        .collect()
}

/// The behaviour of the receivers of one or two endpoints throughout a round, in addition to its
/// other troubles. Any six consecutive rounds cover every kind.
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
        2 => ReceiverTrouble::Slow {
            ms: random.u64(500..=13_000),
        },
        3 => ReceiverTrouble::Throttle { retry_after_s },
        4 => ReceiverTrouble::Unavailable { retry_after_s },
        _ => ReceiverTrouble::Restart,
    }
}

fn draw(kind: usize, random: &mut Rng, bounds: &Bounds) -> Trouble {
    let replica = random.usize(..REPLICAS);
    let share = |random: &mut Rng, from: f64| {
        Duration::from_secs_f64(bounds.trouble_s * (from + (1.0 - from) * random.f64()))
    };
    let pause = |random: &mut Rng, from: f64| {
        Duration::from_secs_f64(bounds.pause_s * (from + (1.0 - from) * random.f64()))
    };
    match kind {
        0 => Trouble::Kill {
            replica,
            back_after: share(random, 0.1),
        },
        1 => Trouble::Terminate {
            replica,
            back_after: share(random, 0.1),
        },
        2 => Trouble::Pause {
            replica,
            lasting: pause(random, 0.2),
        },
        3 => Trouble::CrashPostgres {
            back_after: share(random, 0.05),
        },
        4 => Trouble::EndBackends {
            times: random.u32(1..=6),
        },
        5 => links(random, replica, bounds),
        6 => Trouble::Aws {
            fault: aws_fault(random),
            lasting: share(random, 0.4),
        },
        7 => Trouble::Silent {
            replica: (random.u32(..3) == 0).then_some(replica),
            direction: [
                Direction::Both,
                Direction::Both,
                Direction::Requests,
                Direction::Answers,
            ][random.usize(..4)],
            times: if random.bool() { 1 } else { random.u32(2..=4) },
            apart: Duration::from_millis(random.u64(200..=900)),
            aws_too: random.u32(..4) == 0,
        },
        8 => Trouble::SilentOnCommand {
            first: random.usize(..3),
            times: random.u32(1..=3),
            lasting: share(random, 0.6),
        },
        9 => Trouble::StandbyAway {
            lasting: pause(random, 0.4),
        },
        13 => Trouble::RestartPooler {
            back_after: share(random, 0.05),
        },
        _ => {
            let way = match kind {
                10 => FailOver::Killed,
                11 => FailOver::OldAsStandby {
                    lasting: pause(random, 0.3),
                },
                _ => FailOver::Paused,
            };
            Trouble::FailOver {
                way,
                address_after: share(random, 0.1),
            }
        }
    }
}

fn links(random: &mut Rng, replica: usize, bounds: &Bounds) -> Trouble {
    let link = if random.bool() {
        Link::Database
    } else {
        Link::Aws
    };
    let trouble = match random.u32(..5) {
        0 => LinkTrouble::Refuse,
        1 => LinkTrouble::Cut,
        2 => LinkTrouble::Delay(random.u64(50..=1_500)),
        3 => LinkTrouble::Stall,
        _ => LinkTrouble::Deaf,
    };
    let replica = (random.u32(..4) > 0).then_some(replica);
    let (longest_s, from) = match trouble {
        // A partition may be longer than every timeout, as a pause may.
        LinkTrouble::Stall | LinkTrouble::Deaf => (bounds.pause_s, 0.1),
        _ => (bounds.trouble_s, 0.3),
    };
    let lasting = Duration::from_secs_f64(longest_s * (from + (1.0 - from) * random.f64()));
    Trouble::Links {
        replica,
        link,
        trouble,
        lasting,
    }
}

fn aws_fault(random: &mut Rng) -> Fault {
    let kinds = [
        FaultKind::Throttle,
        FaultKind::Error500,
        FaultKind::DropAnswer,
        FaultKind::DropAnswer,
        FaultKind::Delay {
            ms: random.u64(200..=9_000),
        },
        FaultKind::Hang,
        FaultKind::AccessDenied,
        FaultKind::ExpiredCredentials,
    ];
    let operation = [
        "*",
        "ExportTableToPointInTime",
        "DescribeExport",
        "ListExports",
    ][random.usize(..4)];
    Fault::new(operation, kinds[random.usize(..kinds.len())].clone())
        .probability(0.2 + 0.8 * random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds {
            kinds: all_kinds(false),
            trouble_s: 6.0,
            pause_s: 30.0,
        }
    }

    #[test]
    fn a_seed_gives_the_same_plan_again() {
        let plan = |seed| {
            (0..50)
                .map(|n| (round(seed, n, &bounds()), receivers(seed, n)))
                .collect::<Vec<_>>()
        };
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn thirteen_rounds_hold_every_kind() {
        let servers = [
            "Postgres stops",
            "SIGSTOP the standby",
            "SIGKILL the primary, the standby",
            "SIGKILL the primary, back",
            "SIGSTOP the primary",
        ];
        let others = [
            "SIGKILL replica",
            "SIGTERM replica",
            "SIGSTOP replica",
            "backends",
            "between",
            " % of ",
            "open connections",
            "fall silent at",
        ];
        for seed in 0..20 {
            let all: Vec<Trouble> = (0..13).flat_map(|n| round(seed, n, &bounds())).collect();
            for wanted in servers.into_iter().chain(others) {
                assert!(
                    all.iter().any(|t| t.to_string().contains(wanted)),
                    "{wanted}"
                );
            }
        }
    }

    #[test]
    fn kinds_can_be_chosen() {
        let chosen = Bounds {
            kinds: kinds("silent, kill").unwrap(),
            ..bounds()
        };
        for trouble in (0..50).flat_map(|n| round(5, n, &chosen)) {
            assert!(
                matches!(trouble, Trouble::Silent { .. } | Trouble::Kill { .. }),
                "{trouble}"
            );
        }
        kinds("kill,murder").unwrap_err();
    }

    #[test]
    fn six_rounds_hold_every_trouble_of_receivers() {
        for seed in 0..20 {
            let all = format!(
                "{:?}",
                (0..6).flat_map(|n| receivers(seed, n)).collect::<Vec<_>>()
            );
            for wanted in ["Fail", "Hang", "Slow", "Throttle", "Unavailable", "Restart"] {
                assert!(all.contains(wanted), "{wanted}");
            }
        }
    }

    #[test]
    fn a_replica_and_the_servers_have_one_trouble_at_a_time() {
        for n in 0..2_000 {
            assert!(
                round(3, n, &bounds())
                    .iter()
                    .filter(|trouble| trouble.is_of_servers())
                    .count()
                    <= 1
            );
            let mut replicas: Vec<usize> = round(3, n, &bounds())
                .iter()
                .filter_map(Trouble::replica)
                .collect();
            replicas.sort_unstable();
            assert!(replicas.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}
