//! A filter as callers write and read it: what the OpenAPI document says of it.
//! [`tableferry_domain::export::filter`] reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which items are exported: at least one expression. Each expression has at most 4 KB and 300
/// operators. Errors that do not depend on the table are rejected here: syntax errors, undefined or
/// unused placeholders, and reserved words.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FilterSpecification)]
pub struct FilterDocument {
    /// Exports only items that match. AWS still reads and bills all items.
    #[schema(
        min_length = 1,
        max_length = 4096,
        pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$",
        example = "#s = :open"
    )]
    pub filter_expression: Option<String>,
    /// The attributes to export.
    #[schema(
        min_length = 1,
        max_length = 4096,
        pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$"
    )]
    pub projection_expression: Option<String>,
    /// Restricts the export to one partition key. AWS reads and bills only its items.
    #[schema(
        min_length = 1,
        max_length = 4096,
        pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$"
    )]
    pub key_condition_expression: Option<String>,
    /// Names of placeholders that begin with `#`.
    #[schema(example = json!({"#s": "Status"}))]
    pub expression_attribute_names: Option<BTreeMap<String, String>>,
    /// Values of placeholders that begin with `:`, each in DynamoDB JSON.
    #[schema(example = json!({":open": {"S": "open"}}))]
    pub expression_attribute_values: Option<BTreeMap<String, AttributeValueDocument>>,
}

/// A value in DynamoDB JSON: exactly one member, whose name is the value's type.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "UPPERCASE")]
#[schema(as = AttributeValue, min_properties = 1, max_properties = 1, example = json!({"S": "open"}))]
pub struct AttributeValueDocument {
    /// A string.
    #[schema(nullable = false)]
    pub s: Option<String>,
    /// A number, as a decimal string.
    #[schema(nullable = false)]
    pub n: Option<String>,
    /// Binary data, in base64.
    #[schema(nullable = false)]
    pub b: Option<String>,
    /// A set of strings.
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
    /// `true` means the value null. No other value is allowed.
    #[schema(nullable = false)]
    pub null: Option<bool>,
    /// True or false.
    #[schema(nullable = false)]
    pub bool: Option<bool>,
}
