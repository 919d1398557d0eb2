//! How long work lies still after its replica has gone.
//!
//! Nothing says which replica holds a piece of work, so every piece that the dead one may have held
//! is watched: all that was due at that moment, or falls due within the longest hold after it. A
//! piece is taken over when its row shows another claim. Two durations come of it: from the death
//! to that claim (the takeover), and from when it was due, or from the death if it was due before,
//! to that claim (the lateness: what is left when the hold itself is taken off). Deliveries to a
//! receiver that fails are not watched: it gets few at a time.

use std::time::{Duration, Instant};

use crate::database::{self, WorkKind};
use crate::stage::Stage;

/// The longest that a claim holds work back.
const EXPORT_HOLD: Duration = Duration::from_secs(15);
/// The same for deliveries.
const DELIVERY_HOLD: Duration = Duration::from_secs(18);
/// How long is watched beyond the hold.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often is looked.
const EVERY: Duration = Duration::from_millis(100);

/// The worst of what was watched, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takeover {
    /// How many deaths were watched.
    pub deaths: u32,
    /// How many pieces of work.
    pub pieces: usize,
    /// From the death to the next claim of an export.
    pub exports_s: f64,
    /// From the death to the next attempt of a delivery.
    pub deliveries_s: f64,
    /// From when an export was due to its claim.
    pub lateness_s: f64,
}

impl Takeover {
    /// The worst of both.
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

/// Watches from a replica's death on. The time between `death` and the first look counts.
pub async fn watch(stage: &Stage, death: Instant) -> Takeover {
    let exports = follow(stage, WorkKind::Exports, EXPORT_HOLD, death);
    let deliveries = follow(stage, WorkKind::Deliveries, DELIVERY_HOLD, death);
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

/// Number of pieces, worst takeover and worst lateness.
async fn follow(
    stage: &Stage,
    kind: WorkKind,
    hold: Duration,
    death: Instant,
) -> (usize, f64, f64) {
    // The whole of what is scheduled is read each time: what is due later may be brought forward.
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
        // The receiver has begun to fail: whatever is left for it waits for other reasons from now
        // on.
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
        let what = format!("{kind:?} were not touched within {passed_s:.1} s of a replica's death");
        let first = open.keys().next().map(ToString::to_string);
        stage.ledger.violated(
            "work left lying",
            format!("{} {what}", open.len()),
            first.as_deref().filter(|_| kind == WorkKind::Exports),
        );
    }
    (count, worst_s, latest_s)
}
