//! Filter expressions that AWS refuses, most of them from dynalite's tests, which run against
//! DynamoDB.

use std::collections::BTreeMap;

use dynamodb_expressions::{Fault, Given, Place, Problem, parse_condition};
use serde_json::{Value, json};

use crate::{check_filter, words};

/// The first fault, without the parameter's name.
fn first(expression: &str, values: &Value) -> String {
    let all = words(check_filter(expression, values));
    all[0]
        .strip_prefix("Invalid FilterExpression: ")
        .unwrap_or_else(|| panic!("{expression}: {all:?}"))
        .to_owned()
}

#[test]
fn syntax_errors() {
    for expression in [
        "a ==== b",
        "a == :v",
        "a != :v",
        "a",
        ":v",
        "(a)",
        "a AND b = :v",
        "NOT a",
        "a = :v AND",
        "a = :v OR OR a = :v",
        "a = b = c",
        "(a = b) = c",
        "things are not gonna be ok",
        "a > 4",
        "a = 'open'",
        "a = \"open\"",
        "attribute_exists(Pictures-RearView)",
        "attribute_exists(Pictures..RearView)",
        "attribute_exists(Pi#ctures.RearView)",
        "attribute_exists(asdf[a])",
        "attribute_exists()",
        "attribute_exists(a = b)",
        "a > between",
        "a in b, c",
        "a in b",
        "a in ()",
        "a in (b,c,)",
        "a between b",
        "a between b or c",
        "(a)between(b.(c.d))and(c)",
        "(a)between(b.c.d)and((c)",
        "#$.b > a",
        "a > :things.stuff",
        "b[:a] > a",
        "b[#_] > a",
        "b[-1] > a",
        "b[] > a",
        "ü > a",
        "(a)between(b.c[4.5].#d)and(:a)",
        "size(a).b > a",
        "(size(a)).b > a",
        "size(a)[0] > a",
        "(size(a))[0] > a",
        "(a = b",
        "a = b)",
        "a.and = :v",
        "and = :v",
    ] {
        let problem = first(expression, &Value::Null);
        assert!(
            problem.starts_with("Syntax error; token: \""),
            "{expression}: {problem}"
        );
    }
    assert_eq!(
        first("a ==== b", &Value::Null),
        r#"Syntax error; token: "=", near: "===""#
    );
    assert_eq!(
        first("a = :v AND", &Value::Null),
        r#"Syntax error; token: "<EOF>", near: "AND""#
    );
}

#[test]
fn brackets_and_limits() {
    for expression in [
        "a=b and a > ((v))",
        "(a)between(((b.c)).d)and(c)",
        "a > whatever((:things), ((a)))",
        "a=b AND ((a=b AND a=b)) AND a=b",
        "a=b OR ((a=b OR (a=b OR a=b)))",
        "((a = b))",
    ] {
        assert_eq!(
            first(expression, &Value::Null),
            "The expression has redundant parentheses;",
            "{expression}"
        );
    }
    assert_eq!(first(" ", &Value::Null), "The expression can not be empty;");
    assert!(
        first(&"a".repeat(4097), &Value::Null)
            .ends_with("maximum allowed size; expression size: 4097")
    );
    let many = vec!["a<b"; 151].join(" or ");
    assert_eq!(
        first(&many, &Value::Null),
        "The expression contains too many operators; operator count: 301"
    );
    assert!(check_filter(&vec!["a<b"; 150].join(" or "), &Value::Null).is_ok());
    assert!(
        first("a[99999999999] = b", &Value::Null)
            .starts_with("List index is not within the allowable range")
    );
    let deep = format!("a{} = b", ".a".repeat(33));
    assert_eq!(
        first(&deep, &Value::Null),
        "The document path has too many nesting levels"
    );
    let values: serde_json::Map<_, _> = (0..101)
        .map(|n| (format!(":v{n}"), json!({"N": "1"})))
        .collect();
    let list: Vec<&str> = values.keys().map(String::as_str).collect();
    let listed = format!("a IN ({})", list.join(", "));
    assert!(
        first(&listed, &Value::Object(values.clone()))
            .starts_with("The IN operator is provided with too many operands")
    );
}

#[test]
fn the_deepest_nesting_ends_in_an_error() {
    for expression in [
        "(".repeat(4096),
        "not ".repeat(1000) + "a<b",
        "a<".to_owned() + &"f(".repeat(1355) + "b" + &")".repeat(1355),
    ] {
        assert!(parse_condition(&expression).is_err());
    }
    let brackets = "(".repeat(2046) + "a<b" + &")".repeat(2046);
    assert!(parse_condition(&brackets).is_err());
    // DynamoDB was seen to accept 149 levels.
    let negated = |levels: usize| "not ".repeat(levels) + "a<b";
    assert!(parse_condition(&negated(150)).is_ok());
    assert_eq!(parse_condition(&negated(151)), Err(Problem::TooDeep));
    assert_eq!(parse_condition(&negated(299)), Err(Problem::TooDeep));
    let nested = "a<b ".to_owned() + &"or (a<b ".repeat(149) + &")".repeat(149);
    assert!(check_filter(&nested, &Value::Null).is_ok());
}

