//! The world of one run: a clock, a queue of events, and all actors.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tableferry::domain::aws::failure::FailureClass;
use tableferry::domain::lifecycle::backoff::PollBounds;
use tableferry::domain::lifecycle::outcome::{Outcome, StepContext};
use tableferry::domain::lifecycle::timing::MAXIMUM_CLOCK_SKEW;
use tableferry::domain::timestamp::Timestamp;

use super::clients::{self, ClientAction, Theme};
use super::dice::Dice;
use super::faults::Faults;
use super::invariants::{Verdict, Witness};
use super::model_aws::{Answer, Call, ModelAws, failure};
use super::model_store::{ModelStore, Ticket};
use super::model_worker::{Step, Worker};
use super::rules::Rules;

/// The number of events that are printed when a run fails.
const TOLD: usize = 60;

/// The maximum number of events after the faults were healed: with more, the world does not settle.
/// The longest exports need half of it.
const MOST_EVENTS: u64 = 60_000;

#[derive(Debug)]
pub enum Event {
    Client(ClientAction),
    /// A fault happens, until the faults are healed.
    Nemesis,
    /// AWS is unusable for about the lifetime of a token.
    LongTrouble,
    Heal,
    /// A worker claims work.
    Look {
        worker: usize,
        life: u32,
        look_no: u64,
    },
    /// A claim arrives at the database.
    Claim {
        worker: usize,
        life: u32,
        sent_at: Timestamp,
        workers_now: Timestamp,
    },
    /// A worker reads the export that it claimed.
    Read {
        worker: usize,
        life: u32,
        sent_at: Timestamp,
        ticket: Ticket,
    },
    /// A worker decides and sends.
    Act(Box<Step>),
    /// A renewal of a lease arrives at the database; then a call is sent.
    Renew(Box<Step>, Box<Call>),
    Send(Box<Step>, Box<Call>),
    /// AWS handles a call; the step gets the response unless it gave up already.
    Done(Box<Call>, Option<Box<Step>>),
    Hear(Box<Step>, Box<Answer>),
    /// A result arrives at the database.
    Record(Box<Step>, Box<Outcome>),
    /// A released export arrives at the database.
    HandBack(Box<Step>, Duration),
}

/// How often each noteworthy thing happened: a simulation in which they do not happen proves
/// nothing.
pub type Tally = BTreeMap<&'static str, u64>;

pub struct World {
    pub now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Event>,
    queued: u64,
    events: u64,
    events_healed: u64,
    /// The source of randomness.
    pub dice: Dice,
    pub rules: Rules,
    pub faults: Faults,
    pub store: ModelStore,
    pub aws: ModelAws,
    pub workers: Vec<Worker>,
    bounds: PollBounds,
    /// The checker of the invariants.
    pub witness: Witness,
    /// When the faults were healed.
    pub healed_at: Option<Timestamp>,
    pub tally: Tally,
    story: Option<VecDeque<String>>,
}

/// A run that violated an invariant.
#[derive(Debug)]
pub struct Failure {
    pub what: String,
    /// The last events in words, if the run was traced.
    pub story: Vec<String>,
}

/// Runs a seed to its end. `told` keeps the trace, which costs time.
pub fn run(seed: u64, rules: Rules, told: bool) -> Result<Tally, Failure> {
    let mut world = World::new(seed, rules, told);
    match world.run_to_rest() {
        Ok(()) => Ok(world.tally),
        Err(what) => Err(Failure {
            what,
            story: world.story.unwrap_or_default().into(),
        }),
    }
}

impl World {
    fn new(seed: u64, rules: Rules, told: bool) -> Self {
        let mut dice = Dice::of_seed(seed);
        let now = start();
        let faults = Faults::draw(&mut dice);
        let skews = dice.chance(0.5);
        let most_skew_s = i64::try_from(MAXIMUM_CLOCK_SKEW.as_secs()).expect("seconds");
        let mut worker = || {
            let clock_ahead_s = if skews {
                dice.between(-most_skew_s, most_skew_s)
            } else {
                0
            };
            Worker {
                life: 0,
                paused_until: now,
                clock_ahead_s,
                looks_at: None,
                look_no: 0,
            }
        };
        let workers = vec![worker(), worker(), worker()];
        let bounds = PollBounds {
            min: Duration::from_secs(2),
            max: dice.any_scale(30.0, 1800.0),
        };
        let mut world = Self {
            now,
            queue: BTreeMap::new(),
            queued: 0,
            events: 0,
            events_healed: 0,
            rules,
            faults,
            store: ModelStore::default(),
            aws: ModelAws::with_tables(clients::tables()),
            workers,
            bounds,
            witness: Witness::default(),
            healed_at: None,
            tally: Tally::new(),
            story: told.then(VecDeque::new),
            dice,
        };
        world.aws.shuffled = world.dice.chance(0.5).then(|| world.dice.seed());
        let theme = world
            .dice
            .pick(&[Theme::Anything, Theme::Haste, Theme::Doubt, Theme::Age]);
        let horizon = match theme {
            Theme::Anything => world.dice.any_scale(120.0, 20.0 * 3600.0),
            Theme::Haste | Theme::Doubt => world.dice.any_scale(60.0, 1800.0),
            Theme::Age => world.dice.any_scale(8.0 * 3600.0, 12.0 * 3600.0),
        };
        if theme == Theme::Doubt {
            world.faults.only_doubt();
        } else if theme != Theme::Anything && world.dice.chance(0.7) {
            world.faults.stir();
        }
        if theme == Theme::Haste {
            world.faults.keep_pauses_short();
        }
        if theme == Theme::Age {
            let after = world.within(Duration::from_secs(120));
            world.after(after, Event::LongTrouble);
        }
        world.plan_clients(theme, horizon);
        for _ in 0..world.dice.below(12) {
            let at = world.within(horizon);
            world.after(at, Event::Nemesis);
        }
        world.after(horizon, Event::Heal);
        world
    }

