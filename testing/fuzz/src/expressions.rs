//! DynamoDB's expressions.

use std::collections::BTreeMap;

use dynamodb_expressions::{
    Condition, Given, KeyAttribute, KeySchema, Kind, Problem, parse_condition, parse_projection,
};
use serde_json::{Value, json};

use crate::targets::Target;

pub const EXPRESSION: Target = Target {
    name: "expression",
    json: false,
    seeds: || {
        [
            "#s = :s AND (total >= :n OR NOT begins_with(a.b[0], :s))",
            "pk = :s AND sk BETWEEN :n AND :m",
            "size(a) IN (:n, :m) AND contains(l, :n) AND attribute_type(a, :t)",
            "attribute_exists(a) AND attribute_not_exists((a.b).c)",
            "a, b.c[0], #s",
        ]
        .map(str::to_owned)
        .to_vec()
    },
    words: &[
        "AND ",
        "OR ",
        "NOT ",
        " BETWEEN ",
        " IN (",
        "(",
        ")",
        "[",
        "]",
        ".",
        ",",
        "=",
        "<>",
        "<=",
        ">=",
        "<",
        ">",
        "#s",
        ":s",
        ":n",
        ":m",
        ":t",
        "a",
        "pk",
        "sk",
        "Status",
        "size(",
        "contains(",
        "begins_with(",
        "attribute_type(",
        "attribute_exists(",
        "list_append(",
        "0",
        "99999999999",
        " ",
        "é",
        "\0",
    ],
    run: |input| {
        let text = String::from_utf8_lossy(input);
        if let Ok(paths) = parse_projection(&text) {
            let printed = paths
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            assert_eq!(
                parse_projection(&printed),
                Ok(paths),
                "what is printed is read again"
            );
        }
        match parse_condition(&text) {
            Err(problem) => format!("{} {}", name(&problem), checked(&text)),
            Ok(condition) => {
                // The printed form may have more spaces than an expression may have bytes.
                let again = parse_condition(&condition.to_string());
                assert!(
                    again == Ok(condition.clone()) || matches!(again, Err(Problem::TooLong(_))),
                    "what is printed is read again"
                );
                format!("{} {}", shape(&condition), checked(&text))
            }
        }
    },
};

/// Parses the text as each kind of expression, with the placeholders it uses. Accepted expressions
/// must evaluate.
fn checked(text: &str) -> String {
    let values = [
        (":s", json!({"S": "x"})),
        (":n", json!({"N": "1"})),
        (":m", json!({"N": "2"})),
        (":t", json!({"S": "NS"})),
    ];
    let used = |name: &str| text.contains(name);
    let names: BTreeMap<_, _> = [("#s", "Status")]
        .into_iter()
        .filter(|(name, _)| used(name))
        .collect();
    let values: BTreeMap<&str, &Value> = values
        .iter()
        .filter(|(name, _)| used(name))
        .map(|(name, value)| (*name, value))
        .collect();
    let given = Given {
        names,
        values,
        ..Given::default()
    };
    let key = |name: &str, kind| KeyAttribute {
        name: name.to_owned(),
        kind: Some(kind),
    };
    let schema = KeySchema {
        partition: key("pk", Kind::S),
        sort: Some(key("sk", Kind::N)),
    };
    let kinds = [
        Given {
            filter: Some(text),
            ..given.clone()
        },
        Given {
            key_condition: Some(text),
            ..given.clone()
        },
        Given {
            projection: Some(text),
            ..given
        },
    ];
    let outcomes = kinds.map(|given| match given.check() {
        Err(faults) => {
            assert!(!faults.is_empty(), "what is refused has a reason");
            name(&faults[0].problem)
        }
        Ok(specification) => {
            let item = json!({"pk": {"S": "x"}, "sk": {"N": "1"}, "a": {"M": {"b": {"L": [{"S": "xy"}]}}}, "Status": {"S": "x"}, "l": {"NS": ["1"]}});
            let item = item.as_object().cloned().unwrap_or_default();
            let written = specification.projection().map_or(0, |projection| projection.apply(&item).len());
            assert!(written <= item.len(), "no attribute is invented");
            let fits = specification.check_keys(&schema).is_ok();
            format!("ok {:?} {:?} {fits} {written}", specification.reads(&item), specification.keeps(&item))
        }
    });
    outcomes.join(" | ")
}

/// The error without the part that names its subject.
fn name(problem: &Problem) -> String {
    format!("{problem:?}")
        .split(['(', ' '])
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn shape(condition: &Condition) -> String {
    let name = |condition: &Condition| {
        format!("{condition:?}")
            .split(['(', ' '])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    match condition {
        Condition::And(left, right) | Condition::Or(left, right) => {
            format!("{}({} {})", name(condition), name(left), name(right))
        }
        Condition::Not(inner) => format!("Not({})", name(inner)),
        other => name(other),
    }
}
