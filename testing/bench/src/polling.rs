//! How few calls notice an end how soon: this service's own decisions beside the waiter of AWS's
//! SDK for Python (every 20 s) and Terraform (every 10 s), on the same exports, in simulated time.
//!
//! Each table takes from 2 to 12 minutes in the middle; each export of it takes that, spread in one
//! of three ways: evenly by ±10 % (as was seen of small tables), as a normal distribution of 6 %,
//! or by ±7 % with one in twenty half as long again. Five exports of a table come before the one
//! that is counted. Calls are looks only; the start is one call more for everybody.

use std::time::Duration;

use tableferry::domain::backoff::{Jitter, PollBounds, poll_delay};
use tableferry::domain::estimate::{LikelyEnd, PastExport, estimate};
use tableferry::domain::request::ExportKind;

use crate::report::{Figure, Goal, quantile};

/// How many tables, of each kind of spread.
const TABLES: u32 = 20_000;

/// How many exports of a table came before.
const HISTORY: usize = 5;

/// The service's defaults.
const BOUNDS: PollBounds = PollBounds {
    min: Duration::from_secs(2),
    max: Duration::from_secs(30),
};

/// How many looks were made, and how late the last one was.
struct Noticed {
    calls: u32,
    late_s: f64,
}

/// What one way of looking needed for all exports.
#[derive(Default)]
struct Total {
    calls: u32,
    late_s: Vec<f64>,
}

impl Total {
    fn add(&mut self, noticed: &Noticed) {
        self.calls += noticed.calls;
        self.late_s.push(noticed.late_s);
    }

    fn late(&mut self, share: f64) -> f64 {
        self.late_s.sort_by(f64::total_cmp);
        quantile(&self.late_s, share)
    }

    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    fn calls_each(&self) -> f64 {
        f64::from(self.calls) / self.late_s.len() as f64
    }
}

/// One round; its number is the seed.
pub fn compared(round: usize) -> Vec<Figure> {
    let mut random = fastrand::Rng::with_seed(round as u64);
    let (mut ours, mut unknown, mut waiter, mut terraform) = (
        Total::default(),
        Total::default(),
        Total::default(),
        Total::default(),
    );
    for n in 0..3 * TABLES {
        let middle_s = 120.0 + 600.0 * random.f64();
        let past: Vec<Duration> = (0..HISTORY)
            .map(|_| takes(middle_s, n % 3, &mut random))
            .collect();
        let took = takes(middle_s, n % 3, &mut random);
        ours.add(&by_service(took, &past, &mut random));
        unknown.add(&by_service(took, &[], &mut random));
        waiter.add(&every(20.0, took, true));
        terraform.add(&every(10.0, took, false));
    }
    let ratio = ours.calls_each() / waiter.calls_each();
    vec![
        Figure {
            name: "looks an export",
            value: ours.calls_each(),
            goal: None,
        },
        Figure {
            name: "SDK waiter, looks an export",
            value: waiter.calls_each(),
            goal: None,
        },
        Figure {
            name: "Terraform, looks an export",
            value: terraform.calls_each(),
            goal: None,
        },
        Figure {
            name: "ratio to the SDK waiter's looks",
            value: ratio,
            goal: Some(Goal::AtMost(1.0 / 3.0)),
        },
        Figure {
            name: "ratio to Terraform's looks",
            value: ours.calls_each() / terraform.calls_each(),
            goal: None,
        },
        Figure {
            name: "end noticed, median s",
            value: ours.late(0.5),
            goal: Some(Goal::AtMost(5.0)),
        },
        Figure {
            name: "end noticed, p99 s",
            value: ours.late(0.99),
            goal: None,
        },
        Figure {
            name: "SDK waiter, median s",
            value: waiter.late(0.5),
            goal: None,
        },
        Figure {
            name: "Terraform, median s",
            value: terraform.late(0.5),
            goal: None,
        },
        Figure {
            name: "without history, looks an export",
            value: unknown.calls_each(),
            goal: None,
        },
        Figure {
            name: "without history, median s",
            value: unknown.late(0.5),
            goal: None,
        },
    ]
}

/// How long an export of a table takes.
fn takes(middle_s: f64, spread: u32, random: &mut fastrand::Rng) -> Duration {
    let even = |random: &mut fastrand::Rng, share: f64| 1.0 + share * (2.0 * random.f64() - 1.0);
    let factor = match spread {
        0 => even(random, 0.1),
        1 => {
            // The sum of twelve even numbers is as good as normal.
            let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
            (1.0 + 0.06 * normal).max(0.5)
        }
        _ => even(random, 0.07) * if random.f64() < 0.05 { 1.5 } else { 1.0 },
    };
    Duration::from_secs_f64(middle_s * factor)
}

/// As the service looks: after the answer to the start, whenever its decision says.
fn by_service(took: Duration, past: &[Duration], random: &mut fastrand::Rng) -> Noticed {
    let past: Vec<PastExport> = past
        .iter()
        .map(|d| PastExport {
            of_this_table: true,
            billed_bytes: None,
            duration: *d,
        })
        .collect();
    let likely_end: Option<LikelyEnd> =
        estimate(&ExportKind::Full { export_time: None }, &past, None, 0.1).likely_end;
    let (mut age, mut calls) = (Duration::ZERO, 0);
    while age < took {
        age += poll_delay(age, likely_end, BOUNDS, Jitter(random.f64()));
        calls += 1;
    }
    Noticed {
        calls,
        late_s: (age - took).as_secs_f64(),
    }
}

/// As who looks at fixed times: the waiter at once and then every so many seconds, Terraform first
/// after them.
fn every(seconds: f64, took: Duration, at_once: bool) -> Noticed {
    let looks = (took.as_secs_f64() / seconds).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below a hundred"
    )]
    let calls = looks as u32 + u32::from(at_once);
    Noticed {
        calls,
        late_s: looks * seconds - took.as_secs_f64(),
    }
}
