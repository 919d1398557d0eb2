//! Generated items: the same on every run, together covering every attribute type, written over
//! their table's age.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::{Age, GenerateSeed, KeySeed, TableSeed, WriteSeed};

/// How long ago the newest of them was written.
const NEWEST_SECONDS: i64 = 600;

/// The writes, in no particular order.
pub(super) fn generate(table: &TableSeed, wanted: &GenerateSeed) -> Vec<WriteSeed> {
    let span = (table.age.0.whole_seconds() - NEWEST_SECONDS).max(0);
    let count = i64::from(wanted.count.max(1));
    let mut writes = Vec::new();
    for number in 0..wanted.count {
        let age = NEWEST_SECONDS.min(table.age.0.whole_seconds()) + span
            - span * i64::from(number) / count;
        writes.push(WriteSeed {
            age: seconds(age),
            put: Some(item(table, number, 1)),
            delete: None,
        });
        let Some(every) = wanted.change_every.filter(|every| *every > 0) else {
            continue;
        };
        if number % every != 0 {
            continue;
        }
        // Changed after half of the time since the first write.
        let changed = seconds(age / 2);
        writes.push(if number % (every * 10) == every {
            WriteSeed {
                age: changed,
                put: None,
                delete: Some(key(table, number)),
            }
        } else {
            WriteSeed {
                age: changed,
                put: Some(item(table, number, 2)),
                delete: None,
            }
        });
    }
    writes
}

fn seconds(age: i64) -> Age {
    Age(time::Duration::seconds(age))
}

fn key(table: &TableSeed, number: u32) -> Map<String, Value> {
    let sort = table
        .sort_key
        .as_ref()
        .map(|key| (key.name.clone(), key_value(key, "order", number)));
    // With a sort key, ten items share a partition key.
    let owner = if sort.is_some() { number / 10 } else { number };
    let partition = (
        table.partition_key.name.clone(),
        key_value(&table.partition_key, "customer", owner),
    );
    std::iter::once(partition).chain(sort).collect()
}

fn key_value(key: &KeySeed, word: &str, number: u32) -> Value {
    match key.kind.as_str() {
        "N" => json!({"N": number.to_string()}),
        "B" => json!({"B": BASE64.encode(format!("{word}-{number:06}"))}),
        _ => json!({"S": format!("{word}-{number:06}")}),
    }
}

fn one_of(choices: [&str; 4], number: u32) -> &str {
    choices[usize::try_from(number % 4).unwrap_or(0)]
}

fn item(table: &TableSeed, number: u32, revision: u32) -> Map<String, Value> {
    let cents = (number * 37) % 10_000;
    let mut item = key(table, number);
    let mut set = |name: &str, value: Value| item.insert(name.to_owned(), value);
    set(
        "Total",
        json!({"N": format!("{}.{:02}", cents / 100, cents % 100)}),
    );
    set(
        "Status",
        json!({"S": one_of(["NEW", "PAID", "SHIPPED", "DELIVERED"], number)}),
    );
    set("Revision", json!({"N": revision.to_string()}));
    set("Gift", json!({"BOOL": number.is_multiple_of(3)}));
    if number.is_multiple_of(2) {
        set(
            "Tags",
            json!({"SS": ["retail", format!("season-{}", number % 5)]}),
        );
    }
    if number.is_multiple_of(3) {
        set(
            "Quantities",
            json!({"NS": [(number % 7 + 1).to_string(), (number % 7 + 100).to_string()]}),
        );
    }
    if number.is_multiple_of(5) {
        set(
            "Label",
            json!({"B": BASE64.encode(format!("label {number}"))}),
        );
        set(
            "Pages",
            json!({"BS": [BASE64.encode(format!("page {number}/1")), BASE64.encode(format!("page {number}/2"))]}),
        );
    }
    if number.is_multiple_of(4) {
        set("Note", json!({"NULL": true}));
    } else {
        set(
            "Note",
            json!({"S": format!("Zustellung „{number}“ – bitte klingeln ✓")}),
        );
    }
    set(
        "Lines",
        json!({"L": [
            {"M": {"Sku": {"S": format!("sku-{}", number % 50)}, "Count": {"N": (number % 9 + 1).to_string()}, "Codes": {"L": [{"N": "1"}, {"NULL": true}]}}},
            {"M": {"Sku": {"S": "wrapping"}, "Count": {"N": "1"}, "Paper": {"SS": ["blue", "gold"]}}},
        ]}),
    );
    set(
        "Address",
        json!({"M": {"City": {"S": one_of(["Oslo", "Lima", "Köln", "大阪"], number)}, "Zip": {"S": format!("{:05}", number % 99_999)}}}),
    );
    item
}
