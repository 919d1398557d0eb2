//! Records of an export's data files, in both formats.

use serde_json::Value;
use tableferry::export_files::attribute::plain_record;
use tableferry::export_files::{dynamodb_json, ion};

use crate::targets::Target;

/// More than any input has.
const MAX_VALUES: u32 = 1_000_000;

pub const DYNAMODB_JSON: Target = Target {
    name: "record_dynamodb_json",
    json: true,
    seeds: || {
        [
            r#"{"Item":{"pk":{"S":"a"},"n":{"N":"-1.5E+2"},"b":{"B":"aGk="},"t":{"BOOL":true},"z":{"NULL":true},"l":{"L":[{"M":{"x":{"NS":["1","2"]}}}]}}}"#,
            r#"{"Keys":{"pk":{"S":"a"}},"Metadata":{"WriteTimestampMicros":{"N":"1"}},"NewImage":{"pk":{"S":"a"},"ss":{"SS":["x"]},"bs":{"BS":["aGk="]}},"OldImage":{}}"#,
        ]
        .map(str::to_owned)
        .to_vec()
    },
    words: &[
        "Item", "Keys", "NewImage", "OldImage", "Metadata", "S", "N", "B", "SS", "NS", "BS", "L",
        "M", "BOOL", "NULL", "1E+125", "aGk=", "\\ud800",
    ],
    run: |input| {
        let checked = dynamodb_json::read_record::<false>(input, MAX_VALUES);
        match dynamodb_json::read_record::<true>(input, MAX_VALUES) {
            Err(wrong) => {
                assert!(checked.is_err(), "what is only checked is checked as well");
                one_sentence(&wrong.what);
                wrong.what
            }
            Ok(record) => {
                assert!(checked.is_ok(), "what is kept is checked no less");
                kept(&record);
                "ok".to_owned()
            }
        }
    },
};

pub const ION: Target = Target {
    name: "record_ion",
    json: false,
    seeds: || {
        [
            r#"$ion_1_0 {Item:{pk:"a",n:-1.5d2,b:{{aGk=}},t:true,z:null,l:[{x:$dynamodb_NS::[1.,2.]}],'a b':'''x''' }}"#,
            r#"$ion_1_0 {Record:{Keys:{pk:"a"},Metadata:{WriteTimestampMicros:1.},NewImage:{pk:"a",ss:$dynamodb_SS::["x"]},OldImage:{}}}"#,
        ]
        .map(str::to_owned)
        .to_vec()
    },
    words: &[
        "$ion_1_0",
        "Item",
        "Record",
        "Keys",
        "{",
        "}",
        "[",
        "]",
        "{{",
        "}}",
        "'''",
        "//",
        "/*",
        "*/",
        "::",
        "$dynamodb_SS",
        "null.string",
        "1d125",
        "\\x41",
        "$10",
    ],
    run: |input| match ion::read_record(input) {
        Err(wrong) => {
            one_sentence(&wrong.what);
            wrong.what
        }
        Ok(None) => "nothing".to_owned(),
        Ok(Some(record)) => {
            kept(&record);
            "ok".to_owned()
        }
    },
};

fn one_sentence(what: &str) {
    assert!(
        what.starts_with("it ") && !what.contains('\n') && what.len() < 120,
        "{what}"
    );
}

/// A record of either format has an equal DYNAMODB_JSON record and a plain form.
fn kept(record: &Value) {
    let text = record.to_string();
    let again =
        dynamodb_json::read_record::<true>(text.as_bytes(), MAX_VALUES).map_err(|wrong| wrong.what);
    assert_eq!(again.as_ref(), Ok(record), "what is given back is a record");
    let _ = plain_record(record);
}
