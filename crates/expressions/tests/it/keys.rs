//! Key conditions, without a table and with one. Texts and cases from dynalite's tests.

use std::collections::BTreeMap;

use dynamodb_expressions::{Given, KeyAttribute, KeySchema, Kind};
use serde_json::{Value, json};

use crate::{check_key_condition, words};

fn schema() -> KeySchema {
    KeySchema {
        partition: KeyAttribute {
            name: "pk".to_owned(),
            kind: Some(Kind::S),
        },
        sort: Some(KeyAttribute {
            name: "sk".to_owned(),
            kind: Some(Kind::N),
        }),
    }
}

#[test]
fn refused_without_a_table() {
    let values = json!({":a": {"S": "1"}, ":b": {"S": "2"}});
    for (expression, problem) in [
        (
            "a > b and size(b) > c or a > c",
            "Invalid operator used in KeyConditionExpression: OR",
        ),
        (
            "a in (b, size(c), d)",
            "Invalid operator used in KeyConditionExpression: IN",
        ),
        (
            "attribute_exists(a)",
            "Invalid operator used in KeyConditionExpression: attribute_exists",
        ),
        (
            "contains(a.d, b)",
            "Invalid operator used in KeyConditionExpression: contains",
        ),
        (
            "not a > b",
            "Invalid operator used in KeyConditionExpression: NOT",
        ),
        (
            "a <> b",
            "Invalid operator used in KeyConditionExpression: <>",
        ),
        (
            ":a between size(b) and size(c) and b > :b",
            "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand",
        ),
        (
            "begins_with(:a, b) and a > :b",
            "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand",
        ),
        (
            "a > size(b.d)",
            "KeyConditionExpressions cannot contain nested operations",
        ),
        (
            "b > a.b",
            "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        (
            "begins_with(a, b)",
            "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        (
            "b.d = :a",
            "KeyConditionExpressions cannot have conditions on nested attributes",
        ),
        (
            "b[0] = :a",
            "KeyConditionExpressions cannot have conditions on nested attributes",
        ),
        (
            ":b = :a AND a < :b",
            "Invalid condition in KeyConditionExpression: No key attribute specified",
        ),
        (
            "b > :a AND b < :b and c = :a",
            "KeyConditionExpressions must only contain one condition per key",
        ),
        (
            "a = :a AND b = :a AND c = :a",
            "Conditions can be of length 1 or 2 only",
        ),
        ("a > :a", "Query key condition not supported"),
        (
            "a > :a AND begins_with(b, :b)",
            "Query key condition not supported",
        ),
        (
            "a = :x",
            "Invalid KeyConditionExpression: An expression attribute value used in expression is not defined; attribute value: :x",
        ),
        (
            "key = :a",
            "Invalid KeyConditionExpression: Attribute name is a reserved keyword; reserved keyword: key",
        ),
    ] {
        let used: serde_json::Map<String, Value> = values
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .filter(|(name, _)| expression.contains(name.as_str()))
            .collect();
        let all = words(check_key_condition(expression, &Value::Object(used)));
        assert_eq!(all, [problem], "{expression}");
    }
    let all = words(check_key_condition(
        "a = :a",
        &json!({":a": {"BOOL": true}}),
    ));
    assert_eq!(
        all,
        [
            "One or more parameter values were invalid: Condition parameter type does not match schema type"
        ]
    );
}

