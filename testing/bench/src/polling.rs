//! How many polls are needed to notice an end how soon: this service's own decisions next to the
//! waiter of AWS's SDK for Python (every 20 s) and Terraform (every 10 s), on the same exports, in
//! simulated time.
//!
//! Each table has a mean duration of 2 to 12 minutes. The durations of its exports vary in one of
//! three ways: uniformly by ±10 % (as measured for small tables), as a normal distribution with 6
//! %, or by ±7 % with one in twenty half as long again. Five exports of a table precede the
//! measured one. Only polls are counted; each way makes one additional call for the start.

use std::time::Duration;

use tableferry::domain::export::estimate::{LikelyEnd, PastExport, estimate};
use tableferry::domain::export::request::ExportKind;
use tableferry::domain::lifecycle::backoff::{Jitter, PollBounds, poll_delay};

use crate::report::{Figure, Goal, quantile};

/// Tables for each kind of variation.
const TABLES: u32 = 20_000;

/// Earlier exports of a table.
const HISTORY: usize = 5;

/// The service's defaults.
const BOUNDS: PollBounds = PollBounds {
    min: Duration::from_secs(2),
    max: Duration::from_secs(30),
};

/// The number of polls, and how late the last one was.
struct Noticed {
    calls: u32,
    late_s: f64,
}

/// The totals of one polling strategy over all exports.
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
            name: "polls per export",
            value: ours.calls_each(),
            goal: None,
        },
        Figure {
            name: "SDK waiter, polls per export",
            value: waiter.calls_each(),
            goal: None,
        },
        Figure {
            name: "Terraform, polls per export",
            value: terraform.calls_each(),
            goal: None,
        },
        Figure {
            name: "ratio to the SDK waiter's polls",
            value: ratio,
            goal: Some(Goal::AtMost(1.0 / 3.0)),
        },
        Figure {
            name: "ratio to Terraform's polls",
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
            name: "without history, polls per export",
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

/// The duration of an export of a table.
fn takes(middle_s: f64, spread: u32, random: &mut fastrand::Rng) -> Duration {
    let even = |random: &mut fastrand::Rng, share: f64| 1.0 + share * (2.0 * random.f64() - 1.0);
    let factor = match spread {
        0 => even(random, 0.1),
        1 => {
            // The sum of twelve uniform numbers is close enough to a normal distribution.
            let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
            (1.0 + 0.06 * normal).max(0.5)
        }
        _ => even(random, 0.07) * if random.f64() < 0.05 { 1.5 } else { 1.0 },
    };
    Duration::from_secs_f64(middle_s * factor)
}

/// Polls as the service does: after the response to the start, at the times that its code decides.
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

/// Polls at fixed intervals: the waiter immediately and then at each interval, Terraform first
/// after one interval.
fn every(seconds: f64, took: Duration, at_once: bool) -> Noticed {
    let polls = (took.as_secs_f64() / seconds).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below a hundred"
    )]
    let calls = polls as u32 + u32::from(at_once);
    Noticed {
        calls,
        late_s: polls * seconds - took.as_secs_f64(),
    }
}