    fn plan_clients(&mut self, theme: Theme, horizon: Duration) {
        let tables = clients::tables();
        let most = if matches!(theme, Theme::Haste | Theme::Doubt) {
            8
        } else {
            4
        };
        for number in 1..=u32::try_from(1 + self.dice.below(most)).expect("small") {
            let request = clients::request(number, &tables, theme, &mut self.dice);
            // Most come early, so that long faults overlap with them.
            let at = if self.dice.chance(0.6) {
                self.dice.millis(0, 60_000)
            } else {
                self.within(horizon)
            };
            self.after(
                at,
                Event::Client(ClientAction::Create(number, Box::new(request))),
            );
        }
    }

    /// A duration up to this.
    fn within(&mut self, horizon: Duration) -> Duration {
        self.dice.any_scale(1.0, horizon.as_secs_f64())
    }

    fn run_to_rest(&mut self) -> Verdict {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = self.now.max(at);
            self.events += 1;
            self.events_healed += u64::from(self.healed_at.is_some());
            if self.events_healed > MOST_EVENTS {
                return Err(format!(
                    "the world does not come to rest: {MOST_EVENTS} events since the faults were healed"
                ));
            }
            self.handle(event)?;
            self.witness.check(&self.store, &self.aws)?;
        }
        let healed_at = self.healed_at.ok_or("the faults were not healed")?;
        self.witness.check_end(&self.store, &self.aws, healed_at)?;
        self.count("events", self.events);
        Ok(())
    }

    /// Adds an event to the queue. Simultaneous events happen in the order in which they were
    /// added.
    pub fn after(&mut self, delay: Duration, event: Event) {
        let at = self.now.plus(delay);
        self.at(at, event);
    }

    /// The same at a fixed time.
    pub fn at(&mut self, at: Timestamp, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.queued), event);
    }

    /// Adds an event to the trace. The text is only built if the run is traced.
    pub fn tell(&mut self, words: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = format!(
                "{:>14.3} s  {}",
                self.now.since(start()).as_secs_f64(),
                words(self)
            );
            let story = self.story.get_or_insert_default();
            story.push_back(line);
            if story.len() > TOLD {
                story.pop_front();
            }
        }
    }

    pub fn count(&mut self, what: &'static str, times: u64) {
        *self.tally.entry(what).or_default() += times;
    }

    /// Time, randomness and settings as a worker sees them.
    pub fn context(&mut self, worker: usize) -> StepContext {
        StepContext {
            now: self.workers[worker].clock(self.now),
            jitter: self.dice.jitter(),
            bounds: self.bounds,
        }
    }

    /// Schedules every worker's next claim for the time when work is due. The real workers claim
    /// every 250 ms; claims that would find nothing are left out.
    pub fn wake_workers(&mut self) {
        let Some(due) = self.store.next_due() else {
            return;
        };
        let due = due.max(self.now);
        for worker in 0..self.workers.len() {
            let idle = Duration::from_millis(250);
            if self.workers[worker]
                .looks_at
                .is_some_and(|at| at <= due.plus(idle))
            {
                continue;
            }
            let at = due.plus(self.dice.millis(0, 250));
            let it = &mut self.workers[worker];
            it.look_no += 1;
            it.looks_at = Some(at);
            let (life, look_no) = (it.life, it.look_no);
            self.at(
                at,
                Event::Look {
                    worker,
                    life,
                    look_no,
                },
            );
        }
    }

    /// The response to a call that was given up.
    pub fn given_up(&mut self) -> Answer {
        let code = self
            .dice
            .pick(&["TimedOut", "ConnectionFailed", "BadResponse"]);
        Err(failure(FailureClass::Unknown, code))
    }
}

/// The time at which every run begins.
fn start() -> Timestamp {
    Timestamp::parse("2026-01-01T00:00:00Z").expect("a time")
}
