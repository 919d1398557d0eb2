//! A filter as callers write and read it: what the OpenAPI document says of it. [`super::filter`]
//! reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which items are included: at least one expression. Expressions have at most 4 KB and 300
/// operators each. What AWS would refuse whatever the table is, such as an error of syntax, an
/// undefined or unused placeholder or a reserved word, is refused here.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FilterSpecification)]
pub struct FilterDocument {
    /// Keeps items that match; all are read, and billed.
    #[schema(
        min_length = 1,
        max_length = 4096,
        pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$",
        example = "#s = :open"
    )]
    pub filter_expression: Option<String>,
    /// The attributes to write.
    #[schema(
        min_length = 1,
        max_length = 4096,
        pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$"
    )]
    pub projection_expression: Option<String>,
    /// Reads one partition key only, and bills only that.
    #[schema(
        min_length = 1,
        max_length = 4096,
        pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$"
    )]
    pub key_condition_expression: Option<String>,
    /// Names for placeholders that begin with `#`.
    #[schema(example = json!({"#s": "Status"}))]
    pub expression_attribute_names: Option<BTreeMap<String, String>>,
    /// Values for placeholders that begin with `:`, each in DynamoDB JSON.
    #[schema(example = json!({":open": {"S": "open"}}))]
    pub expression_attribute_values: Option<BTreeMap<String, AttributeValueDocument>>,
}

/// A value in DynamoDB JSON: exactly one member, whose name is the value's type.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "UPPERCASE")]
#[schema(as = AttributeValue, min_properties = 1, max_properties = 1, example = json!({"S": "open"}))]
pub struct AttributeValueDocument {
    /// Text.
    #[schema(nullable = false)]
    pub s: Option<String>,
    /// A number, in decimal text.
    #[schema(nullable = false)]
    pub n: Option<String>,
    /// Binary data, in base64.
    #[schema(nullable = false)]
    pub b: Option<String>,
    /// A set of texts.
    #[schema(nullable = false, min_items = 1)]
    pub ss: Option<Vec<String>>,
    /// A set of numbers.
    #[schema(nullable = false, min_items = 1)]
    pub ns: Option<Vec<String>>,
    /// A set of binary data.
    #[schema(nullable = false, min_items = 1)]
    pub bs: Option<Vec<String>>,
    /// A map.
    #[schema(nullable = false, no_recursion)]
    pub m: Option<BTreeMap<String, AttributeValueDocument>>,
    /// A list.
    #[schema(nullable = false, no_recursion)]
    pub l: Option<Vec<AttributeValueDocument>>,
    /// `true` is the value null; nothing else is allowed.
    #[schema(nullable = false)]
    pub null: Option<bool>,
    /// True or false.
    #[schema(nullable = false)]
    pub bool: Option<bool>,
}