#[test]
fn functions() {
    for (expression, problem) in [
        (
            "a=b and whatever((:a)) > a",
            "Invalid function name; function: whatever",
        ),
        (
            "attRIbute_exIsts((v), #a)",
            "Invalid function name; function: attRIbute_exIsts",
        ),
        (
            "BEGINS_WITH(a, :a)",
            "Invalid function name; function: BEGINS_WITH",
        ),
        (
            "list_append(a, b) = :a",
            "The function is not allowed in a condition expression; function: list_append",
        ),
    ] {
        assert_eq!(
            first(expression, &json!({":a": {"S": "1"}})),
            problem,
            "{expression}"
        );
    }
    for (expression, function) in [
        (
            "a=b and attribute_exists((v), (#a)) > b",
            "attribute_exists",
        ),
        ("attribute_not_exists(things) > b", "attribute_not_exists"),
        ("attribute_type(things, :a) > b", "attribute_type"),
        ("begins_with(things, a) > b", "begins_with"),
        ("contains(:things, c) > b", "contains"),
        ("size(contains(a, b)) > a", "contains"),
        ("size(things)", "size"),
        ("NOT size(things)", "size"),
        (
            "a between b and attribute_exists(things)",
            "attribute_exists",
        ),
        ("a in (b, attribute_exists(things))", "attribute_exists"),
    ] {
        let problem = format!(
            "The function is not allowed to be used this way in an expression; function: {function}"
        );
        assert_eq!(
            first(
                expression,
                &json!({":a": {"S": "S"}, ":things": {"S": "x"}})
            ),
            problem,
            "{expression}"
        );
    }
    for (expression, function, count) in [
        ("attribute_exists(things, a) and a=b", "attribute_exists", 2),
        ("attribute_not_exists(things, b)", "attribute_not_exists", 2),
        ("attribute_type(things)", "attribute_type", 1),
        ("begins_with(things)", "begins_with", 1),
        ("begins_with(things, size(a), b)", "begins_with", 3),
        ("contains(things)", "contains", 1),
        ("size(things, a) > b", "size", 2),
    ] {
        let start = "Incorrect number of operands for operator or function; operator or function: ";
        assert_eq!(
            first(expression, &Value::Null),
            format!("{start}{function}, number of operands: {count}"),
            "{expression}"
        );
    }
    for (expression, function) in [
        ("attribute_exists(:a) and a=b", "attribute_exists"),
        ("attribute_not_exists(size(:a))", "attribute_not_exists"),
    ] {
        let problem = format!(
            "Operator or function requires a document path; operator or function: {function}"
        );
        assert_eq!(
            first(expression, &json!({":a": {"S": "1"}})),
            problem,
            "{expression}"
        );
    }
}

