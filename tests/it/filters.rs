//! Filters: filters that AWS would reject are rejected before it is called, and a filtered export
//! contains exactly the matching items.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{BUCKET, TestApp, ago, create_body};

const ORDERS_BY_DAY: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/OrdersByDay";

fn filtered(filter: Value) -> Value {
    let mut body = create_body();
    body["filter_specification"] = filter;
    body
}

#[tokio::test]
async fn what_aws_would_refuse_is_refused_first() {
    let app = TestApp::start().await;
    let open = json!({":v": {"S": "open"}});
    for (filter, pointer, words) in [
        (
            json!({"filter_expression": "a ==== b"}),
            "filter_expression",
            "Syntax error; token: \"=\", near: \"===\"",
        ),
        (
            json!({"filter_expression": "a = :v"}),
            "filter_expression",
            "Add \":v\" to expression_attribute_values",
        ),
        (
            json!({"filter_expression": "a = :v", "expression_attribute_names": {"#t": "amount"}, "expression_attribute_values": open}),
            "expression_attribute_names/#t",
            "unused",
        ),
        (
            json!({"filter_expression": "Status = :v", "expression_attribute_values": open}),
            "filter_expression",
            "Write #Status instead and add \"#Status\": \"Status\" to expression_attribute_names",
        ),
        (
            json!({"filter_expression": "begins_with(a, :v)", "expression_attribute_values": {":v": {"N": "1"}}}),
            "filter_expression",
            "begins_with accepts strings and binary data",
        ),
        (
            json!({"projection_expression": "a, a.b"}),
            "projection_expression",
            "overlap",
        ),
        (
            json!({"key_condition_expression": "pk > :v", "expression_attribute_values": open}),
            "key_condition_expression",
            "A key condition compares the partition key with a value by =",
        ),
        (
            json!({"key_condition_expression": "pk = :v", "filter_expression": "pk <> :v", "expression_attribute_values": open}),
            "filter_expression",
            "leave key_condition_expression out",
        ),
    ] {
        let problem = app
            .create(&filtered(filter.clone()))
            .await
            .expect_problem(422, "validation-failed");
        assert_eq!(
            problem.pointers(),
            [format!("/filter_specification/{pointer}")],
            "{filter}"
        );
        let detail = problem.json["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{filter}: {detail}");
        // A preflight reports the same.
        let report = app
            .send(
                app.request(Method::POST, "/v1/exports/preflight")
                    .json(&filtered(filter)),
            )
            .await
            .expect(200)
            .json;
        let request = report["checks"][0]["detail"].as_str().unwrap();
        assert!(
            request.contains(words) && request.contains(pointer),
            "{request}"
        );
    }
    assert_eq!(app.stored_exports().await, 0);
    assert!(app.aws.calls().is_empty(), "AWS is not asked");
}

/// A table of orders, each with the day it was placed as its sort key.
fn make_orders(app: &TestApp) {
    let order = |customer: &str, day: u32, status: &str, amount: &str| json!({"customer": {"S": customer}, "placed": {"N": day.to_string()}, "Status": {"S": status}, "amount": {"N": amount}});
    let seed = json!({
        "name": "OrdersByDay", "partition_key": {"name": "customer", "kind": "S"}, "sort_key": {"name": "placed", "kind": "N"},
        "age": "5d", "recovery_age": "5d",
        "items": [
            order("ada", 1, "open", "9.99"), order("ada", 2, "open", "10"), order("ada", 3, "closed", "100"), order("ada", 10, "open", "1e3"),
            order("bob", 1, "open", "9"), order("bob", 2, "open", "10.00"), order("bob", 3, "open", "20"), order("bob", 4, "closed", "5"),
        ],
        "history": [
            {"age": "1h", "put": order("ada", 1, "closed", "9.99")},
            {"age": "1h", "put": order("ada", 3, "open", "100")},
            {"age": "1h", "put": order("eve", 1, "open", "50")},
            {"age": "1h", "put": order("eve", 2, "closed", "50")},
            {"age": "1h", "delete": {"customer": {"S": "bob"}, "placed": {"N": "3"}}},
            {"age": "1h", "delete": {"customer": {"S": "bob"}, "placed": {"N": "4"}}},
        ],
    });
    app.aws
        .create_table(&serde_json::from_value(seed).unwrap())
        .unwrap();
}

fn orders_body(filter: Value) -> Value {
    json!({"table_arn": ORDERS_BY_DAY, "s3_bucket": BUCKET, "filter_specification": filter})
}

/// Runs exports to the end, verifies them, and returns the export and `customer placed` of each
/// line, in order.
async fn exported(app: &TestApp, body: &Value, image: &str) -> (Value, Vec<String>) {
    let id = app.export_to_end(body).await;
    assert_eq!(app.verified(&id, true).await["status"], "passed");
    let export = app.export(&id).await;
    let items = app
        .get(&format!("/v1/exports/{id}/items?limit=100"))
        .await
        .expect(200)
        .json["items"]
        .clone();
    let of = |item: &Value| {
        let keys = if item.get(image).is_some() {
            &item[image]
        } else {
            item
        };
        format!(
            "{} {}",
            keys["customer"]["S"].as_str().unwrap(),
            keys["placed"]["N"].as_str().unwrap()
        )
    };
    let mut lines: Vec<_> = items.as_array().unwrap().iter().map(of).collect();
    lines.sort_unstable();
    (export, lines)
}

