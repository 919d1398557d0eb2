//! The effect of each event: the parts of a worker's step and AWS's actions.

use std::time::Duration;

use tableferry::domain::aws::failure::FailureClass;
use tableferry::domain::export::ExportStatus;
use tableferry::domain::ids::ClientToken;
use tableferry::domain::lifecycle::outcome::Outcome;
use tableferry::domain::lifecycle::timing::AWS_CALL_TIMEOUT;

use super::faults::{Commit, Travel};
use super::invariants::{Verdict, name};
use super::model_aws::{Call, answer_in_words, call_in_words, failure};
use super::model_store::Quotas;
use super::model_worker::{Next, Step, Waits};
use super::world::{Event, World};

impl World {
    /// Executes an event.
    pub fn handle(&mut self, event: Event) -> Verdict {
        if let Some((worker, life)) = event.belongs_to() {
            let Some(event) = self.hinder(worker, life, event) else {
                return Ok(());
            };
            return self.work(event);
        }
        match event {
            Event::Client(action) => self.client(action),
            Event::Nemesis => self.nemesis(),
            Event::LongTrouble => {
                let length = self.dice.any_scale(7.2 * 3600.0, 8.0 * 3600.0);
                self.trouble(length);
            }
            Event::Heal => self.heal(),
            Event::Claim {
                worker,
                life,
                sent_at,
                workers_now,
            } => {
                let commit = self.faults.commit(&mut self.dice);
                if commit != Commit::Failed {
                    let limit = 1 + self.dice.below(6);
                    let quotas = Quotas {
                        starts_in_doubt: limit,
                        starts: limit,
                        polls: limit,
                    };
                    let mut tickets = self.store.claim_overdue(self.now, workers_now, limit);
                    tickets.extend(self.store.claim(self.now, workers_now, quotas, &self.rules));
                    for ticket in tickets {
                        self.tell(|_| {
                            format!(
                                "worker {worker} claims {} ({commit:?}), {}",
                                name(ticket.id),
                                ticket.in_words()
                            )
                        });
                        if commit == Commit::Known {
                            let latency = self.latency();
                            self.after(
                                latency,
                                Event::Read {
                                    worker,
                                    life,
                                    sent_at,
                                    ticket,
                                },
                            );
                        }
                    }
                }
                self.wake_workers();
            }
            Event::Done(call, step) => {
                let fault = self.faults.at_aws(&mut self.dice);
                let accepted_before = self.aws.accepted.len();
                let answer =
                    self.aws
                        .answer(&call, fault, self.faults.hidden, self.now, &mut self.dice);
                self.tell(|_| {
                    format!(
                        "AWS does {}: {}",
                        call_in_words(&call),
                        answer_in_words(&answer)
                    )
                });
                if self.aws.accepted.len() > accepted_before {
                    self.check_start(&call)?;
                }
                if let Some(step) = step {
                    let latency = self.latency();
                    self.after(latency, Event::Hear(step, Box::new(answer)));
                }
            }
            Event::Record(step, outcome) => return self.record(&step, &outcome),
            Event::Renew(step, call) => {
                let commit = self.faults.commit(&mut self.dice);
                let renewed =
                    commit != Commit::Failed && self.store.renew(self.now, &step.claimed).is_ok();
                let latency = self.latency();
                if renewed && commit == Commit::Known {
                    self.after(latency, Event::Send(step, call));
                } else {
                    self.after(
                        latency,
                        Event::Hear(
                            step,
                            Box::new(Err(failure(FailureClass::Unknown, "SearchInterrupted"))),
                        ),
                    );
                }
            }
            Event::HandBack(step, delay) => {
                self.tell(|_| {
                    format!(
                        "worker {} hands {} back unasked",
                        step.worker,
                        name(step.claimed.export.id)
                    )
                });
                self.count("handed back", 1);
                self.store.unclaim(self.now, &step.claimed, delay);
                self.wake_workers();
            }
            Event::Look { .. }
            | Event::Read { .. }
            | Event::Act(_)
            | Event::Send(..)
            | Event::Hear(..) => {
                unreachable!("these belong to a worker")
            }
        }
        Ok(())
    }

