//! Fair shares of the delivery slots, so that a slow or dead receiver never delays another.

use std::collections::HashMap;

/// Maximum deliveries in flight to one receiver per process.
pub const MAX_PER_RECEIVER: usize = 16;

/// Maximum deliveries in flight to a receiver whose last attempt failed: enough to notice its
/// recovery.
pub const MAX_PER_FAILING_RECEIVER: usize = 2;

/// A receiver with due deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReceiver {
    /// An endpoint's id, or the origin of callback URLs.
    pub receiver: String,
    /// Its last attempt failed.
    pub failing: bool,
}

/// How many deliveries of each receiver to claim with `free` of `slots` delivery slots. Receivers
/// come in the order in which their deliveries are due. The receiver with the fewest slots gets the
/// next one, so that a long backlog does not delay a new receiver; among equals, the one that has
/// waited longest. Failing receivers use at most a quarter of all slots.
#[must_use]
pub fn shares(
    due: &[DueReceiver],
    in_flight: &HashMap<String, ReceiverLoad>,
    slots: usize,
    free: usize,
) -> Vec<(String, usize)> {
    let used = |receiver: &str| in_flight.get(receiver).map_or(0, |used| used.count);
    let used_by_failing: usize = in_flight
        .values()
        .filter(|used| used.failing)
        .map(|used| used.count)
        .sum();
    let mut free_for_failing = (slots / 4).saturating_sub(used_by_failing);
    let mut free = free;
    let mut granted = vec![0; due.len()];
    for level in 0..MAX_PER_RECEIVER {
        for (receiver, granted) in due.iter().zip(&mut granted) {
            let max = if receiver.failing {
                MAX_PER_FAILING_RECEIVER
            } else {
                MAX_PER_RECEIVER
            };
            let is_next = level < max && used(&receiver.receiver) + *granted == level;
            if free == 0 || !is_next || (receiver.failing && free_for_failing == 0) {
                continue;
            }
            *granted += 1;
            free -= 1;
            free_for_failing -= usize::from(receiver.failing);
        }
    }
    due.iter()
        .zip(granted)
        .filter(|(_, granted)| *granted > 0)
        .map(|(receiver, granted)| (receiver.receiver.clone(), granted))
        .collect()
}

