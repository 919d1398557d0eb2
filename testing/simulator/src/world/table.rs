//! A table: its schema, its backup setting and every version of every item with its write time.

use std::collections::BTreeMap;
use std::sync::Arc;

use dynamodb_expressions::attribute_bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::clock::micros;
use crate::item::{Item, item_bytes};

/// How far the latest restorable time of a table with backups is behind now.
pub(crate) const RESTORABLE_LAG: Duration = Duration::minutes(5);

/// The maximum sizes of the two parts of a key.
const MAX_PARTITION_KEY_BYTES: u64 = 2_048;
const MAX_SORT_KEY_BYTES: u64 = 1_024;
/// The capacity and size of one partition.
const PARTITION_READ_UNITS: f64 = 3_000.0;
const PARTITION_WRITE_UNITS: f64 = 1_000.0;
const PARTITION_BYTES: u64 = 10_000_000_000;
/// A new on-demand table serves 12,000 reads and 4,000 writes per second.
const PARTITIONS_ON_DEMAND: u64 = 4;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyAttribute {
    pub(crate) name: String,
    /// `S`, `N` or `B`.
    pub(crate) kind: String,
}

/// Point-in-time recovery, if enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PointInTimeRecovery {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) enabled_at: OffsetDateTime,
    pub(crate) recovery_days: i64,
}

impl PointInTimeRecovery {
    pub(crate) fn earliest(&self, now: OffsetDateTime) -> OffsetDateTime {
        self.enabled_at
            .max(now - Duration::days(self.recovery_days))
    }

    pub(crate) fn latest(&self, now: OffsetDateTime) -> OffsetDateTime {
        self.enabled_at.max(now - RESTORABLE_LAG)
    }
}

/// An item's state from a time on; no image once it is deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) at_micros: i64,
    pub(crate) image: Option<Arc<Item>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) region: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    pub(crate) partition_key: KeyAttribute,
    pub(crate) sort_key: Option<KeyAttribute>,
    /// Members of the description that are stored and returned but have no effect: indexes,
    /// billing, throughput.
    pub(crate) description: serde_json::Map<String, Value>,
    pub(crate) recovery: Option<PointInTimeRecovery>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    /// The attribute with an item's expiry, while time to live is enabled. No item ever expires.
    #[serde(default)]
    pub(crate) time_to_live: Option<String>,
    /// A deleted table is kept only while an export of it is in progress.
    pub(crate) deleted: bool,
    /// By primary key, oldest version first.
    items: BTreeMap<String, Vec<Version>>,
    live_items: u64,
    live_bytes: u64,
}

/// The parts of a table that its creator chooses.
pub(crate) struct NewTable {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) partition_key: KeyAttribute,
    pub(crate) sort_key: Option<KeyAttribute>,
    pub(crate) description: serde_json::Map<String, Value>,
}

impl Table {
    pub(crate) fn new(new: NewTable) -> Self {
        Self {
            id: new.id,
            arn: new.arn,
            name: new.name,
            account: new.account,
            region: new.region,
            created_at: new.created_at,
            partition_key: new.partition_key,
            sort_key: new.sort_key,
            description: new.description,
            recovery: None,
            tags: BTreeMap::new(),
            time_to_live: None,
            deleted: false,
            items: BTreeMap::new(),
            live_items: 0,
            live_bytes: 0,
        }
    }

