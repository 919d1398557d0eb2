//! Who gets the free hands: every receiver its fair share, so that one that is slow or dead never delays another.

use std::collections::HashMap;

/// How many deliveries to one receiver are under way at most, in one process.
pub const MOST_AT_ONE: usize = 16;

/// How many deliveries to a receiver are under way at most whose last attempt failed: enough to see that it is back.
pub const MOST_AT_FAILING: usize = 2;

/// A receiver with deliveries that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReceiver {
    /// An endpoint's id, or the origin of callback URLs.
    pub receiver: String,
    /// Its last attempt failed.
    pub failing: bool,
}

/// How many deliveries of each receiver may be taken with `free` hands, of `hands` in all; receivers come in the order in which their
/// deliveries are due. Each gets one, then each another, and so on. Receivers that fail hold at most a quarter of all hands.
#[must_use]
pub fn shares(due: &[DueReceiver], in_hand: &HashMap<String, InHand>, hands: usize, free: usize) -> Vec<(String, usize)> {
    let held = |receiver: &str| in_hand.get(receiver).map_or(0, |held| held.count);
    let held_by_failing: usize = in_hand.values().filter(|held| held.failing).map(|held| held.count).sum();
    let mut free_for_failing = (hands / 4).saturating_sub(held_by_failing);
    let mut free = free;
    let mut given = vec![0; due.len()];
    loop {
        let before = free;
        for (receiver, given) in due.iter().zip(&mut given) {
            let most = if receiver.failing { MOST_AT_FAILING } else { MOST_AT_ONE };
            if free == 0 || held(&receiver.receiver) + *given >= most || (receiver.failing && free_for_failing == 0) {
                continue;
            }
            *given += 1;
            free -= 1;
            free_for_failing -= usize::from(receiver.failing);
        }
        if free == before {
            break;
        }
    }
    due.iter().zip(given).filter(|(_, given)| *given > 0).map(|(receiver, given)| (receiver.receiver.clone(), given)).collect()
}

/// What this process has under way at one receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InHand {
    /// How many deliveries.
    pub count: usize,
    /// It was failing when the last of them was taken.
    pub failing: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(name: &str, failing: bool) -> DueReceiver {
        DueReceiver { receiver: name.to_owned(), failing }
    }

    fn shares_of(due: &[DueReceiver], in_hand: &[(&str, usize, bool)], hands: usize, free: usize) -> Vec<(String, usize)> {
        let in_hand = in_hand.iter().map(|(name, count, failing)| ((*name).to_owned(), InHand { count: *count, failing: *failing }));
        shares(due, &in_hand.collect(), hands, free)
    }

    #[test]
    fn each_gets_the_same_up_to_its_cap() {
        let all = [due("a", false), due("b", false), due("c", true)];
        let expect = |n: [(&str, usize); 3]| n.map(|(name, n)| (name.to_owned(), n)).to_vec();
        assert_eq!(shares_of(&all, &[], 100, 100), expect([("a", 16), ("b", 16), ("c", 2)]));
        assert_eq!(shares_of(&all, &[], 100, 8), expect([("a", 3), ("b", 3), ("c", 2)]));
        assert_eq!(shares_of(&all, &[("a", 15, false), ("c", 1, true)], 100, 100), expect([("a", 1), ("b", 16), ("c", 1)]));
    }

    #[test]
    fn the_failing_never_hold_more_than_a_quarter() {
        let many: Vec<_> = (0..50).map(|n| due(&format!("dead {n}"), true)).chain([due("well", false)]).collect();
        let given = shares_of(&many, &[("dead 0", 2, true)], 40, 38);
        let dead: usize = given.iter().filter(|(name, _)| name.starts_with("dead")).map(|(_, n)| n).sum();
        assert_eq!(dead, 8);
        assert!(given.contains(&("well".to_owned(), 16)));
    }

    #[test]
    fn with_few_hands_who_waits_longest_goes_first() {
        let all = [due("a", false), due("b", false), due("c", false)];
        assert_eq!(shares_of(&all, &[], 100, 2), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert!(shares_of(&all, &[], 100, 0).is_empty());
    }
}
