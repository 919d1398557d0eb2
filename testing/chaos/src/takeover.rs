//! How long work waits after its replica has ended.
//!
//! The database does not say which replica holds an item of work, so every item that the dead
//! replica may have held is watched: all that was due at that moment, or becomes due within the
//! longest lease after it. An item is taken over when its row shows another claim. Two durations
//! follow: from the death to that claim (the takeover), and from the due time, or from the death if
//! it was due before, to that claim (the lateness: what is left without the lease itself).
//! Deliveries to a failing receiver are not watched, because it gets few attempts at a time.

use std::time::{Duration, Instant};

use crate::database::{self, WorkKind};
use crate::stage::Stage;

/// The longest lease of an export.
const EXPORT_LEASE: Duration = Duration::from_secs(15);
/// The longest lease of a delivery.
const DELIVERY_LEASE: Duration = Duration::from_secs(18);
/// How long to watch beyond the lease.
const PATIENCE: Duration = Duration::from_secs(15);
/// The polling interval.
const EVERY: Duration = Duration::from_millis(100);

/// The worst measurements, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takeover {
    /// How many deaths were watched.
    pub deaths: u32,
    /// How many items of work were watched.
    pub pieces: usize,
    /// From the death to the next claim of an export.
    pub exports_s: f64,
    /// From the death to the next attempt of a delivery.
    pub deliveries_s: f64,
    /// From an export's due time to its claim.
    pub lateness_s: f64,
}

impl Takeover {
    /// The maximum of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            deaths: self.deaths + other.deaths,
            pieces: self.pieces + other.pieces,
            exports_s: self.exports_s.max(other.exports_s),
            deliveries_s: self.deliveries_s.max(other.deliveries_s),
            lateness_s: self.lateness_s.max(other.lateness_s),
        }
    }
}

/// Watches from a replica's death on. The time between `death` and the first poll counts.
pub async fn watch(stage: &Stage, death: Instant) -> Takeover {
    let exports = follow(stage, WorkKind::Exports, EXPORT_LEASE, death);
    let deliveries = follow(stage, WorkKind::Deliveries, DELIVERY_LEASE, death);
    let ((exported, exports_s, lateness_s), (delivered, deliveries_s, _)) =
        tokio::join!(exports, deliveries);
    Takeover {
        deaths: 1,
        pieces: exported + delivered,
        exports_s,
        deliveries_s,
        lateness_s,
    }
}

/// Number of items, worst takeover and worst lateness.
async fn follow(
    stage: &Stage,
    kind: WorkKind,
    hold: Duration,
    death: Instant,
) -> (usize, f64, f64) {
    // The whole schedule is read each time, because work that is due later may be moved forward.
    let everything = Duration::from_secs(365 * 24 * 3600);
    let Ok(mut open) = database::due(&stage.pool, kind, hold).await else {
        return (0, 0.0, 0.0);
    };
    open.retain(|_, due| !due.is_held_back);
    let first_look_s = death.elapsed().as_secs_f64();
    let count = open.len();
    let (mut worst_s, mut latest_s) = (0.0_f64, 0.0_f64);
    while !open.is_empty() && death.elapsed() < hold + PATIENCE {
        tokio::time::sleep(EVERY).await;
        let Ok(now) = database::due(&stage.pool, kind, everything).await else {
            continue;
        };
        let passed_s = death.elapsed().as_secs_f64();
        // The receiver has begun to fail, so its remaining deliveries wait for other reasons from
        // now on.
        open.retain(|id, _| now.get(id).is_none_or(|seen| !seen.is_held_back));
        open.retain(|id, due| {
            let is_untouched = now.get(id).is_some_and(|seen| seen.mark == due.mark);
            if !is_untouched {
                let due_at_s = (first_look_s + due.due_in_s).max(0.0);
                worst_s = worst_s.max(passed_s);
                latest_s = latest_s.max(passed_s - due_at_s);
            }
            is_untouched
        });
    }
    if !open.is_empty() {
        let passed_s = death.elapsed().as_secs_f64();
        (worst_s, latest_s) = (worst_s.max(passed_s), latest_s.max(passed_s));
        let what = format!("{kind:?} were not claimed within {passed_s:.1} s of a replica's death");
        let first = open.keys().next().map(ToString::to_string);
        stage.ledger.violated(
            "work not taken over",
            format!("{} {what}", open.len()),
            first.as_deref().filter(|_| kind == WorkKind::Exports),
        );
    }
    (count, worst_s, latest_s)
}
