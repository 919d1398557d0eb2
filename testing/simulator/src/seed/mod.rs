//! The initial contents of a simulator: tables with history, buckets and keys, from a file or the
//! built-in sample.

mod age;
mod apply;
mod generate;
mod sample;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use age::{Age, BadAge};
pub use apply::SeedError;
pub(crate) use apply::{add_bucket, add_table, apply};

/// Tables, buckets and KMS keys to start with. Existing ones are not changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    pub buckets: Vec<BucketSeed>,
    /// ARNs of existing KMS keys.
    pub kms_keys: Vec<String>,
    pub tables: Vec<TableSeed>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketSeed {
    pub name: String,
    /// The owner's account; the default account if absent.
    #[serde(default)]
    pub owner: Option<String>,
    /// The region; us-east-1 if absent.
    #[serde(default)]
    pub region: Option<String>,
    /// The bucket's policy denies exports to put objects.
    #[serde(default)]
    pub deny_exports: bool,
}

impl BucketSeed {
    /// A bucket of the default account in us-east-1.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSeed {
    pub name: String,
    /// The account; the default account if absent.
    #[serde(default)]
    pub account: Option<String>,
    /// The region; us-east-1 if absent.
    #[serde(default)]
    pub region: Option<String>,
    pub partition_key: KeySeed,
    #[serde(default)]
    pub sort_key: Option<KeySeed>,
    /// `PAY_PER_REQUEST` (the default) or `PROVISIONED`.
    #[serde(default)]
    pub billing: Option<String>,
    /// The table's age; new if absent.
    #[serde(default)]
    pub age: Age,
    /// How long ago point-in-time recovery was enabled; disabled if absent.
    #[serde(default)]
    pub recovery_age: Option<Age>,
    /// Items in DynamoDB JSON, written when the table was created.
    #[serde(default)]
    pub items: Vec<Map<String, Value>>,
    /// Writes and deletes at specific times.
    #[serde(default)]
    pub history: Vec<WriteSeed>,
    /// Generated items of every attribute type, written over the table's age.
    #[serde(default)]
    pub generate: Option<GenerateSeed>,
}

impl TableSeed {
    /// A new, empty table of the default account in us-east-1, without point-in-time recovery, with
    /// the partition key `pk`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            account: None,
            region: None,
            partition_key: KeySeed {
                name: "pk".to_owned(),
                kind: "S".to_owned(),
            },
            sort_key: None,
            billing: None,
            age: Age::default(),
            recovery_age: None,
            items: Vec::new(),
            history: Vec::new(),
            generate: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySeed {
    pub name: String,
    /// `S`, `N` or `B`.
    pub kind: String,
}

/// A write in a table's past: `put` an item or `delete` the item with a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteSeed {
    /// How long ago.
    pub age: Age,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<Map<String, Value>>,
    /// The key of the deleted item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateSeed {
    pub count: u32,
    /// One item in this many is changed later, and one in ten of those is deleted; none if absent.
    #[serde(default)]
    pub change_every: Option<u32>,
}