#[test]
fn held_against_a_table() {
    let mismatch = "One or more parameter values were invalid: Condition parameter type does not match schema type";
    for (expression, n, problem) in [
        ("pk = :s", "", None),
        (":s = pk AND :n < sk", "n", None),
        ("(sk BETWEEN :n AND :n) AND (pk = :s)", "n", None),
        (
            "sk = :n",
            "n",
            Some("Query condition missed key schema element: pk"),
        ),
        (
            "v = :s",
            "",
            Some("Query condition missed key schema element: pk"),
        ),
        (
            "pk = :s AND v = :s",
            "",
            Some("Query condition missed key schema element: sk"),
        ),
        (
            "pk > :s AND sk = :n",
            "n",
            Some("Query key condition not supported"),
        ),
        ("pk = :s AND begins_with(sk, :s)", "", Some(mismatch)),
        ("pk = :n", "n", Some(mismatch)),
    ] {
        let mut values = json!({});
        if expression.contains(":s") {
            values[":s"] = json!({"S": "x"});
        }
        if n == "n" {
            values[":n"] = json!({"N": "1"});
        }
        let specification = check_key_condition(expression, &values)
            .unwrap_or_else(|faults| panic!("{expression}: {faults:?}"));
        let found = specification
            .check_keys(&schema())
            .err()
            .map(|faults| faults[0].to_string());
        assert_eq!(found.as_deref(), problem, "{expression}");
    }
    let alone = KeySchema {
        sort: None,
        ..schema()
    };
    let two = check_key_condition(
        "pk = :s AND sk = :n",
        &json!({":s": {"S": "x"}, ":n": {"N": "1"}}),
    )
    .unwrap();
    assert!(two.check_keys(&alone).is_err());
}

#[test]
fn filters_beside_a_key_condition_name_other_attributes() {
    let (s, n) = (json!({"S": "x"}), json!({"N": "1"}));
    let of = |filter: &'static str, key_condition| {
        let names = if filter.contains("#k") {
            BTreeMap::from([("#k", "pk")])
        } else {
            BTreeMap::new()
        };
        let all = [(":s", &s), (":n", &n)];
        let values = all.into_iter().filter(|(name, _)| {
            filter.contains(name) || key_condition == Some("pk = :s") && *name == ":s"
        });
        Given {
            filter: Some(filter),
            key_condition,
            names,
            values: values.collect(),
            projection: None,
        }
        .check()
    };
    let with = |filter| of(filter, Some("pk = :s"));
    for filter in [
        "pk <> :s",
        "#k <> :s",
        "v = :n OR size(pk) > :n",
        "attribute_exists(pk.a)",
    ] {
        let problem = "Filter Expression can only contain non-primary key attributes: Primary key attribute: pk";
        assert_eq!(
            words(with(filter)),
            [problem],
            "{filter}: known without the table"
        );
        assert!(
            of(filter, None).unwrap().check_keys(&schema()).is_ok(),
            "{filter}: allowed without a key condition"
        );
    }
    let sort = with("sk > :n").unwrap();
    let faults = sort.check_keys(&schema()).unwrap_err();
    assert_eq!(
        faults[0].to_string(),
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"
    );
    assert!(
        with("v > :n AND a.pk = :s")
            .unwrap()
            .check_keys(&schema())
            .is_ok()
    );
}

#[test]
fn which_items_are_read() {
    let values = json!({":s": {"S": "x"}, ":n": {"N": "5"}, ":m": {"N": "10"}});
    for (expression, read) in [
        ("pk = :s", [true, true, true, false]),
        ("pk = :s AND sk = :n", [false, true, false, false]),
        ("pk = :s AND sk < :n", [true, false, false, false]),
        ("pk = :s AND :n > sk", [true, false, false, false]),
        ("pk = :s AND sk >= :n", [false, true, true, false]),
        (
            "sk BETWEEN :n AND :m AND pk = :s",
            [false, true, true, false],
        ),
    ] {
        let used: serde_json::Map<String, Value> = values
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .filter(|(name, _)| expression.contains(name.as_str()))
            .collect();
        let specification = check_key_condition(expression, &Value::Object(used)).unwrap();
        let items = [("x", "-1"), ("x", "5.0"), ("x", "10"), ("y", "5")]
            .map(|(pk, sk)| json!({"pk": {"S": pk}, "sk": {"N": sk}}));
        assert_eq!(
            items.map(|item| specification.reads(item.as_object().unwrap()).unwrap()),
            read,
            "{expression}"
        );
    }
}
