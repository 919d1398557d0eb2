//! Projections: what is refused, and what is written.

use serde_json::{Value, json};

use crate::{check_projection, words};

#[test]
fn refused() {
    for (expression, problem) in [
        (
            "a, a",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]",
        ),
        (
            "a.b[0], b, a.b[0].c",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b, [0]], path two: [a, b, [0], c]",
        ),
        (
            "a.b, a[1]",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]",
        ),
        (
            "#a, a",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]",
        ),
        (
            "a, status",
            "Attribute name is a reserved keyword; reserved keyword: status",
        ),
        (
            "and",
            "Attribute name is a reserved keyword; reserved keyword: and",
        ),
        (
            "#x",
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        ("a,", r#"Syntax error; token: "<EOF>", near: ",""#),
        ("a b", r#"Syntax error; token: "b", near: "a b""#),
        (":v", r#"Syntax error; token: ":v", near: ":v""#),
        ("size(a)", r#"Syntax error; token: "(", near: "size(a""#),
        ("", "The expression can not be empty;"),
    ] {
        assert_eq!(
            words(check_projection(expression)),
            [format!("Invalid ProjectionExpression: {problem}")],
            "{expression}"
        );
    }
}

#[test]
fn what_is_written() {
    let item = json!({
        "a": {"S": "x"}, "Status": {"S": "open"},
        "m": {"M": {"b": {"N": "1"}, "c": {"L": [{"S": "0"}, {"S": "1"}, {"M": {"d": {"BOOL": true}, "e": {"NULL": true}}}]}}},
    });
    for (expression, written) in [
        ("a, #s", json!({"a": {"S": "x"}, "Status": {"S": "open"}})),
        ("absent", json!({})),
        ("a, absent, m.absent", json!({"a": {"S": "x"}})),
        ("m.b", json!({"m": {"M": {"b": {"N": "1"}}}})),
        (
            "m.c[2].d, m.c[0]",
            json!({"m": {"M": {"c": {"L": [{"S": "0"}, {"M": {"d": {"BOOL": true}}}]}}}}),
        ),
        ("m.c[7]", json!({})),
        ("a.b, a.c", json!({})),
        ("a[0]", json!({})),
    ] {
        let specification = check_projection(expression).unwrap();
        let projection = specification.projection().unwrap();
        assert_eq!(
            Value::Object(projection.apply(item.as_object().unwrap())),
            written,
            "{expression}"
        );
    }
}
