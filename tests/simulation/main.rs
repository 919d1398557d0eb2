//! A simulation of clients, workers, AWS and the database, and of everything that can go wrong
//! between them.
//!
//! Each seed is one world: a few exports, three workers on one database, an AWS that throttles,
//! fails, loses responses and deletes tables, a database that loses writes and responses, processes
//! that are paused for hours or killed at any point. Time is a number, so 90 days take
//! milliseconds. The decisions are those of `tableferry::domain::lifecycle::step` itself. The SQL
//! of `crates/store` and the calls of `src/worker` are modelled ([`model_store`],
//! [`model_worker`]), and so is AWS ([`model_aws`]). After every event the promises are checked
//! ([`invariants`]): no accepted export is lost, none is started twice, stale writers are fenced
//! off, and every end is announced once. At the end all faults are healed, and every export must
//! end.
//!
//! A failing seed prints its trace. To repeat it: `SIMULATION_SEED=123 cargo test --test
//! simulation`. To run more seeds: `SIMULATION_SEEDS=100000 cargo test --release --test
//! simulation`.
//!
//! All times are those of `tableferry::domain::lifecycle::timing`. A differential test
//! (`tests/it/differential`) compares the model of the store with the real one. The model of the
//! worker follows `src/worker` by hand, with the rules in [`rules`].

mod call_checks;
mod clients;
mod dice;
mod events;
mod faults;
mod invariants;
mod model_aws;
mod model_store;
mod model_worker;
mod nemesis;
mod rules;
mod world;

use rules::{AS_BUILT, ClaimFence, Rules};
use world::{Failure, Tally, run};

/// The default number of seeds.
const SEEDS: u64 = 1000;

/// What must happen at least a few times in a thousand seeds: a run without faults proves nothing.
const NOTEWORTHY: [&str; 14] = [
    "calls of searches",
    "cancelled",
    "completed late",
    "deleted",
    "export.completed",
    "export.failed",
    "export.forgotten",
    "export.resumed",
    "export.token_replaced",
    "handed back",
    "kills",
    "pauses",
    "stale writes",
    "starts unheard",
];

#[expect(clippy::disallowed_methods, reason = "arguments of a test")]
fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} must be a number"))
    })
}

/// Runs a seed; if it fails, runs it again to print its trace.
fn run_or_tell(seed: u64) -> Tally {
    run(seed, AS_BUILT, false).unwrap_or_else(|_| {
        let Failure { what, story } = run(seed, AS_BUILT, true).expect_err("a seed does the same every time");
        let story = story.join("\n");
        panic!("seed {seed}: {what}\nThe last events:\n{story}\nAgain: SIMULATION_SEED={seed} cargo test --test simulation");
    })
}

#[test]
fn every_promise_holds_whatever_goes_wrong() {
    if let Some(seed) = number_from("SIMULATION_SEED") {
        run_or_tell(seed);
        return;
    }
    let seeds = number_from("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let mut total = Tally::new();
    for seed in 0..seeds {
        for (what, times) in run_or_tell(seed) {
            *total.entry(what).or_default() += times;
        }
    }
    let missing: Vec<_> = NOTEWORTHY
        .iter()
        .filter(|what| total.get(**what).is_none_or(|times| *times < 5))
        .collect();
    assert!(
        seeds < SEEDS || missing.is_empty(),
        "these hardly ever happen: {missing:?} in {total:#?}"
    );
}

/// Fails unless some seed violates an invariant with these rules.
fn is_noticed(rules: Rules, complaint: &str) {
    let noticed = (0..3 * SEEDS)
        .any(|seed| run(seed, rules, false).is_err_and(|failure| failure.what.contains(complaint)));
    assert!(
        noticed,
        "no seed complains that {complaint:?} with {rules:?}"
    );
}

#[test]
fn a_seed_does_the_same_every_time() {
    for seed in 0..20 {
        let (told, silent) = (run(seed, AS_BUILT, true), run(seed, AS_BUILT, false));
        assert_eq!(
            told.expect("every promise holds"),
            silent.expect("every promise holds"),
            "seed {seed}"
        );
    }
}

#[test]
fn a_new_token_for_each_start_is_noticed() {
    is_noticed(
        Rules {
            keeps_token: false,
            ..AS_BUILT
        },
        "times at AWS",
    );
}

#[test]
fn writes_without_a_fence_are_noticed() {
    is_noticed(
        Rules {
            version_fence: false,
            claim_fence: ClaimFence::Off,
            ..AS_BUILT
        },
        "a late write",
    );
    is_noticed(
        Rules {
            claim_fence: ClaimFence::Off,
            ..AS_BUILT
        },
        "a late write",
    );
}

#[test]
fn a_start_that_is_sent_late_is_noticed() {
    is_noticed(
        Rules {
            start_margin: None,
            ..AS_BUILT
        },
        "is started when its lease has ended",
    );
}

#[test]
fn cancelling_while_a_start_is_on_its_way_is_noticed() {
    is_noticed(
        Rules {
            claim_marks_start: false,
            ..AS_BUILT
        },
        "is Cancelled, but AWS has accepted its start",
    );
}

#[test]
fn a_search_that_overtakes_the_start_is_noticed() {
    is_noticed(
        Rules {
            waits_after_doubt: false,
            ..AS_BUILT
        },
        "is started at AWS after it had ended here",
    );
}

#[test]
fn a_search_that_sees_too_little_is_noticed() {
    is_noticed(
        Rules {
            search_account: false,
            ..AS_BUILT
        },
        "is TimedOutInDoubt, but AWS says",
    );
}

#[test]
fn a_search_that_is_taken_for_proof_is_noticed() {
    is_noticed(
        Rules {
            search_proves_absence: true,
            ..AS_BUILT
        },
        "but AWS has accepted its start",
    );
    is_noticed(
        Rules {
            search_proves_absence: true,
            ..AS_BUILT
        },
        "times at AWS",
    );
}

#[test]
fn claims_that_end_before_the_work_does_are_noticed() {
    is_noticed(
        Rules {
            claim_fence: ClaimFence::All,
            ..AS_BUILT
        },
        "does not come to rest",
    );
    is_noticed(
        Rules {
            search_renews_lease: false,
            ..AS_BUILT
        },
        "does not come to rest",
    );
}

#[test]
fn an_end_that_nobody_is_told_of_is_noticed() {
    is_noticed(
        Rules {
            delivers: false,
            ..AS_BUILT
        },
        "has the deliveries []",
    );
}
