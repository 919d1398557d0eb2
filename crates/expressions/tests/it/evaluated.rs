//! Which items a filter keeps. What is missing or of another type is as Alternator's tests saw it
//! of DynamoDB.

use serde_json::{Value, json};

use crate::check_filter;

fn item() -> Value {
    json!({
        "n": {"N": "10"}, "n2": {"N": "1e1"}, "s": {"S": "grün"}, "b": {"B": "AQID"}, "t": {"BOOL": true}, "z": {"NULL": true},
        "ss": {"SS": ["x", "y"]}, "ns": {"NS": ["1", "2.50"]}, "bs": {"BS": ["AQ=="]}, "l": {"L": [{"S": "e"}, {"N": "7"}]},
        "m": {"M": {"inside": {"L": [{"M": {"deep": {"S": "yes"}}}]}, "set": {"SS": ["p", "q"]}}}, "Status": {"S": "open"},
    })
}

fn keeps(expression: &str, value: Value) -> bool {
    let values = if expression.contains(":v") {
        json!({":v": value})
    } else {
        json!({})
    };
    let specification = check_filter(expression, &values)
        .unwrap_or_else(|faults| panic!("{expression}: {faults:?}"));
    specification.keeps(item().as_object().unwrap()).unwrap()
}

#[test]
fn comparisons() {
    for (expression, value, expected) in [
        ("n = :v", json!({"N": "10.0"}), true),
        ("n = n2", json!(null), true),
        ("n = :v", json!({"S": "10"}), false),
        ("n <> :v", json!({"S": "10"}), true),
        ("n < :v", json!({"N": "9"}), false),
        ("n > :v", json!({"N": "9"}), true),
        ("n >= :v", json!({"N": "10"}), true),
        ("n <= :v", json!({"S": "z"}), false),
        ("s > :v", json!({"S": "grun"}), true),
        ("b < :v", json!({"B": "AQIE"}), true),
        ("ss = :v", json!({"SS": ["y", "x"]}), true),
        ("ns = :v", json!({"NS": ["2.5", "1.0"]}), true),
        ("m.#s = :v", json!({"SS": ["q", "p"]}), false),
        (
            "m = :v",
            json!({"M": {"set": {"SS": ["q", "p"]}, "inside": {"L": [{"M": {"deep": {"S": "yes"}}}]}}}),
            true,
        ),
        ("#s = :v", json!({"S": "open"}), true),
        ("t = :v", json!({"BOOL": true}), true),
        ("z = :v", json!({"NULL": true}), true),
        ("absent = :v", json!({"N": "1"}), false),
        ("absent <> :v", json!({"N": "1"}), true),
        ("absent < :v", json!({"N": "1"}), false),
        ("absent = gone", json!(null), false),
        ("absent <> gone", json!(null), true),
        ("absent >= gone", json!(null), false),
        ("NOT absent = :v", json!({"N": "1"}), true),
        ("m.inside[0].deep = :v", json!({"S": "yes"}), true),
        ("m.inside[1].deep = :v", json!({"S": "yes"}), false),
        ("l[1] = :v", json!({"N": "7"}), true),
        ("s.deep = :v", json!({"S": "yes"}), false),
        ("n BETWEEN :v AND n2", json!({"N": "10"}), true),
        ("n BETWEEN :v AND n2", json!({"N": "11"}), false),
        ("n BETWEEN absent AND :v", json!({"N": "11"}), false),
        ("n IN (s, :v)", json!({"N": "10"}), true),
        ("absent IN (s, :v)", json!({"N": "10"}), false),
        (":v IN (gone)", json!({"N": "10"}), false),
    ] {
        assert_eq!(
            keeps(expression, value.clone()),
            expected,
            "{expression} {value}"
        );
    }
}

#[test]
fn functions() {
    for (expression, value, expected) in [
        ("attribute_exists(z)", json!(null), true),
        ("attribute_exists(m.inside[0].deep)", json!(null), true),
        ("attribute_exists(m.inside[1])", json!(null), false),
        ("attribute_not_exists(absent)", json!(null), true),
        ("attribute_not_exists(n)", json!(null), false),
        ("attribute_type(ns, :v)", json!({"S": "NS"}), true),
        ("attribute_type(z, :v)", json!({"S": "NULL"}), true),
        ("attribute_type(n, :v)", json!({"S": "S"}), false),
        ("attribute_type(absent, :v)", json!({"S": "S"}), false),
        ("begins_with(s, :v)", json!({"S": "gr"}), true),
        ("begins_with(s, :v)", json!({"B": "AQ=="}), false),
        ("begins_with(b, :v)", json!({"B": "AQI="}), true),
        ("begins_with(n, :v)", json!({"S": "1"}), false),
        ("begins_with(:v, s)", json!({"S": "grüner"}), true),
        ("contains(s, :v)", json!({"S": "ü"}), true),
        ("contains(b, :v)", json!({"B": "AgM="}), true),
        ("contains(b, :v)", json!({"B": "AwI="}), false),
        ("contains(ss, :v)", json!({"S": "x"}), true),
        ("contains(ns, :v)", json!({"N": "2.5"}), true),
        ("contains(ns, :v)", json!({"S": "1"}), false),
        ("contains(bs, :v)", json!({"B": "AQ=="}), true),
        ("contains(l, :v)", json!({"N": "7.0"}), true),
        ("contains(l, :v)", json!({"S": "7"}), false),
        ("contains(n, :v)", json!({"N": "1"}), false),
        ("contains(absent, :v)", json!({"N": "1"}), false),
        ("size(s) = :v", json!({"N": "4"}), true),
        ("size(b) = :v", json!({"N": "3"}), true),
        ("size(ss) = :v", json!({"N": "2"}), true),
        ("size(l) < :v", json!({"N": "3"}), true),
        ("size(m) = :v", json!({"N": "2"}), true),
        ("size(n) >= :v", json!({"N": "0"}), false),
        ("size(absent) >= :v", json!({"N": "0"}), false),
        ("size(s) = :v", json!({"S": "4"}), false),
    ] {
        assert_eq!(
            keeps(expression, value.clone()),
            expected,
            "{expression} {value}"
        );
    }
}

#[test]
fn precedence() {
    // NOT binds tighter than AND, AND tighter than OR; brackets before all.
    for (expression, expected) in [
        (
            "attribute_exists(n) OR attribute_exists(n) AND attribute_exists(absent)",
            true,
        ),
        (
            "(attribute_exists(n) OR attribute_exists(n)) AND attribute_exists(absent)",
            false,
        ),
        ("NOT attribute_exists(absent) AND attribute_exists(n)", true),
        (
            "NOT (attribute_exists(absent) OR attribute_exists(n))",
            false,
        ),
        ("NOT attribute_exists(n) OR attribute_exists(n)", true),
        ("not not attribute_exists(n)", true),
    ] {
        assert_eq!(keeps(expression, Value::Null), expected, "{expression}");
    }
}
