//! Clients' actions, and the faults that happen by themselves.

use std::time::Duration;

use tableferry::domain::ids::ExportId;
use uuid::Uuid;

use super::clients::{self, ClientAction};
use super::faults::{AwsFault, Commit};
use super::world::{Event, World};

impl World {
    pub(super) fn client(&mut self, action: ClientAction) {
        let commit = self.faults.commit(&mut self.dice);
        self.tell(|_| format!("client: {} ({commit:?})", action.in_words()));
        match action {
            ClientAction::Create(number, request) => {
                if commit != Commit::Failed {
                    let id = ExportId(Uuid::from_u128(
                        u128::from(number) * 1000 + self.dice.below(1000) as u128,
                    ));
                    let export =
                        clients::new_export((*request).clone(), id, self.now, &mut self.dice);
                    let id = self.store.accept(self.now, export, number);
                    self.wake_workers();
                    if commit == Commit::Known {
                        self.plan_regrets(id);
                        return;
                    }
                }
                let again = self.dice.millis(500, 10_000);
                self.after(again, Event::Client(ClientAction::Create(number, request)));
            }
            ClientAction::Cancel(id) if commit != Commit::Failed => {
                let cancelled = self.store.cancel(id, self.now, &self.rules);
                self.count("cancelled", u64::from(cancelled));
            }
            ClientAction::Delete(id, force) if commit != Commit::Failed => {
                if self.store.delete(id, force) {
                    self.witness.deleted(id);
                    self.count("deleted", 1);
                }
            }
            ClientAction::Cancel(_) | ClientAction::Delete(..) => {}
        }
    }

    /// Some clients change their minds, usually soon.
    pub(super) fn plan_regrets(&mut self, id: ExportId) {
        while self.dice.chance(0.35) {
            let after = self.dice.any_scale(0.01, 3600.0);
            self.after(after, Event::Client(ClientAction::Cancel(id)));
        }
        if self.dice.chance(0.06) {
            let (after, force) = (self.dice.any_scale(0.01, 3600.0), self.dice.chance(0.5));
            self.after(after, Event::Client(ClientAction::Delete(id, force)));
        }
    }

    pub(super) fn nemesis(&mut self) {
        if self.healed_at.is_some() {
            return;
        }
        match self.dice.below(8) {
            0..=2 => {
                let length = self.dice.any_scale(10.0, 4.0 * 3600.0);
                self.trouble(length);
            }
            3 | 4 => {
                let table = self.dice.below(self.aws.tables.len());
                self.aws.delete_or_make_table(table);
                self.tell(|world| {
                    format!("table {table}: exists {}", world.aws.tables[table].exists)
                });
            }
            5 => {
                let table = self.dice.below(self.aws.tables.len());
                self.aws.tables[table].recovery = !self.aws.tables[table].recovery;
                self.tell(|world| {
                    format!(
                        "table {table}: recovery {}",
                        world.aws.tables[table].recovery
                    )
                });
            }
            6 => {
                self.store.mark_delayed(self.now);
                self.tell(|_| {
                    "the event that exports wait for a slot in flight is written".to_owned()
                });
            }
            _ => {
                let pause = self.dice.any_scale(60.0, 12.0 * 3600.0);
                self.pause_everyone(pause);
            }
        }
    }

    pub(super) fn trouble(&mut self, length: Duration) {
        use AwsFault::{
            Denied, ErrorAfter, ErrorBefore, LimitExceeded, NotFound, PageRefused, Throttled,
        };
        let fault = self.dice.pick(&[
            Denied,
            ErrorAfter,
            ErrorBefore,
            LimitExceeded,
            NotFound,
            PageRefused,
            Throttled,
        ]);
        self.tell(|_| {
            format!(
                "AWS answers {fault:?} to all that can meet it for {} s",
                length.as_secs()
            )
        });
        let until = self.now.plus(length);
        self.aws.trouble = Some((fault, until));
    }

    pub(super) fn pause_everyone(&mut self, pause: Duration) {
        self.tell(|_| format!("every worker is paused for {} s", pause.as_secs()));
        let until = self.now.plus(pause);
        for worker in &mut self.workers {
            worker.paused_until = worker.paused_until.max(until);
        }
    }

    /// Sometimes no worker runs for longer than AWS remembers exports, and the faults are healed
    /// only afterwards.
    pub(super) fn heal(&mut self) {
        if self.dice.chance(0.05) {
            let pause = Duration::from_secs(91 * 24 * 3600);
            self.pause_everyone(pause);
            self.after(pause, Event::Heal);
            return;
        }
        self.tell(|_| "all faults are healed".to_owned());
        self.faults.heal();
        self.aws.heal();
        for worker in &mut self.workers {
            (worker.paused_until, worker.looks_at) = (self.now, None);
        }
        self.healed_at = Some(self.now);
        self.wake_workers();
    }
}
