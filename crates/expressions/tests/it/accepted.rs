//! Expressions that AWS accepts.

use serde_json::{Value, json};

use crate::{check_filter, words};

#[test]
fn filters() {
    let values = json!({":a": {"S": "S"}, ":n": {"N": "1"}, ":m": {"N": "2"}, ":l": {"L": []}});
    for expression in [
        "a = :a",
        "a=:a",
        ":a = a",
        "a <> b",
        "a < b AND b <= c OR NOT c > d",
        "not a < b",
        "NOT NOT a < b",
        "(a < b) and (c < d)",
        "(a) < (b)",
        "((a) < b)",
        "a between :n and :m",
        "a BETWEEN b AND c AND d BETWEEN e AND f",
        "a IN (:n)",
        "a IN (b, :n, size(c))",
        "attribute_exists (a)",
        "attribute_not_exists(a.b[0].c)",
        "attribute_type(a, :a)",
        "attribute_type(:l, :a)",
        "begins_with(a, :a)",
        "begins_with(:a, a)",
        "contains(a, :l)",
        "size(a) > :n",
        "size(:a) > a",
        "size(a) = size(b)",
        "#s = :a",
        "a.#s[10][2] = :a",
        "(a.b).c = :a",
        "a . b [ 0 ] = :a",
        "_a1 = :a",
        "statuses = :a",
        ":a > :n",
        "a\t=\r\n:a",
    ] {
        let used: serde_json::Map<String, Value> = values
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .filter(|(name, _)| expression.contains(name.as_str()))
            .collect();
        let checked = check_filter(expression, &Value::Object(used));
        assert!(checked.is_ok(), "{expression}: {:?}", words(checked));
    }
}

#[test]
fn a_hundred_values_and_the_longest_expression() {
    let values: serde_json::Map<_, _> = (0..100)
        .map(|n| (format!(":v{n}"), json!({"N": "1"})))
        .collect();
    let list: Vec<&str> = values.keys().map(String::as_str).collect();
    assert!(
        check_filter(
            &format!("a IN ({})", list.join(",")),
            &Value::Object(values.clone())
        )
        .is_ok()
    );
    let longest = format!("a = {}", "b".repeat(4092));
    assert_eq!(longest.len(), 4096);
    assert!(check_filter(&longest, &Value::Null).is_ok());
}
