//! Data files in DynamoDB JSON: one record per line.

use serde_json::{Value, json};

use super::snapshot::Record;

pub(super) fn render(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        text.push_str(&line(record).to_string());
        text.push('\n');
    }
    text
}

fn line(record: &Record) -> Value {
    match record {
        Record::Item(item) => json!({"Item": **item}),
        Record::Change {
            write_micros,
            keys,
            new_image,
            old_image,
        } => {
            let mut line = json!({
                "Metadata": {"WriteTimestampMicros": {"N": write_micros.to_string()}},
                "Keys": keys,
            });
            if let Some(new) = new_image {
                line["NewImage"] = json!(**new);
            }
            if let Some(old) = old_image {
                line["OldImage"] = json!(**old);
            }
            line
        }
    }
}
