//! The simulated world: state, clock and S3, and the only way in which an export ends.
//!
//! An export is COMPLETED only after its output is in S3: [`World::finish_export`] writes the files
//! first and then sets the status.

mod export;
mod finish;
mod keep;
mod state;
mod table;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use export::Failure;
pub(crate) use export::{Export, ExportRequest, Finish, IncrementalSpecification, Outcome, Scope};
pub(crate) use keep::KeepError;
pub(crate) use state::{EXPORT_LIFE, State};
pub(crate) use table::{KeyAttribute, NewTable, PointInTimeRecovery, Table, Version};

use crate::clock::Clock;
use crate::control::CallLog;
use crate::faults::Faults;
use crate::limits::Limits;
use crate::s3::ObjectStore;
use crate::settings::Settings;

/// The state that the two listeners, the control interface and the background tasks share.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) store: Arc<ObjectStore>,
    pub(crate) account_id: String,
    pub(crate) any_account: bool,
    pub(crate) speed: f64,
    /// The number of partitions of every table, if it does not follow from the table.
    pub(crate) partitions: Option<u32>,
    pub(crate) limits: Limits,
    faults: Mutex<Faults>,
    pub(crate) calls: Mutex<CallLog>,
    state_file: Option<PathBuf>,
    state: Mutex<State>,
    /// Notified when an export was added or the clock was changed.
    pub(crate) due_changed: Notify,
    /// Notified when there is a change to save.
    pub(crate) state_changed: Notify,
    unsaved: AtomicBool,
}

impl World {
    /// Creates a world. The saved state is loaded first, so that a seed does not overwrite it.
    pub(crate) fn new(settings: &Settings) -> Result<Self, KeepError> {
        let mut state = State::new(settings.random_seed);
        let offset = match &settings.state_file {
            Some(path) => keep::load(path, &mut state)?,
            None => time::Duration::ZERO,
        };
        let clock = Clock::new(offset, settings.freeze_clock);
        let store = ObjectStore::open(&settings.data_dir)
            .map_err(|source| KeepError::file(&settings.data_dir, source))?;
        Ok(Self {
            clock,
            store: Arc::new(store),
            account_id: settings.account_id.clone(),
            any_account: settings.any_account,
            speed: if settings.speed > 0.0 {
                settings.speed
            } else {
                1.0
            },
            partitions: settings.partitions.map(|partitions| partitions.max(1)),
            limits: settings.limits.clone(),
            faults: Mutex::new(Faults::new(settings.random_seed)),
            calls: Mutex::new(CallLog::default()),
            state_file: settings.state_file.clone(),
            state: Mutex::new(state),
            due_changed: Notify::new(),
            state_changed: Notify::new(),
            unsaved: AtomicBool::new(false),
        })
    }

    /// Locks the state for reading.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state for a change that should be saved.
    pub(crate) fn change(&self) -> MutexGuard<'_, State> {
        let state = self.state();
        // Set under the lock: a save that starts after this sees the change.
        self.mark_changed();
        state
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the state as changed.
    pub(crate) fn mark_changed(&self) {
        self.unsaved.store(true, Ordering::Release);
        self.state_changed.notify_one();
    }

    /// Writes the state file, if there is one and something changed.
    pub(crate) fn save(&self) -> Result<(), KeepError> {
        let Some(path) = &self.state_file else {
            return Ok(());
        };
        if self.unsaved.swap(false, Ordering::AcqRel) {
            let text = keep::render(&self.state(), self.clock.offset())?;
            keep::write(path, &text)
                .inspect_err(|_| self.unsaved.store(true, Ordering::Release))?;
        }
        Ok(())
    }
}