/// The deliveries of this process to one receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiverLoad {
    /// Deliveries in flight.
    pub count: usize,
    /// Whether it was failing when the last of them was claimed.
    pub failing: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(name: &str, failing: bool) -> DueReceiver {
        DueReceiver {
            receiver: name.to_owned(),
            failing,
        }
    }

    fn shares_of(
        due: &[DueReceiver],
        in_flight: &[(&str, usize, bool)],
        slots: usize,
        free: usize,
    ) -> Vec<(String, usize)> {
        let in_flight = in_flight.iter().map(|(name, count, failing)| {
            (
                (*name).to_owned(),
                ReceiverLoad {
                    count: *count,
                    failing: *failing,
                },
            )
        });
        shares(due, &in_flight.collect(), slots, free)
    }

    #[test]
    fn each_gets_the_same_up_to_its_cap() {
        let all = [due("a", false), due("b", false), due("c", true)];
        let expect = |n: [(&str, usize); 3]| n.map(|(name, n)| (name.to_owned(), n)).to_vec();
        assert_eq!(
            shares_of(&all, &[], 100, 100),
            expect([("a", 16), ("b", 16), ("c", 2)])
        );
        assert_eq!(
            shares_of(&all, &[], 100, 8),
            expect([("a", 3), ("b", 3), ("c", 2)])
        );
        assert_eq!(
            shares_of(&all, &[("a", 15, false), ("c", 1, true)], 100, 100),
            expect([("a", 1), ("b", 16), ("c", 1)])
        );
    }

    #[test]
    fn the_failing_never_hold_more_than_a_quarter() {
        let many: Vec<_> = (0..50)
            .map(|n| due(&format!("dead {n}"), true))
            .chain([due("well", false)])
            .collect();
        let given = shares_of(&many, &[("dead 0", 2, true)], 40, 38);
        let dead: usize = given
            .iter()
            .filter(|(name, _)| name.starts_with("dead"))
            .map(|(_, n)| n)
            .sum();
        assert_eq!(dead, 8);
        assert!(given.contains(&("well".to_owned(), 16)));
    }

    #[test]
    fn who_holds_nothing_comes_before_those_who_wait_longer_and_hold_much() {
        // All slots are used by slow receivers with long backlogs; one slot becomes free, and the
        // new receiver gets it.
        let slow: Vec<_> = (0..32).map(|n| format!("slow {n}")).collect();
        let all: Vec<_> = slow
            .iter()
            .map(|name| due(name, false))
            .chain([due("new", false)])
            .collect();
        let in_flight: Vec<_> = slow
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), if n == 0 { 15 } else { 16 }, false))
            .collect();
        assert_eq!(shares_of(&all, &in_flight, 512, 1), [("new".to_owned(), 1)]);
    }

    #[test]
    fn in_every_state_caps_hold_no_hand_idles_and_nobody_has_more_while_another_has_less() {
        let mut seed: u64 = 1;
        let mut below = |bound: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % bound
        };
        for _ in 0..5000 {
            let all: Vec<_> = (0..below(50))
                .map(|n| due(&n.to_string(), below(3) == 0))
                .collect();
            let mut in_flight = HashMap::new();
            for receiver in &all {
                let count = below(if receiver.failing {
                    MAX_PER_FAILING_RECEIVER + 3
                } else {
                    MAX_PER_RECEIVER + 1
                });
                if count > 0 {
                    in_flight.insert(
                        receiver.receiver.clone(),
                        ReceiverLoad {
                            count,
                            failing: receiver.failing,
                        },
                    );
                }
            }
            let held_in_all: usize = in_flight.values().map(|held| held.count).sum();
            let slots = held_in_all + below(100);
            let free = below(slots - held_in_all + 1);
            let given: HashMap<_, _> = shares(&all, &in_flight, slots, free).into_iter().collect();
            assert!(given.values().sum::<usize>() <= free);
            let of = |receiver: &DueReceiver| {
                let held = in_flight
                    .get(&receiver.receiver)
                    .map_or(0, |held| held.count);
                (
                    held,
                    given.get(&receiver.receiver).copied().unwrap_or(0),
                    if receiver.failing {
                        MAX_PER_FAILING_RECEIVER
                    } else {
                        MAX_PER_RECEIVER
                    },
                )
            };
            let failing = || all.iter().filter(|receiver| receiver.failing);
            let (held_by_failing, to_failing) = failing()
                .map(of)
                .fold((0, 0), |sum, (held, new, _)| (sum.0 + held, sum.1 + new));
            assert!(to_failing == 0 || held_by_failing + to_failing <= slots / 4);
            let idle = given.values().sum::<usize>() < free;
            for one in &all {
                let (held, new, most) = of(one);
                assert!(
                    new == 0 || held + new <= most,
                    "{one:?} got {new} and had {held}"
                );
                let quota = one.failing && held_by_failing + to_failing >= slots / 4;
                assert!(
                    !idle || held + new >= most || quota,
                    "{one:?} has {held} + {new} although slots are free"
                );
                // No receiver got a slot that leaves it with more than another that could have used
                // it.
                let others = all
                    .iter()
                    .filter(|other| other.failing == one.failing)
                    .map(of);
                assert!(
                    new == 0
                        || others
                            .into_iter()
                            .all(|(held_2, new_2, _)| held_2 + new_2 + 1 >= held + new),
                    "{one:?} was preferred"
                );
            }
        }
    }

    #[test]
    fn with_few_hands_who_waits_longest_goes_first() {
        let all = [due("a", false), due("b", false), due("c", false)];
        assert_eq!(
            shares_of(&all, &[], 100, 2),
            [("a".to_owned(), 1), ("b".to_owned(), 1)]
        );
        assert!(shares_of(&all, &[], 100, 0).is_empty());
    }
}
