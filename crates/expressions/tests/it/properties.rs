//! What holds of every expression: printed and read again it is the same, and it means what the
//! model says.

use std::collections::BTreeMap;

use dynamodb_expressions::{Given, Problem, parse_condition, parse_projection};
use fastrand::Rng;
use serde_json::Value;

use crate::made_up::{self, NAMES};

const ROUNDS: u64 = 1000;

#[test]
fn what_is_printed_is_read_again() {
    for seed in 0..ROUNDS {
        let mut random = Rng::with_seed(seed);
        let condition = made_up::condition(&mut random, 4);
        let printed = condition.to_string();
        assert_eq!(
            parse_condition(&printed).as_ref(),
            Ok(&condition),
            "seed {seed}: {printed}"
        );
        let paths: Vec<_> = (0..=random.u32(..4))
            .map(|_| made_up::path(&mut random))
            .collect();
        let printed = paths
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ,\n");
        assert_eq!(
            parse_projection(&printed).as_ref(),
            Ok(&paths),
            "seed {seed}: {printed}"
        );
    }
}

#[test]
fn spaces_make_no_difference() {
    for seed in 0..ROUNDS {
        let condition = made_up::condition(&mut Rng::with_seed(seed), 3);
        let spaced: String = condition
            .to_string()
            .chars()
            .map(|c| {
                if "()[].,".contains(c) {
                    format!(" {c}\t")
                } else {
                    c.to_string()
                }
            })
            .collect();
        assert_eq!(
            parse_condition(&spaced),
            Ok(condition),
            "seed {seed}: {spaced}"
        );
    }
}

/// Conditions that AWS refuses for their operands are left out; enough must remain.
#[test]
fn a_condition_means_what_the_model_says() {
    let (values, mut tried, mut kept) = (made_up::values(), 0, 0);
    for seed in 0..ROUNDS {
        let mut random = Rng::with_seed(seed);
        let condition = made_up::condition(&mut random, 3);
        let printed = condition.to_string();
        let uses = |name: &&str| {
            printed
                .split(|c: char| !(c.is_ascii_alphanumeric() || "#:_".contains(c)))
                .any(|word| word == *name)
        };
        let names: BTreeMap<_, _> = NAMES.into_iter().filter(|(name, _)| uses(name)).collect();
        let values: BTreeMap<_, &Value> = values
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .filter(|(name, _)| uses(name))
            .collect();
        let specification = match (Given {
            filter: Some(&printed),
            names,
            values,
            ..Given::default()
        })
        .check()
        {
            Ok(specification) => specification,
            Err(faults) => {
                let expected = |problem: &Problem| {
                    matches!(
                        problem,
                        Problem::SamePath { .. }
                            | Problem::BoundTypes { .. }
                            | Problem::BoundOrder { .. }
                    )
                };
                assert!(
                    faults.iter().all(|fault| expected(&fault.problem)),
                    "seed {seed}: {printed}: {faults:?}"
                );
                continue;
            }
        };
        for _ in 0..10 {
            let item = made_up::item(&mut random);
            let keeps = specification.keeps(&item).unwrap();
            assert_eq!(
                keeps,
                made_up::holds(&condition, &item),
                "seed {seed}: {printed} of {}",
                Value::Object(item)
            );
            tried += 1;
            kept += u64::from(keeps);
        }
    }
    assert!(
        tried > ROUNDS * 5 && kept > tried / 10 && kept < tried * 9 / 10,
        "{kept} of {tried} kept"
    );
}

/// Whatever is thrown at the parsers ends in a tree or an error.
#[test]
fn any_text_ends() {
    const WORDS: [&str; 24] = [
        "a",
        "#a",
        ":v",
        "(",
        ")",
        "[",
        "]",
        ".",
        ",",
        "=",
        "<>",
        "<",
        ">",
        "AND",
        "OR",
        "NOT",
        "BETWEEN",
        "IN",
        "size",
        "0",
        "é",
        " ",
        "\n",
        "begins_with",
    ];
    let mut accepted = 0;
    for seed in 0..ROUNDS * 10 {
        let mut random = Rng::with_seed(seed);
        let text: String = (0..random.usize(1..12))
            .map(|_| WORDS[random.usize(..WORDS.len())])
            .collect();
        if let Ok(condition) = parse_condition(&text) {
            accepted += 1;
            assert_eq!(
                parse_condition(&condition.to_string()),
                Ok(condition),
                "seed {seed}: {text}"
            );
        }
        let _ = parse_projection(&text);
    }
    assert!(accepted > 0);
}
