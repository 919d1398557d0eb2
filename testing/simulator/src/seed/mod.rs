//! What a simulator starts with: tables with a past, buckets and keys, from a file or the built-in
//! sample.

mod age;
mod apply;
mod generate;
mod sample;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use age::{Age, BadAge};
pub use apply::SeedError;
pub(crate) use apply::{add_bucket, add_table, apply};

/// Tables, buckets and KMS keys to start with. What exists already is left alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Buckets.
    pub buckets: Vec<BucketSeed>,
    /// ARNs of KMS keys that exist.
    pub kms_keys: Vec<String>,
    /// Tables.
    pub tables: Vec<TableSeed>,
}

/// A bucket to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketSeed {
    /// Its name.
    pub name: String,
    /// The account that owns it; the default account when absent.
    #[serde(default)]
    pub owner: Option<String>,
    /// Its region; us-east-1 when absent.
    #[serde(default)]
    pub region: Option<String>,
    /// Its policy denies exports to put objects.
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

/// A table to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSeed {
    /// Its name.
    pub name: String,
    /// Its account; the default account when absent.
    #[serde(default)]
    pub account: Option<String>,
    /// Its region; us-east-1 when absent.
    #[serde(default)]
    pub region: Option<String>,
    /// Its partition key.
    pub partition_key: KeySeed,
    /// Its sort key, if it has one.
    #[serde(default)]
    pub sort_key: Option<KeySeed>,
    /// `PAY_PER_REQUEST` (when absent) or `PROVISIONED`.
    #[serde(default)]
    pub billing: Option<String>,
    /// How old it is; new when absent.
    #[serde(default)]
    pub age: Age,
    /// Since when point-in-time recovery is on; off when absent.
    #[serde(default)]
    pub recovery_age: Option<Age>,
    /// Items as literals, in DynamoDB JSON, written `age` ago when the table was made.
    #[serde(default)]
    pub items: Vec<Map<String, Value>>,
    /// Writes and deletes at times of their own.
    #[serde(default)]
    pub history: Vec<WriteSeed>,
    /// Items made up, of every attribute type, written over the table's age.
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

/// An attribute of a primary key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySeed {
    /// The attribute's name.
    pub name: String,
    /// `S`, `N` or `B`.
    pub kind: String,
}

/// A write in a table's past: `put` an item or `delete` the one of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteSeed {
    /// How long ago.
    pub age: Age,
    /// The item that was put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<Map<String, Value>>,
    /// The key of the item that was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Map<String, Value>>,
}

/// Items to make up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateSeed {
    /// How many.
    pub count: u32,
    /// Every so many items one is changed later on, and one of ten of those deleted; none when
    /// absent.
    #[serde(default)]
    pub change_every: Option<u32>,
}