    /// The events for which a worker must be alive and not paused.
    fn work(&mut self, event: Event) -> Verdict {
        match event {
            Event::Look {
                worker,
                life,
                look_no,
            } if self.workers[worker].look_no == look_no => {
                self.workers[worker].looks_at = None;
                let (latency, sent_at, workers_now) = (
                    self.latency(),
                    self.now,
                    self.workers[worker].clock(self.now),
                );
                self.after(
                    latency,
                    Event::Claim {
                        worker,
                        life,
                        sent_at,
                        workers_now,
                    },
                );
            }
            Event::Read {
                worker,
                life,
                sent_at,
                ticket,
            } => {
                let Some(claimed) = self.store.read(&ticket) else {
                    return Ok(());
                };
                let fresh_token = ClientToken::from_uuid(self.dice.uuid());
                let waits = Waits::Nothing;
                let step = Step {
                    worker,
                    life,
                    claim_sent_at: sent_at,
                    call_sent_at: self.now,
                    ticket,
                    claimed,
                    fresh_token,
                    waits,
                };
                let latency = self.latency();
                self.after(latency, Event::Act(Box::new(step)));
            }
            Event::Act(mut step) => {
                let next = if step.ticket.starting
                    && !step.ticket.overdue
                    && self.dice.chance(self.faults.handed_back)
                {
                    Next::HandBack(Duration::from_millis(500))
                } else {
                    let context = self.context(step.worker);
                    step.act(self.now, &context, &self.rules)
                };
                return self.next(step, next);
            }
            Event::Send(step, call) => return self.next(step, Next::Send(*call)),
            Event::Hear(mut step, mut answer) => {
                // Paused for long: both the response and the timeout are there, and either may be
                // seen first.
                if self.now.since(step.call_sent_at) > AWS_CALL_TIMEOUT && self.dice.chance(0.5) {
                    *answer = self.given_up();
                }
                self.tell(|_| {
                    format!(
                        "worker {} receives for {}: {}",
                        step.worker,
                        name(step.claimed.export.id),
                        answer_in_words(&answer)
                    )
                });
                let context = self.context(step.worker);
                let next = step.hear(*answer, &context, |arn| self.store.knows(arn), &self.rules);
                return self.next(step, next);
            }
            _ => {}
        }
        Ok(())
    }

