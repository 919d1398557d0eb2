//! FilterSpecification of an export: parsed and checked against the table's key. The crate
//! `dynamodb-expressions` evaluates the expressions.

use dynamodb_expressions::{Fault, Given, KeyAttribute, KeySchema, Kind, Specification};
use serde_json::Value;

use crate::world::Table;

/// The checks of a filter that do not need its table.
pub(crate) fn read(filter: &Value) -> Result<Specification, Vec<Fault>> {
    let members = |name: &str| filter[name].as_object().into_iter().flatten();
    let given = Given {
        filter: filter["FilterExpression"].as_str(),
        projection: filter["ProjectionExpression"].as_str(),
        key_condition: filter["KeyConditionExpression"].as_str(),
        names: members("ExpressionAttributeNames")
            .filter_map(|(name, of)| Some((name.as_str(), of.as_str()?)))
            .collect(),
        values: members("ExpressionAttributeValues")
            .map(|(name, value)| (name.as_str(), value))
            .collect(),
    };
    given.check()
}

/// A table's key in the form that expressions need.
pub(crate) fn key_schema(table: &Table) -> KeySchema {
    let attribute = |key: &crate::world::KeyAttribute| KeyAttribute {
        name: key.name.clone(),
        kind: Kind::from_tag(&key.kind),
    };
    KeySchema {
        partition: attribute(&table.partition_key),
        sort: table.sort_key.as_ref().map(attribute),
    }
}
