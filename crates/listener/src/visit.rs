//! What one connection is doing, and until when it may: shared by what reads and writes
//! ([`super::wire`]), by the requests on it, and by what drives it ([`super::connection`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::Limits;
use super::places::Places;

/// When nothing has an end, it is looked at again after this.
const LONG: Duration = Duration::from_secs(3600);

/// One connection.
#[derive(Debug)]
pub struct Visit {
    places: Arc<Places>,
    doing: Mutex<Doing>,
    leave: Notify,
}

#[derive(Debug)]
struct Doing {
    phase: Phase,
    since: Instant,
    /// Its number among the idle.
    ticket: Option<u64>,
    /// Since when the client takes nothing of what it is sent.
    stuck_since: Option<Instant>,
    /// Whether a request was answered before all of it had come.
    unread: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    New,
    /// Between two requests.
    Idle,
    /// The head of a request has begun to come.
    Head,
    /// A request is answered.
    Answering,
    /// All is said; the client may still send.
    Lingering,
}

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is idle for some time: its buffers are given back.
    Rest,
    /// Its time is over; the reason is counted if it was the client's fault.
    Close(Option<&'static str>),
}

impl Visit {
    /// A new connection: idle until something comes.
    pub fn new(places: Arc<Places>) -> Arc<Self> {
        let doing = Doing {
            phase: Phase::New,
            since: Instant::now(),
            ticket: None,
            stuck_since: None,
            unread: false,
        };
        let visit = Arc::new(Self {
            places,
            doing: Mutex::new(doing),
            leave: Notify::new(),
        });
        let ticket = visit.places.rests(Arc::clone(&visit));
        visit.doing().ticket = Some(ticket);
        visit
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it takes a place.
    pub fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Something came.
    pub fn came(&self) {
        let mut doing = self.doing();
        if matches!(doing.phase, Phase::New | Phase::Idle) {
            (doing.phase, doing.since) = (Phase::Head, Instant::now());
            self.acts(&mut doing);
        }
    }

    /// The head of a request is whole.
    pub fn begins_answer(&self) {
        let mut doing = self.doing();
        (doing.phase, doing.unread) = (Phase::Answering, false);
        self.acts(&mut doing);
    }

    /// An answer is written.
    pub fn ends_answer(self: &Arc<Self>) {
        let mut doing = self.doing();
        if doing.phase == Phase::Answering {
            (doing.phase, doing.since) = (Phase::Idle, Instant::now());
            doing.ticket = Some(self.places.rests(Arc::clone(self)));
        }
    }

    /// A part of a request was not read.
    pub fn left_unread(&self) {
        self.doing().unread = true;
    }

    /// The client took something, or has taken all.
    pub fn took(&self) {
        self.doing().stuck_since = None;
    }

    /// The client takes nothing at the moment.
    pub fn is_stuck(&self) {
        self.doing().stuck_since.get_or_insert_with(Instant::now);
    }

    /// All is said. Whether the client may still be sending, so that closing at once would take the
    /// answer away from it.
    pub fn lingers(&self) -> bool {
        let mut doing = self.doing();
        match doing.phase {
            Phase::Lingering => return true,
            Phase::Head => {}
            _ if doing.unread => {}
            _ => return false,
        }
        (doing.phase, doing.since, doing.stuck_since) = (Phase::Lingering, Instant::now(), None);
        self.acts(&mut doing);
        true
    }

    /// It is over.
    pub fn end(&self) {
        let mut doing = self.doing();
        self.acts(&mut doing);
    }

    fn acts(&self, doing: &mut Doing) {
        if let Some(ticket) = doing.ticket.take() {
            self.places.acts(ticket);
        }
    }

    /// Its place is needed.
    pub fn ask_to_leave(&self) {
        self.leave.notify_one();
    }

    /// Waits until its place is needed.
    pub async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Whether nothing is in hand.
    pub fn is_idle(&self) -> bool {
        matches!(self.doing().phase, Phase::New | Phase::Idle)
    }

    /// What is due now, and when to look again.
    pub fn look(&self, limits: &Limits, now: Instant) -> (Option<Due>, Instant) {
        let doing = self.doing();
        let slow = |reason| Due::Close(Some(reason));
        let of_phase = match doing.phase {
            Phase::New | Phase::Head => Some((doing.since + limits.head_time, slow("head_time"))),
            Phase::Idle => Some((doing.since + limits.idle_time, Due::Close(None))),
            Phase::Lingering => Some((doing.since + limits.linger_time, Due::Close(None))),
            Phase::Answering => None,
        };
        let of_writing = doing
            .stuck_since
            .map(|since| (since + limits.write_time, slow("write_time")));
        let rest = (doing.phase == Phase::Idle && doing.stuck_since.is_none())
            .then_some((doing.since + limits.rest_after, Due::Rest));
        // In this order: what ends it goes before what only pauses it.
        let ends = [of_phase, of_writing, rest];
        let due = ends
            .iter()
            .flatten()
            .find(|(at, _)| *at <= now)
            .map(|(_, due)| *due);
        let next = ends
            .iter()
            .flatten()
            .map(|(at, _)| *at)
            .filter(|at| *at > now)
            .min();
        (due, next.unwrap_or(now + LONG))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_end() {
        let limits = Limits::default();
        let visit = Visit::new(Places::new(1));
        let after = |seconds| {
            visit
                .look(&limits, Instant::now() + Duration::from_secs(seconds))
                .0
        };
        assert_eq!(
            (after(9), after(11)),
            (None, Some(Due::Close(Some("head_time"))))
        );
        visit.came();
        assert_eq!(
            (after(9), after(11)),
            (None, Some(Due::Close(Some("head_time"))))
        );
        visit.begins_answer();
        assert_eq!(after(3000), None);
        visit.is_stuck();
        assert_eq!(
            (after(29), after(31)),
            (None, Some(Due::Close(Some("write_time"))))
        );
        visit.took();
        visit.ends_answer();
        assert_eq!(
            (after(0), after(2), after(76)),
            (None, Some(Due::Rest), Some(Due::Close(None)))
        );
        assert!(visit.is_idle() && !visit.lingers());
        visit.begins_answer();
        visit.left_unread();
        assert!(visit.lingers() && !visit.is_idle());
        assert_eq!((after(1), after(3)), (None, Some(Due::Close(None))));
    }
}