    fn next(&mut self, mut step: Box<Step>, next: Next) -> Verdict {
        let latency = self.latency();
        match next {
            Next::Nothing => {}
            Next::Record(outcome) => self.after(latency, Event::Record(step, outcome)),
            Next::HandBack(delay) => self.after(latency, Event::HandBack(step, delay)),
            Next::RenewAndSend(pause, call) => {
                self.after(pause + latency, Event::Renew(step, Box::new(call)))
            }
            Next::Send(call) => {
                self.check_token(&step, &call)?;
                self.check_lease(&step, &call)?;
                step.call_sent_at = self.now;
                let travel = self
                    .faults
                    .travel(matches!(call, Call::Start(..)), &mut self.dice);
                self.tell(|_| {
                    let id = step.claimed.export.id;
                    format!(
                        "worker {} sends for {}: {}; {travel:?}",
                        step.worker,
                        name(id),
                        call_in_words(&call)
                    )
                });
                let unheard_start =
                    matches!((&call, &travel), (Call::Start(..), Travel::Unheard { .. }));
                self.count("starts unheard", u64::from(unheard_start));
                self.count(
                    "calls of searches",
                    u64::from(matches!(step.waits, Waits::Searched(_))),
                );
                let call = Box::new(call);
                match travel {
                    Travel::Answered { done_after } => {
                        self.after(done_after, Event::Done(call, Some(step)))
                    }
                    Travel::Unheard {
                        done_after,
                        given_up_after,
                    } => {
                        self.after(done_after, Event::Done(call, None));
                        let answer = Box::new(self.given_up());
                        self.after(given_up_after, Event::Hear(step, answer));
                    }
                    Travel::Lost { given_up_after } => {
                        let answer = Box::new(self.given_up());
                        self.after(given_up_after, Event::Hear(step, answer));
                    }
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, step: &Step, outcome: &Outcome) -> Verdict {
        let id = step.claimed.export.id;
        let commit = self.faults.commit(&mut self.dice);
        let event = outcome.change.as_ref().map(|change| change.event.as_str());
        if commit == Commit::Failed {
            self.tell(|_| {
                format!(
                    "worker {} fails to write {event:?} of {}",
                    step.worker,
                    name(id)
                )
            });
            return Ok(());
        }
        let rows = |world: &Self| {
            let deliveries = world.store.deliveries.get(&id).map_or(0, Vec::len);
            (
                world.store.exports.get(&id).map(|export| export.version),
                world.store.schedule.get(&id).copied(),
                deliveries,
            )
        };
        let before = rows(self);
        let version_is_old = before.0 != Some(step.claimed.export.version);
        let claim_is_old = step.ticket.starting
            && before
                .1
                .is_none_or(|row| row.starting && row.claims != step.claimed.claim);
        let written = self
            .store
            .record(self.now, &step.claimed, outcome, &self.rules);
        self.tell(|_| {
            format!(
                "worker {} writes {event:?} of {}, {:?}: {written:?}",
                step.worker,
                name(id),
                outcome.next
            )
        });
        if (version_is_old || claim_is_old) && rows(self) != before {
            return Err(format!(
                "a late write of worker {} changed {}",
                step.worker,
                name(id)
            ));
        }
        match (written, event) {
            (Ok(()), Some(event)) => {
                self.count(event, 1);
                let late = step.claimed.export.status() == ExportStatus::TimedOut
                    && event == "export.completed";
                self.count("completed late", u64::from(late));
            }
            (Ok(()), None) => {}
            (Err(_), _) => self.count("stale writes", 1),
        }
        self.wake_workers();
        Ok(())
    }

    /// Kills or pauses the worker of an event, or lets the event happen.
    fn hinder(&mut self, worker: usize, life: u32, event: Event) -> Option<Event> {
        if self.workers[worker].life != life {
            return None;
        }
        if self.dice.chance(self.faults.crash) {
            self.tell(|_| format!("worker {worker} is killed"));
            self.count("kills", 1);
            let down = self.dice.millis(500, 20_000);
            let it = &mut self.workers[worker];
            (it.life, it.looks_at, it.paused_until) =
                (life + 1, None, it.paused_until.max(self.now.plus(down)));
            self.wake_workers();
            return None;
        }
        if self.dice.chance(self.faults.pause) {
            let pause = self.faults.pause_length(&mut self.dice);
            self.tell(|_| format!("worker {worker} is paused for {} s", pause.as_secs()));
            self.count("pauses", 1);
            self.workers[worker].paused_until =
                self.workers[worker].paused_until.max(self.now.plus(pause));
        }
        let awake_at = self.workers[worker].paused_until;
        if awake_at <= self.now {
            return Some(event);
        }
        if let Event::Look { look_no, .. } = event
            && look_no == self.workers[worker].look_no
        {
            self.workers[worker].looks_at = Some(awake_at);
        }
        self.at(awake_at, event);
        None
    }

    /// The latency to or from the database: almost always milliseconds.
    fn latency(&mut self) -> Duration {
        if self.healed_at.is_none() && self.dice.chance(0.01) {
            self.dice.millis(50, 30_000)
        } else {
            self.dice.millis(1, 30)
        }
    }
}

impl Event {
    /// The worker that must be running for the event, and the life in which the step began.
    fn belongs_to(&self) -> Option<(usize, u32)> {
        match self {
            Self::Look { worker, life, .. } | Self::Read { worker, life, .. } => {
                Some((*worker, *life))
            }
            Self::Act(step) | Self::Send(step, _) | Self::Hear(step, _) => {
                Some((step.worker, step.life))
            }
            _ => None,
        }
    }
}