#[test]
fn names() {
    for (expression, problem) in [
        (
            "Status = :a",
            "Attribute name is a reserved keyword; reserved keyword: Status",
        ),
        (
            ":a < abOrT",
            "Attribute name is a reserved keyword; reserved keyword: abOrT",
        ),
        (
            "a.status = :a",
            "Attribute name is a reserved keyword; reserved keyword: status",
        ),
        (
            "#x = :a",
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        (
            "begins_with(Pictures.#RearView, :a)",
            "An expression attribute name used in the document path is not defined; attribute name: #RearView",
        ),
        (
            "#4g > :a",
            "An expression attribute name used in the document path is not defined; attribute name: #4g",
        ),
        (
            "a = :v",
            "An expression attribute value used in expression is not defined; attribute value: :v",
        ),
    ] {
        assert_eq!(
            first(expression, &json!({":a": {"S": "1"}})),
            problem,
            "{expression}"
        );
    }
    // Everything that is wrong, at once.
    assert_eq!(
        words(check_filter("Status = :v AND #x = :v", &Value::Null)).len(),
        3
    );
}

#[test]
fn operand_types() {
    let of_type = [
        ("N", json!("1")),
        ("B", json!("YQ==")),
        ("BOOL", json!(true)),
        ("NULL", json!(true)),
        ("L", json!([])),
        ("M", json!({})),
        ("SS", json!(["1"])),
        ("NS", json!(["1"])),
        ("BS", json!(["YQ=="])),
    ];
    let start = "Incorrect operand type for operator or function; operator or function: ";
    for (tag, inner) in of_type {
        let value = json!({":a": {tag: inner}});
        let mut refusing = vec![("attribute_type(a, :a)", "attribute_type")];
        if tag != "B" {
            refusing.extend([
                ("begins_with(a, :a)", "begins_with"),
                ("begins_with(:a, a)", "begins_with"),
            ]);
        }
        if !["B", "N"].contains(&tag) {
            refusing.extend([
                ("a < :a", "<"),
                (":a >= a", ">="),
                ("a BETWEEN b AND :a", "BETWEEN"),
            ]);
        }
        if ["N", "BOOL", "NULL"].contains(&tag) {
            refusing.push(("size(:a) > a", "size"));
        }
        for (expression, operator) in refusing {
            assert_eq!(
                first(expression, &value),
                format!("{start}{operator}, operand type: {tag}"),
                "{expression} {value}"
            );
        }
        assert!(
            check_filter("a = :a", &value).is_ok(),
            "every type can be compared by ="
        );
        assert!(check_filter("contains(a, :a)", &value).is_ok());
    }
    for (expression, operator) in [
        ("size(size(a)) > b", "size"),
        ("begins_with(a, size(b))", "begins_with"),
        ("attribute_type(a, size(b))", "attribute_type"),
    ] {
        assert_eq!(
            first(expression, &Value::Null),
            format!("{start}{operator}, operand type: N"),
            "{expression}"
        );
    }
    assert!(first("attribute_type(a, b)", &Value::Null).starts_with(start));
    let dog = first("attribute_type(a, :a)", &json!({":a": {"S": "DOG"}}));
    assert_eq!(
        dog,
        "Invalid attribute type name found; type: DOG, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
    );
}

#[test]
fn same_operands_and_bounds() {
    for (expression, operator, path) in [
        ("a = a AND #a = c", "=", "[a]"),
        ("#a <> a", "<>", "[a]"),
        ("a > #a", ">", "[a]"),
        ("(a=a) OR (a=b)", "=", "[a]"),
        (
            "contains(ab.bc[1].a, ab.bc[1].#a)",
            "contains",
            "[ab, bc, [1], a]",
        ),
        (
            "begins_with(ab.bc[1].a, ab.bc[1].#a)",
            "begins_with",
            "[ab, bc, [1], a]",
        ),
    ] {
        let start = "The first operand must be distinct from the remaining operands for this operator or function; operator: ";
        assert_eq!(
            first(expression, &Value::Null),
            format!("{start}{operator}, first operand: {path}"),
            "{expression}"
        );
    }
    let bounds = |lower: Value, upper: Value| {
        first("a BETWEEN :l AND :u", &json!({":l": lower, ":u": upper}))
    };
    assert_eq!(
        bounds(json!({"N": "1"}), json!({"S": "a"})),
        "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:a}"
    );
    assert_eq!(
        bounds(json!({"S": "b"}), json!({"S": "a"})),
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {S:b}, upper bound operand: AttributeValue: {S:a}"
    );
    assert!(
        bounds(json!({"N": "10"}), json!({"N": "9"})).contains("greater than or equal"),
        "by value, not as texts"
    );
}

#[test]
fn placeholders_that_nothing_uses() {
    let values = BTreeMap::from([(":v", &Value::Null); 0]);
    let unused = Given {
        filter: Some("attribute_exists(a)"),
        names: BTreeMap::from([("#t", "total")]),
        values,
        ..Given::default()
    };
    let faults = unused.check().unwrap_err();
    assert_eq!(faults[0].place, Place::Name("#t".to_owned()));
    assert_eq!(
        faults[0].to_string(),
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#t}"
    );
    let value = json!({"S": "x"});
    let unused = Given {
        filter: Some("attribute_exists(a)"),
        values: BTreeMap::from([(":t", &value)]),
        ..Given::default()
    };
    assert_eq!(
        words(unused.check()),
        ["Value provided in ExpressionAttributeValues unused in expressions: keys: {:t}"]
    );
    // What one expression uses is used, whatever the others do.
    let shared = Given {
        key_condition: Some("#a = :t"),
        projection: Some("#a"),
        names: BTreeMap::from([("#a", "a")]),
        values: BTreeMap::from([(":t", &value)]),
        ..Given::default()
    };
    assert!(shared.check().is_ok());
}

#[test]
fn the_whole() {
    assert_eq!(
        words(Given::default().check()),
        ["The specification can not be empty"]
    );
    let no_value = json!({"N": "one"});
    let faults: Vec<Fault> = check_filter("a = :v", &json!({":v": no_value})).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].place, Place::Value(":v".to_owned()));
    let huge = json!({"S": "x".repeat(2 * 1024 * 1024 + 1)});
    let faults = check_filter("a = :v", &json!({":v": huge})).unwrap_err();
    assert_eq!(faults[0].place, Place::Whole);
    let long = format!("#{}", "n".repeat(255));
    let given = Given {
        filter: Some("a = b"),
        names: BTreeMap::from([(long.as_str(), "a"), ("t", "b"), ("#", "c")]),
        ..Given::default()
    };
    assert_eq!(given.check().unwrap_err().len(), 3);
}
