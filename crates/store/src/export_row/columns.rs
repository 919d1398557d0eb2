//! Makes SQL and JSON from the list of columns in [`export_columns`](super::export_columns). The
//! macros of sqlx take string literals only, so the lists in statements are literals, joined by
//! `+`.

use std::error::Error;

use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::ExportRow;
use crate::StoreError;

/// Declares [`ExportRow`] and how it is written as JSON.
macro_rules! declare_row {
    (
        ()
        [$($fixed:ident $fixed_sql:literal $fixed_type:ty,)*]
        [$($changing:ident $changing_sql:literal $changing_type:ty,)*]
    ) => {
        /// A row of `exports`, without the columns that only statements use, and with what belongs
        /// to it in other rows.
        #[derive(Debug)]
        pub(crate) struct ExportRow {
            $(pub(crate) $fixed: $fixed_type,)*
            $(pub(crate) $changing: $changing_type,)*
            /// The row of `export_verifications`. In a join of the two, sqlx would take every
            /// column for nullable.
            pub(crate) verification: Option<StoredVerification>,
            /// The export that retries this one.
            pub(crate) retried_by: Option<Uuid>,
        }

        impl ExportRow {
            /// The columns that never change.
            pub(super) fn write_fixed<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $(self.$fixed.write(stringify!($fixed), map)?;)*
                Ok(())
            }

            /// The columns that an outcome may change.
            pub(super) fn write_changing<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $(self.$changing.write(stringify!($changing), map)?;)*
                Ok(())
            }
        }
    };
}
pub(super) use declare_row;

/// `SELECT` of every column of [`ExportRow`], followed by the rest of the query and its arguments.
macro_rules! select_exports {
    ($($query:tt)*) => {
        crate::export_row::export_columns!([crate::export_row::select_query] ($($query)*))
    };
}
pub(crate) use select_exports;

macro_rules! select_query {
    (
        ($rest:literal $(, $argument:expr)* $(,)?)
        [$first:ident $first_sql:literal $first_type:ty, $($fixed:ident $fixed_sql:literal $fixed_type:ty,)*]
        [$($changing:ident $changing_sql:literal $changing_type:ty,)*]
    ) => {
        sqlx::query_as!(
            crate::export_row::ExportRow,
            "SELECT e." + $first_sql $(+ ", e." + $fixed_sql)* $(+ ", e." + $changing_sql)*
                + r#",
                (SELECT to_jsonb(v) FROM export_verifications v WHERE v.export_id = e.id)
                    AS "verification: crate::verification_row::StoredVerification",
                (SELECT r.id FROM exports r WHERE r.retry_of = e.id) AS retried_by
            FROM exports e "# + $rest
            $(, $argument)*
        )
    };
}
pub(crate) use select_query;

/// All columns of a row as a JSON object.
impl Serialize for ExportRow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write_fixed(&mut map)?;
        self.write_changing(&mut map)?;
        map.end()
    }
}

/// The columns of a row that an outcome may change, as a JSON object.
#[derive(Debug)]
pub(crate) struct ChangingColumns(pub(crate) ExportRow);

impl Serialize for ChangingColumns {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.write_changing(&mut map)?;
        map.end()
    }
}

/// A value in the JSON of a row. Nulls are left out: Postgres reads a missing value as null.
pub(super) trait ColumnValue {
    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error>;
}

macro_rules! as_serde_writes {
    ($($type:ty),*) => {
        $(impl ColumnValue for $type {
            fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
                map.serialize_entry(name, self)
            }
        })*
    };
}
as_serde_writes!(bool, i32, i64, f64, String, Uuid, Value);

impl ColumnValue for OffsetDateTime {
    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        #[derive(Serialize)]
        #[serde(transparent)]
        struct Rfc3339(#[serde(with = "time::serde::rfc3339")] OffsetDateTime);
        map.serialize_entry(name, &Rfc3339(*self))
    }
}

impl<T: ColumnValue> ColumnValue for Option<T> {
    fn write<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |value| value.write(name, map))
    }
}

/// Rows as JSON, the form in which statements read them.
pub(crate) fn as_json(rows: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| {
        let error: Box<dyn Error + Send + Sync> = error.into();
        StoreError::Database(sqlx::Error::Encode(error))
    })
}
