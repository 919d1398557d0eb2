//! The built-in sample, for a first look at the simulator.

use super::{Age, BucketSeed, GenerateSeed, KeySeed, Seed, TableSeed};

fn days(count: i64) -> Age {
    Age(time::Duration::days(count))
}

fn key(name: &str) -> KeySeed {
    KeySeed {
        name: name.to_owned(),
        kind: "S".to_owned(),
    }
}

impl Seed {
    /// A bucket, a table of over a thousand orders with history, one without backups, an empty one,
    /// and one in Europe.
    #[must_use]
    pub fn sample() -> Self {
        let orders = TableSeed {
            partition_key: key("CustomerId"),
            sort_key: Some(key("OrderId")),
            age: days(12),
            recovery_age: Some(days(10)),
            generate: Some(GenerateSeed {
                count: 1_200,
                change_every: Some(6),
            }),
            ..TableSeed::new("Orders")
        };
        let no_backups = TableSeed {
            age: days(12),
            generate: Some(GenerateSeed {
                count: 20,
                change_every: None,
            }),
            ..TableSeed::new("NoBackups")
        };
        let empty = TableSeed {
            age: days(12),
            recovery_age: Some(days(10)),
            ..TableSeed::new("Empty")
        };
        let europe = TableSeed {
            region: Some("eu-west-1".to_owned()),
            age: days(12),
            recovery_age: Some(days(10)),
            generate: Some(GenerateSeed {
                count: 200,
                change_every: Some(5),
            }),
            ..TableSeed::new("OrdersEurope")
        };
        Self {
            buckets: vec![BucketSeed::new("tableferry-exports")],
            kms_keys: vec![
                "arn:aws:kms:us-east-1:123456789012:key/0f6e1c52-6d2b-4a0e-9a5f-3d8a3c1b7e42"
                    .to_owned(),
            ],
            tables: vec![orders, no_backups, empty, europe],
        }
    }
}
