//! What a connection is doing, and how long it may go on. Shared by its stream ([`super::wire`]),
//! the bodies of its requests ([`super::body`]) and what drives it ([`super::connection`]).

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tableferry_telemetry::reasons::CutReason;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::ConnectionLimits;
use super::slots::{ConnectionSlots, Slot};

/// When to check again if there is no deadline.
const NO_DEADLINE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub struct ConnectionState {
    slots: Arc<ConnectionSlots>,
    activity: Mutex<Activity>,
    /// Notified when the slot is needed for a new connection.
    slot_needed: Arc<Notify>,
}

#[derive(Debug)]
struct Activity {
    phase: Phase,
    since: Instant,
    /// Its ticket among the idle connections, while it is idle.
    idle_ticket: Option<u64>,
    /// Since when writing makes no progress.
    stalled_since: Option<Instant>,
    /// Whether a request was answered before all of it had arrived.
    unread: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No byte has arrived yet.
    New,
    /// Between two requests.
    Idle,
    /// A part of a request's head has arrived.
    Head,
    /// The head is complete; the request is being answered.
    Answering,
    /// The last response is written; the client may still send.
    Lingering,
}

/// What is to be done with a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It has been idle for [`ConnectionLimits::rest_after`]: give its buffers back.
    Rest,
    /// A deadline has passed. The reason is given if the client is at fault.
    Close(Option<CutReason>),
}

impl ConnectionState {
    /// A new connection, which counts as idle until its first byte arrives.
    pub fn new(slots: &Arc<ConnectionSlots>) -> Arc<Self> {
        let slot_needed = Arc::new(Notify::new());
        let activity = Activity {
            phase: Phase::New,
            since: Instant::now(),
            idle_ticket: Some(slots.add_idle(Arc::clone(&slot_needed))),
            stalled_since: None,
            unread: false,
        };
        Arc::new(Self {
            slots: Arc::clone(slots),
            activity: Mutex::new(activity),
            slot_needed,
        })
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn bytes_received(&self) {
        let mut activity = self.activity();
        if matches!(activity.phase, Phase::New | Phase::Idle) {
            (activity.phase, activity.since) = (Phase::Head, Instant::now());
            self.no_longer_idle(&mut activity);
        }
    }

    pub fn head_complete(&self) {
        let mut activity = self.activity();
        (activity.phase, activity.unread) = (Phase::Answering, false);
        self.no_longer_idle(&mut activity);
    }

    pub fn response_written(&self) {
        let mut activity = self.activity();
        if activity.phase == Phase::Answering {
            (activity.phase, activity.since) = (Phase::Idle, Instant::now());
            activity.idle_ticket = Some(self.slots.add_idle(Arc::clone(&self.slot_needed)));
        }
    }

    /// The service did not read the whole request.
    pub fn request_left_unread(&self) {
        self.activity().unread = true;
    }

    /// The client has read some, or all, of what was written.
    pub fn write_progressed(&self) {
        self.activity().stalled_since = None;
    }

    /// The socket accepts no more bytes, because the client does not read.
    pub fn write_stalled(&self) {
        self.activity()
            .stalled_since
            .get_or_insert_with(Instant::now);
    }

    /// Starts a lingering close. Returns true if the client may still be sending: closing now would
    /// reset the connection and could discard the response.
    pub fn begin_lingering_close(&self) -> bool {
        let mut activity = self.activity();
        match activity.phase {
            Phase::Lingering => return true,
            Phase::Head => {}
            _ if activity.unread => {}
            _ => return false,
        }
        activity.phase = Phase::Lingering;
        (activity.since, activity.stalled_since) = (Instant::now(), None);
        self.no_longer_idle(&mut activity);
        true
    }

    fn no_longer_idle(&self, activity: &mut Activity) {
        if let Some(ticket) = activity.idle_ticket.take() {
            self.slots.remove_idle(ticket);
        }
    }

    pub async fn slot_needed(&self) {
        self.slot_needed.notified().await;
    }

    /// Whether it has no request to finish.
    pub fn is_idle(&self) -> bool {
        matches!(self.activity().phase, Phase::New | Phase::Idle)
    }

    /// What is due now, and when to check again.
    pub fn check(&self, limits: &ConnectionLimits, now: Instant) -> (Option<Due>, Instant) {
        let activity = self.activity();
        let since = activity.since;
        let cut = |reason| Due::Close(Some(reason));
        let phase = match activity.phase {
            Phase::New | Phase::Head => Some((since + limits.head_time, cut(CutReason::HeadTime))),
            Phase::Idle => Some((since + limits.idle_time, Due::Close(None))),
            Phase::Lingering => Some((since + limits.linger_time, Due::Close(None))),
            Phase::Answering => None,
        };
        let write = activity
            .stalled_since
            .map(|since| (since + limits.write_time, cut(CutReason::WriteTime)));
        let rest = (activity.phase == Phase::Idle && activity.stalled_since.is_none())
            .then_some((since + limits.rest_after, Due::Rest));
        // A close goes before a rest.
        let deadlines = [phase, write, rest];
        let deadlines = || deadlines.iter().flatten().copied();
        let due = deadlines().find(|(at, _)| *at <= now).map(|(_, due)| due);
        let next = deadlines().map(|(at, _)| at).filter(|at| *at > now).min();
        (due, next.unwrap_or(now + NO_DEADLINE))
    }
}

/// The state of a connection and the slot that it takes. When this is dropped, the connection is no
/// longer among the idle ones, and its slot is released.
#[derive(Debug)]
pub struct OpenConnection {
    state: Arc<ConnectionState>,
    slot: Slot,
}

impl OpenConnection {
    pub fn new(slot: Slot) -> Self {
        Self {
            state: ConnectionState::new(slot.slots()),
            slot,
        }
    }

    pub fn is_over_capacity(&self) -> bool {
        self.slot.over_capacity
    }
}

impl Deref for OpenConnection {
    type Target = Arc<ConnectionState>;

    fn deref(&self) -> &Self::Target {
        &self.state
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut activity = self.state.activity();
        self.state.no_longer_idle(&mut activity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_deadline() {
        let limits = ConnectionLimits::default();
        let state = ConnectionState::new(&ConnectionSlots::new(1));
        let after = |seconds| {
            state
                .check(&limits, Instant::now() + Duration::from_secs(seconds))
                .0
        };
        let head_time = Some(Due::Close(Some(CutReason::HeadTime)));
        let write_time = Some(Due::Close(Some(CutReason::WriteTime)));
        assert_eq!((after(9), after(11)), (None, head_time));
        state.bytes_received();
        assert_eq!((after(9), after(11)), (None, head_time));
        state.head_complete();
        assert_eq!(after(3000), None);
        state.write_stalled();
        assert_eq!((after(29), after(31)), (None, write_time));
        state.write_progressed();
        state.response_written();
        assert_eq!(
            (after(0), after(2), after(76)),
            (None, Some(Due::Rest), Some(Due::Close(None)))
        );
        assert!(state.is_idle() && !state.begin_lingering_close());
        state.head_complete();
        state.request_left_unread();
        assert!(state.begin_lingering_close() && !state.is_idle());
        assert_eq!((after(1), after(3)), (None, Some(Due::Close(None))));
    }
}
