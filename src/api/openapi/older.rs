//! The document in OpenAPI 3.0, for generators that do not support 3.1. It is converted from the
//! 3.1 form, so that both are equivalent.
//!
//! What 3.0 cannot express is left out or described in words: the section `webhooks`, the names of
//! a map's members. `nullable` beside `allOf` is the common way in 3.0 to make a reference
//! nullable, and generators understand it.

use serde_json::{Map, Value, json};

const VERSION: &str = "3.0.3";

/// The keywords of a schema in 3.0. Other keywords of 3.1 only narrow or describe a value further,
/// and are left out.
const KNOWN: [&str; 34] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "deprecated",
    "description",
    "discriminator",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
];

/// The document in 3.0; it has no `webhooks` any more.
pub(super) fn to_3_0(mut document: Value) -> Value {
    document["openapi"] = VERSION.into();
    if let Some(license) = document
        .pointer_mut("/info/license")
        .and_then(Value::as_object_mut)
        && license.remove("identifier").is_some()
    {
        license.insert(
            "url".to_owned(),
            "https://www.apache.org/licenses/LICENSE-2.0.html".into(),
        );
    }
    if let Some(schemas) = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    {
        schemas.values_mut().for_each(convert);
    }
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for call in paths
            .values_mut()
            .filter_map(Value::as_object_mut)
            .flat_map(Map::values_mut)
        {
            drop_scopes(call);
            join_successes(call);
        }
    }
    convert_below(&mut document);
    document
}

/// In 3.0 only OAuth has scopes; descriptions name them.
fn drop_scopes(call: &mut Value) {
    for requirement in call
        .get_mut("security")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        for needed in requirement
            .as_object_mut()
            .into_iter()
            .flat_map(Map::values_mut)
        {
            *needed = Value::Array(Vec::new());
        }
    }
}

/// A success without a body beside one with a body is described in words: progenitor supports one
/// kind of success per operation.
fn join_successes(call: &mut Value) {
    let Some(answers) = call.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    let is_success = |status: &str| status.starts_with('2');
    if !answers
        .iter()
        .any(|(status, answer)| is_success(status) && answer["content"].is_object())
    {
        return;
    }
    let bare: Vec<_> = answers
        .iter()
        .filter(|(status, answer)| is_success(status) && answer["content"].is_null())
        .collect();
    let said: String = bare
        .iter()
        .map(|(status, answer)| {
            format!(
                ". Or {status}: {}",
                answer["description"].as_str().unwrap_or_default()
            )
        })
        .collect();
    let bare: Vec<_> = bare.into_iter().map(|(status, _)| status.clone()).collect();
    for status in bare {
        answers.remove(&status);
    }
    if let Some((_, answer)) = answers.iter_mut().find(|(status, _)| is_success(status)) {
        let description = format!(
            "{}{said}",
            answer["description"].as_str().unwrap_or_default()
        );
        answer["description"] = description.into();
    }
}

/// Converts the schema of every parameter, header and body. Examples are skipped, because they may
/// have members with the same names.
fn convert_below(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match name.as_str() {
                    "schema" => convert(member),
                    "example" | "examples" | "schemas" => {}
                    _ => convert_below(member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(convert_below),
        _ => {}
    }
}

/// Converts a schema and its subschemas.
fn convert(schema: &mut Value) {
    if let Value::Bool(allows_all) = schema {
        *schema = if *allows_all {
            json!({})
        } else {
            json!({"not": {}})
        };
    }
    let Value::Object(members) = schema else {
        return;
    };
    for (name, member) in members.iter_mut() {
        match (name.as_str(), member) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(convert),
            ("allOf" | "anyOf" | "oneOf", Value::Array(choices)) => {
                choices.iter_mut().for_each(convert)
            }
            ("items" | "not", schema) | ("additionalProperties", schema @ Value::Object(_)) => {
                convert(schema)
            }
            _ => {}
        }
    }
    take_example(members);
    take_const(members);
    take_bounds(members);
    take_types(members);
    take_null_choice(members);
    members.retain(|name, _| KNOWN.contains(&name.as_str()) || name.starts_with("x-"));
    wrap_reference(members);
}

/// `examples` becomes one `example`.
fn take_example(members: &mut Map<String, Value>) {
    if let Some(Value::Array(examples)) = members.remove("examples")
        && let Some(first) = examples.into_iter().next()
    {
        members.entry("example").or_insert(first);
    }
}

/// `const` becomes an enum with one value.
fn take_const(members: &mut Map<String, Value>) {
    if let Some(only) = members.remove("const") {
        members.insert("enum".to_owned(), json!([only]));
    }
}

/// An exclusive bound becomes a bound and a flag.
fn take_bounds(members: &mut Map<String, Value>) {
    for (excluded, bound) in [
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ] {
        if members.get(excluded).is_some_and(Value::is_number)
            && let Some(number) = members.insert(excluded.to_owned(), true.into())
        {
            members.insert(bound.to_owned(), number);
        }
    }
}