fn open_from_ten() -> Value {
    json!({
        "filter_expression": "#s = :open AND amount >= :least",
        "expression_attribute_names": {"#s": "Status"},
        "expression_attribute_values": {":open": {"S": "open"}, ":least": {"N": "10"}},
    })
}

#[tokio::test]
async fn a_filtered_full_export_holds_exactly_its_items() {
    let app = TestApp::start().await;
    make_orders(&app);
    let mut body = orders_body(open_from_ten());
    for format in ["DYNAMODB_JSON", "ION"] {
        body["export_format"] = json!(format);
        let (export, items) = exported(&app, &body, "Item").await;
        assert_eq!(
            items,
            ["ada 10", "ada 2", "ada 3", "bob 2", "eve 1"],
            "{format}"
        );
        assert_eq!(export["item_count"], 5);
        assert_eq!(export["filter_specification"], open_from_ten());
    }
    // As of before the changes.
    body["export_time"] = json!(ago(7200));
    assert_eq!(
        exported(&app, &body, "Item").await.1,
        ["ada 10", "ada 2", "bob 2", "bob 3"]
    );
    let of_ada = json!({
        "key_condition_expression": "customer = :c AND placed BETWEEN :from AND :to", "filter_expression": "amount < :most",
        "projection_expression": "customer, placed",
        "expression_attribute_values": {":c": {"S": "ada"}, ":from": {"N": "2"}, ":to": {"N": "10"}, ":most": {"N": "500"}},
    });
    let (part, items) = exported(&app, &orders_body(of_ada), "Item").await;
    assert_eq!(items, ["ada 2", "ada 3"]);
    let (whole, _) = exported(
        &app,
        &json!({"table_arn": ORDERS_BY_DAY, "s3_bucket": BUCKET}),
        "Item",
    )
    .await;
    assert!(
        part["billed_size_in_bytes"].as_u64() < whole["billed_size_in_bytes"].as_u64(),
        "a key condition reads less"
    );
}

#[tokio::test]
async fn a_filtered_incremental_export_holds_exactly_its_changes() {
    let app = TestApp::start().await;
    make_orders(&app);
    let mut body = orders_body(open_from_ten());
    body["export_type"] = json!("INCREMENTAL_EXPORT");
    body["incremental_export_specification"] =
        json!({"export_from_time": ago(7200), "export_to_time": ago(1200)});
    let (export, changes) = exported(&app, &body, "Keys").await;
    // ada 3 was opened, eve 1 inserted; bob 3 was deleted and was open until then.
    assert_eq!(changes, ["ada 3", "bob 3", "eve 1"]);
    assert_eq!(export["item_count"], 3);
}

#[tokio::test]
async fn a_preflight_holds_a_filter_against_the_tables_key() {
    let app = TestApp::start().await;
    make_orders(&app);
    let with = |condition: &str, filter: Option<&str>, values: Value| {
        let mut specification =
            json!({"key_condition_expression": condition, "expression_attribute_values": values});
        if let Some(filter) = filter {
            specification["filter_expression"] = json!(filter);
        }
        orders_body(specification)
    };
    let (c, n) = (json!({"S": "ada"}), json!({"N": "1"}));
    for (body, status, words) in [
        (
            orders_body(open_from_ten()),
            "skipped",
            "Without a key condition",
        ),
        (
            with("customer = :c", None, json!({":c": c})),
            "passed",
            "customer, placed",
        ),
        (
            with("amount = :n", None, json!({":n": n})),
            "failed",
            "missed key schema element: customer",
        ),
        (
            with(
                "customer = :c AND amount > :n",
                None,
                json!({":c": c, ":n": n}),
            ),
            "failed",
            "missed key schema element: placed",
        ),
        (
            with("customer = :n", None, json!({":n": n})),
            "failed",
            "does not match schema type",
        ),
        (
            with(
                "customer = :c",
                Some("placed > :n"),
                json!({":c": c, ":n": n}),
            ),
            "failed",
            "move placed into key_condition_expression",
        ),
    ] {
        let report = app
            .send(
                app.request(Method::POST, "/v1/exports/preflight")
                    .json(&body),
            )
            .await
            .expect(200)
            .json;
        let check = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["name"] == "filter_keys")
            .unwrap();
        assert_eq!(check["status"], status, "{check}");
        assert!(check["detail"].as_str().unwrap().contains(words), "{check}");
        if status == "failed" {
            let refused = app
                .send(
                    app.request(Method::POST, "/v1/exports?preflight=true")
                        .json(&body),
                )
                .await;
            assert_eq!(
                refused.expect_problem(422, "preflight-failed").pointers(),
                ["/filter_specification"]
            );
        }
    }
    assert_eq!(app.stored_exports().await, 0);
}
