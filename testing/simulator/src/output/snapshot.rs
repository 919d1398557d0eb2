//! The contents of an export: the records of every partition, taken from a table's history.
//!
//! In a full export, a filter is evaluated against the item at the export's time. In an incremental
//! export it is evaluated against the latest image of a changed item, or the old image of a deleted
//! one ("Filtering a table export"). A key condition limits what is read and therefore billed; a
//! filter expression and a projection only limit what is written.

use std::sync::Arc;

use dynamodb_expressions::{NotAValue, Specification};

use crate::clock::micros;
use crate::item::{Item, item_bytes};
use crate::world::{Scope, Table, Version};

/// The minimum that an incremental export is billed for.
const INCREMENTAL_FLOOR_BYTES: u64 = 10_000_000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// An item of a full export.
    Item(Arc<Item>),
    /// The change of an item within the window.
    Change {
        write_micros: i64,
        keys: Item,
        new_image: Option<Arc<Item>>,
        old_image: Option<Arc<Item>>,
    },
}

/// The records of an export, by partition, and the size that AWS bills for them.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) partitions: Vec<Vec<Record>>,
    pub(crate) billed_size_bytes: u64,
}

impl Snapshot {
    /// Collects an export's records from a table. Images are shared, not copied, unless they are
    /// projected.
    pub(crate) fn take(
        table: &Table,
        scope: Scope,
        partitions: u32,
        filter: Option<&Specification>,
    ) -> Result<Self, NotAValue> {
        let mut files = vec![Vec::new(); usize::try_from(partitions).unwrap_or(1)];
        let mut bytes = 0;
        for history in table.histories() {
            let Some((record, size, of)) = (match scope {
                Scope::Full { at } => full(history, micros(at)),
                Scope::Incremental {
                    from,
                    to,
                    old_images,
                } => change(table, history, micros(from), micros(to), old_images),
            }) else {
                continue;
            };
            if !filter.map_or(Ok(true), |filter| filter.reads(&of))? {
                continue;
            }
            bytes += size;
            if filter.map_or(Ok(true), |filter| filter.keeps(&of))? {
                files[table.partition_of(&of, partitions)].push(projected(record, filter));
            }
        }
        let billed_size_bytes = match scope {
            Scope::Full { .. } => bytes,
            Scope::Incremental { .. } => bytes.max(INCREMENTAL_FLOOR_BYTES),
        };
        Ok(Self {
            partitions: files,
            billed_size_bytes,
        })
    }
}

/// A record with only the requested attributes. A change keeps its keys.
fn projected(record: Record, filter: Option<&Specification>) -> Record {
    let Some(projection) = filter.and_then(Specification::projection) else {
        return record;
    };
    let apply = |image: Arc<Item>| Arc::new(projection.apply(&image));
    match record {
        Record::Item(item) => Record::Item(apply(item)),
        Record::Change {
            write_micros,
            keys,
            new_image,
            old_image,
        } => Record::Change {
            write_micros,
            keys,
            new_image: new_image.map(apply),
            old_image: old_image.map(apply),
        },
    }
}

type Found = Option<(Record, u64, Arc<Item>)>;

fn full(history: &[Version], at_micros: i64) -> Found {
    let item = image_before(history, at_micros.saturating_add(1))?;
    Some((
        Record::Item(Arc::clone(item)),
        item_bytes(item),
        Arc::clone(item),
    ))
}

/// An item's change between `from` (inclusive) and `to` (exclusive); `None` if it did not change,
/// or was created and deleted within the window.
fn change(table: &Table, history: &[Version], from: i64, to: i64, old_images: bool) -> Found {
    let last = history
        .iter()
        .rev()
        .find(|version| version.at_micros < to)
        .filter(|last| last.at_micros >= from)?;
    let old = image_before(history, from);
    let of = last.image.as_ref().or(old)?;
    let record = Record::Change {
        write_micros: last.at_micros,
        keys: table.key_attributes(of),
        new_image: last.image.clone(),
        old_image: old.filter(|_| old_images).cloned(),
    };
    let size = last.image.as_deref().map_or(0, item_bytes)
        + old.filter(|_| old_images).map_or(0, |old| item_bytes(old));
    Some((record, size, Arc::clone(of)))
}

fn image_before(history: &[Version], micros: i64) -> Option<&Arc<Item>> {
    let place = history.partition_point(|version| version.at_micros < micros);
    history.get(place.checked_sub(1)?)?.image.as_ref()
}