/// A list of types becomes one type, which may be nullable.
fn take_types(members: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = members.get("type") else {
        return;
    };
    let (null, others): (Vec<_>, Vec<_>) = types.iter().cloned().partition(|kind| kind == "null");
    members.remove("type");
    match others.as_slice() {
        [] => {}
        [one] => drop(members.insert("type".to_owned(), one.clone())),
        many => drop(members.insert(
            "anyOf".to_owned(),
            many.iter().map(|kind| json!({"type": kind})).collect(),
        )),
    }
    if !null.is_empty() {
        members.insert("nullable".to_owned(), true.into());
    }
}

/// A choice between null and another schema becomes that schema, nullable.
fn take_null_choice(members: &mut Map<String, Value>) {
    for name in ["anyOf", "oneOf"] {
        let Some(Value::Array(choices)) = members.get_mut(name) else {
            continue;
        };
        let before = choices.len();
        choices.retain(|choice| choice["type"] != "null");
        if choices.len() == before {
            continue;
        }
        if let [only] = choices.as_mut_slice() {
            let only = only.take();
            members.remove(name);
            for (name, member) in only.as_object().into_iter().flatten() {
                members
                    .entry(name.clone())
                    .or_insert_with(|| member.clone());
            }
        }
        members.insert("nullable".to_owned(), true.into());
    }
}

/// In 3.0, keywords beside a reference are ignored.
fn wrap_reference(members: &mut Map<String, Value>) {
    if members.len() > 1
        && let Some(reference) = members.remove("$ref")
    {
        members.insert("allOf".to_owned(), json!([{"$ref": reference}]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(mut schema: Value) -> Value {
        convert(&mut schema);
        schema
    }

    #[test]
    fn schemas_say_the_same_in_3_0() {
        for (newer, older) in [
            (
                json!({"type": ["string", "null"], "format": "uuid"}),
                json!({"type": "string", "nullable": true, "format": "uuid"}),
            ),
            (
                json!({"type": ["integer", "string"]}),
                json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}),
            ),
            (json!({"const": "a"}), json!({"enum": ["a"]})),
            (
                json!({"type": "array", "items": {"examples": [1, 2]}}),
                json!({"type": "array", "items": {"example": 1}}),
            ),
            (
                json!({"type": "number", "exclusiveMinimum": 0}),
                json!({"type": "number", "minimum": 0, "exclusiveMinimum": true}),
            ),
            (json!({"$ref": "#/a"}), json!({"$ref": "#/a"})),
            (
                json!({"$ref": "#/a", "description": "x"}),
                json!({"allOf": [{"$ref": "#/a"}], "description": "x"}),
            ),
            (
                json!({"oneOf": [{"type": "null"}, {"$ref": "#/a", "description": "x"}]}),
                json!({"allOf": [{"$ref": "#/a"}], "description": "x", "nullable": true}),
            ),
            (
                json!({"oneOf": [{"type": "null"}, {"$ref": "#/a"}]}),
                json!({"allOf": [{"$ref": "#/a"}], "nullable": true}),
            ),
            (
                json!({"oneOf": [{"type": "boolean"}, {"type": "string"}, {"type": "null"}]}),
                json!({"oneOf": [{"type": "boolean"}, {"type": "string"}], "nullable": true}),
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": ["string", "null"]}, "propertyNames": {"pattern": "a"}}),
                json!({"type": "object", "additionalProperties": {"type": "string", "nullable": true}}),
            ),
            // A property may have the name of a keyword.
            (
                json!({"properties": {"type": {"type": ["string", "null"]}, "const": true}}),
                json!({"properties": {"type": {"type": "string", "nullable": true}, "const": {}}}),
            ),
        ] {
            assert_eq!(converted(newer.clone()), older, "{newer}");
        }
    }

    #[test]
    fn calls_lose_their_scopes_and_examples_stay() {
        let before = json!({
            "openapi": "3.1.0",
            "info": {"title": "t", "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
            "paths": {"/a": {"get": {
                "description": "Reads.",
                "security": [{"bearer": ["a:read"]}, {}],
                "responses": {"204": {"description": "Over"}, "200": {"description": "Live", "content": {"application/json": {
                    "schema": {"type": ["string", "null"]},
                    "example": {"schema": {"type": ["string", "null"]}},
                }}}},
            }}},
        });
        let after = to_3_0(before);
        assert_eq!(after["openapi"], "3.0.3");
        assert!(
            after["info"]["license"]["identifier"].is_null()
                && after["info"]["license"]["url"].is_string()
        );
        let call = &after["paths"]["/a"]["get"];
        assert_eq!(call["description"], "Reads.");
        assert_eq!(call["security"], json!([{"bearer": []}, {}]));
        assert!(call["responses"]["204"].is_null());
        assert_eq!(
            call["responses"]["200"]["description"],
            "Live. Or 204: Over"
        );
        let content = &call["responses"]["200"]["content"]["application/json"];
        assert_eq!(
            content["schema"],
            json!({"type": "string", "nullable": true})
        );
        assert_eq!(
            content["example"],
            json!({"schema": {"type": ["string", "null"]}})
        );
    }
}
