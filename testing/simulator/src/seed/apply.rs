//! Applies a seed to a world.

use serde_json::{Map, json};

use super::generate::generate;
use super::{BucketSeed, KeySeed, Seed, TableSeed, WriteSeed};
use crate::arn::is_table_name;
use crate::caller::DEFAULT_REGION;
use crate::dynamodb::{MAX_RECOVERY_DAYS, Place, new_table, write_item};
use crate::item::normalise;
use crate::s3::{BucketInfo, StoreError};
use crate::world::{KeyAttribute, PointInTimeRecovery, World};

/// Why a seed is invalid.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("table {table}: {reason}")]
    Table { table: String, reason: String },
    #[error("bucket {bucket}: {reason}")]
    Bucket { bucket: String, reason: StoreError },
}

/// Adds what does not exist yet.
pub(crate) fn apply(world: &World, seed: &Seed) -> Result<(), SeedError> {
    for bucket in &seed.buckets {
        match add_bucket(world, bucket.clone()) {
            Ok(()) | Err(StoreError::BucketExists(_)) => {}
            Err(reason) => {
                return Err(SeedError::Bucket {
                    bucket: bucket.name.clone(),
                    reason,
                });
            }
        }
    }
    world
        .change()
        .kms_keys
        .extend(seed.kms_keys.iter().cloned());
    for table in &seed.tables {
        let (account, region) = place_of(world, table);
        if world
            .state()
            .table(&account, &region, &table.name)
            .is_none()
        {
            add_table(world, table)?;
        }
    }
    Ok(())
}

pub(crate) fn add_bucket(world: &World, bucket: BucketSeed) -> Result<(), StoreError> {
    let info = BucketInfo {
        owner: bucket.owner.unwrap_or_else(|| world.account_id.clone()),
        region: bucket.region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
        deny_exports: bucket.deny_exports,
        created_at: world.clock.now(),
        tags: std::collections::BTreeMap::new(),
    };
    world.store.create_bucket(&bucket.name, info)
}

fn place_of(world: &World, seed: &TableSeed) -> (String, String) {
    let account = seed
        .account
        .clone()
        .unwrap_or_else(|| world.account_id.clone());
    (
        account,
        seed.region
            .clone()
            .unwrap_or_else(|| DEFAULT_REGION.to_owned()),
    )
}

pub(crate) fn add_table(world: &World, seed: &TableSeed) -> Result<(), SeedError> {
    let bad = |reason: String| SeedError::Table {
        table: seed.name.clone(),
        reason,
    };
    let key = |key: &KeySeed| {
        let known = ["S", "N", "B"].contains(&key.kind.as_str());
        let attribute = KeyAttribute {
            name: key.name.clone(),
            kind: key.kind.clone(),
        };
        if known {
            Ok(attribute)
        } else {
            Err(bad(format!("key {} is neither S, N nor B", key.name)))
        }
    };
    if !is_table_name(&seed.name) {
        return Err(bad("not a table's name".to_owned()));
    }
    let keys = (
        key(&seed.partition_key)?,
        seed.sort_key.as_ref().map(key).transpose()?,
    );
    let now = world.clock.now();
    let ago = |age: super::Age| now.saturating_sub(age.0);
    let writes = writes_of(seed);
    let (account, region) = place_of(world, seed);
    let mut state = world.change();
    if state.table(&account, &region, &seed.name).is_some() {
        return Err(bad("exists already".to_owned()));
    }
    let place = Place {
        account,
        region,
        name: seed.name.clone(),
    };
    let mut table = new_table(&mut state, place, ago(seed.age), keys, description(seed));
    table.recovery = seed.recovery_age.map(|age| PointInTimeRecovery {
        enabled_at: ago(age),
        recovery_days: MAX_RECOVERY_DAYS,
    });
    for write in writes {
        let at = ago(write.age);
        let written = match (&write.put, &write.delete) {
            (Some(item), None) => {
                write_item(&mut table, Some(normalise(item).map_err(&bad)?), None, at)
            }
            (None, Some(key)) => {
                write_item(&mut table, None, Some(&normalise(key).map_err(&bad)?), at)
            }
            _ => return Err(bad("a write has either put or delete".to_owned())),
        };
        written.map_err(|refused| bad(refused.body().to_string()))?;
    }
    state.add_table(table);
    Ok(())
}

fn writes_of(seed: &TableSeed) -> Vec<WriteSeed> {
    let literal = seed.items.iter().map(|item| WriteSeed {
        age: seed.age,
        put: Some(item.clone()),
        delete: None,
    });
    let generated = seed
        .generate
        .iter()
        .flat_map(|wanted| generate(seed, wanted));
    let mut writes: Vec<WriteSeed> = literal
        .chain(seed.history.iter().cloned())
        .chain(generated)
        .collect();
    // Oldest first, so that each write sees the versions before it.
    writes.sort_by_key(|write| std::cmp::Reverse(write.age));
    writes
}

fn description(seed: &TableSeed) -> Map<String, serde_json::Value> {
    let keys = std::iter::once(&seed.partition_key).chain(&seed.sort_key);
    let definitions: Vec<_> = keys
        .map(|key| json!({"AttributeName": key.name, "AttributeType": key.kind}))
        .collect();
    let provisioned = seed.billing.as_deref() == Some("PROVISIONED");
    let units = if provisioned { 5 } else { 0 };
    let mut description = Map::new();
    description.insert("AttributeDefinitions".to_owned(), json!(definitions));
    description.insert(
        "ProvisionedThroughput".to_owned(),
        json!({"ReadCapacityUnits": units, "WriteCapacityUnits": units, "NumberOfDecreasesToday": 0}),
    );
    if !provisioned {
        description.insert(
            "BillingModeSummary".to_owned(),
            json!({"BillingMode": "PAY_PER_REQUEST"}),
        );
    }
    description
}