    pub(crate) fn item_count(&self) -> u64 {
        self.live_items
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// The key of an item as one text. The error is AWS's message.
    pub(crate) fn key_of(&self, item: &Item) -> Result<String, String> {
        let mut parts = vec![self.key_part(item, &self.partition_key)?];
        if let Some(sort_key) = &self.sort_key {
            parts.push(self.key_part(item, sort_key)?);
        }
        Ok(Value::Array(parts).to_string())
    }

    /// Like [`Table::key_of`], for input that must be a key and nothing else.
    pub(crate) fn key_only(&self, key: &Item) -> Result<String, String> {
        if key.len() != 1 + usize::from(self.sort_key.is_some()) {
            return Err("The provided key element does not match the schema".to_owned());
        }
        self.key_of(key)
            .map_err(|_| "The provided key element does not match the schema".to_owned())
    }

    fn key_part(&self, item: &Item, part: &KeyAttribute) -> Result<Value, String> {
        let KeyAttribute { name, kind } = part;
        let value = item.get(name).ok_or_else(|| {
            format!("One or more parameter values were invalid: Missing the key {name} in the item")
        })?;
        let actual = value
            .as_object()
            .and_then(|typed| typed.keys().next())
            .cloned()
            .unwrap_or_default();
        if &actual != kind {
            return Err(format!(
                "One or more parameter values were invalid: Type mismatch for key {name} expected: {kind} actual: {actual}"
            ));
        }
        let (size, most, sentence) = if name == &self.partition_key.name {
            (
                attribute_bytes(value),
                MAX_PARTITION_KEY_BYTES,
                "Size of hashkey has exceeded the maximum size limit of2048 bytes",
            )
        } else {
            (
                attribute_bytes(value),
                MAX_SORT_KEY_BYTES,
                "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
            )
        };
        if size > most {
            return Err(format!(
                "One or more parameter values were invalid: {sentence}"
            ));
        }
        if value[kind].as_str() == Some("") {
            return Err(format!(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: {name}"
            ));
        }
        Ok(value.clone())
    }

    /// The attributes that form an item's key.
    pub(crate) fn key_attributes(&self, item: &Item) -> Item {
        let names = std::iter::once(&self.partition_key)
            .chain(&self.sort_key)
            .map(|part| &part.name);
        names
            .filter_map(|name| Some((name.clone(), item.get(name)?.clone())))
            .collect()
    }

    pub(crate) fn is_on_demand(&self) -> bool {
        self.description
            .get("BillingModeSummary")
            .is_some_and(|summary| summary["BillingMode"] == "PAY_PER_REQUEST")
    }

    /// The number of partitions that AWS gives a table of this capacity and size, by its published
    /// rules.
    pub(crate) fn partitions(&self) -> u32 {
        let by_size = self.live_bytes.div_ceil(PARTITION_BYTES);
        let by_capacity = if self.is_on_demand() {
            PARTITIONS_ON_DEMAND
        } else {
            let throughput = self.description.get("ProvisionedThroughput");
            let units = |name: &str| {
                throughput
                    .and_then(|throughput| throughput[name].as_f64())
                    .unwrap_or_default()
            };
            let partitions = units("ReadCapacityUnits") / PARTITION_READ_UNITS
                + units("WriteCapacityUnits") / PARTITION_WRITE_UNITS;
            // One machine cannot simulate more than a thousand partitions.
            (1..1_000)
                .find(|count: &u32| f64::from(*count) >= partitions)
                .map_or(1_000, u64::from)
        };
        u32::try_from(by_size.max(by_capacity).max(1)).unwrap_or(u32::MAX)
    }

    /// The partition of an item.
    pub(crate) fn partition_of(&self, item: &Item, partitions: u32) -> usize {
        let key = item
            .get(&self.partition_key.name)
            .map(Value::to_string)
            .unwrap_or_default();
        usize::try_from(crc32fast::hash(key.as_bytes()) % partitions.max(1)).unwrap_or(0)
    }

    /// Writes or deletes an item at a time; returns the version before that time.
    pub(crate) fn write(
        &mut self,
        key: String,
        image: Option<Arc<Item>>,
        at: OffsetDateTime,
    ) -> Option<Arc<Item>> {
        let at_micros = micros(at);
        let versions = self.items.entry(key).or_default();
        let place = versions.partition_point(|version| version.at_micros <= at_micros);
        let before = place
            .checked_sub(1)
            .and_then(|last| versions[last].image.clone());
        if place == versions.len() {
            if let Some(old) = &before {
                self.live_items -= 1;
                self.live_bytes -= item_bytes(old);
            }
            if let Some(new) = &image {
                self.live_items += 1;
                self.live_bytes += item_bytes(new);
            }
        }
        if before.is_some() || image.is_some() {
            versions.insert(place, Version { at_micros, image });
        }
        before
    }

    /// The current item.
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Item>> {
        self.items.get(key)?.last()?.image.as_ref()
    }

    /// Every current item in key order, after a key if one is given.
    pub(crate) fn scan_after<'a>(
        &'a self,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<Item>)> + use<'a> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, |after| Excluded(after.to_owned()));
        self.items
            .range((from, Unbounded))
            .filter_map(|(key, versions)| Some((key.as_str(), versions.last()?.image.as_ref()?)))
    }

    pub(crate) fn histories(&self) -> impl Iterator<Item = &[Version]> {
        self.items.values().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        let partition_key = KeyAttribute {
            name: "pk".to_owned(),
            kind: "S".to_owned(),
        };
        Table::new(NewTable {
            id: String::new(),
            arn: String::new(),
            name: "Orders".to_owned(),
            account: String::new(),
            region: String::new(),
            created_at: OffsetDateTime::UNIX_EPOCH,
            partition_key,
            sort_key: None,
            description: serde_json::Map::new(),
        })
    }

    fn item(text: &str) -> Arc<Item> {
        Arc::new(
            json!({"pk": {"S": "a"}, "v": {"S": text}})
                .as_object()
                .cloned()
                .unwrap(),
        )
    }

    #[test]
    fn writes_keep_history_and_counts() {
        let mut table = table();
        let at = |seconds| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let key = table.key_of(&item("1")).unwrap();
        assert!(table.write(key.clone(), Some(item("1")), at(10)).is_none());
        assert_eq!(
            table.write(key.clone(), Some(item("22")), at(30)),
            Some(item("1"))
        );
        assert_eq!(table.item_count(), 1);
        assert_eq!(table.size_bytes(), item_bytes(&item("22")));
        // A write into the past changes history, not the current item.
        assert_eq!(
            table.write(key.clone(), Some(item("333")), at(20)),
            Some(item("1"))
        );
        assert_eq!(table.get(&key), Some(&item("22")));
        assert_eq!(table.write(key.clone(), None, at(40)), Some(item("22")));
        assert_eq!((table.item_count(), table.size_bytes()), (0, 0));
        assert_eq!(table.histories().next().unwrap().len(), 4);
    }

    #[test]
    fn keys_must_fit_the_schema() {
        let table = table();
        let bad = json!({"pk": {"N": "1"}});
        assert!(
            table
                .key_of(bad.as_object().unwrap())
                .unwrap_err()
                .contains("Type mismatch for key pk")
        );
        assert!(
            table
                .key_of(&Item::new())
                .unwrap_err()
                .contains("Missing the key pk")
        );
    }
}
