//! `GET /v1/exports/{id}/items`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, Schema};

use super::IdPath;
use super::completed::files_of;
use super::manifest::any_object;
use crate::api::ApiState;
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::invalid::Invalid;
use crate::export_files::attribute::{plain_record, without_wrapper};
use crate::export_reader::ReadError;

/// How much text of items is read: items may have 400 KB each.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// How many files are opened that do not say how many items they have.
const MOST_OPENED: usize = 100;

/// Some items of an export.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemList {
    /// Items of a full export; of an incremental one, changes with `Keys`, `NewImage`, `OldImage`
    /// and `Metadata`.
    #[schema(schema_with = any_objects)]
    pub items: Vec<Value>,
}

/// A list of objects with any members.
fn any_objects() -> Schema {
    let about = "Items of a full export; of an incremental one, changes with `Keys`, `NewImage`, `OldImage` and `Metadata`.";
    ArrayBuilder::new()
        .items(any_object())
        .description(Some(about))
        .into()
}

/// The form in which items are given.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemFormat {
    /// With the type tags of DynamoDB JSON.
    DynamodbJson,
    /// Plain JSON.
    Json,
}

problems! {
    /// What can go wrong.
    ItemsProblems: InvalidParameter, NotFound, NotCompleted, RefusedByAws, OutputUnreadable, Internal, Unavailable, AwsUnavailable
}

/// Look at some items of a COMPLETED export
///
/// The first ones of its files, whatever their order; no more is read than that takes. Items of ION
/// exports are given in the same form as those of DYNAMODB_JSON. In plain JSON a whole number of at
/// most 2^53 in magnitude is an integer, a fraction of at most 15 significant digits a number, and
/// any other number a string of all its digits; binary values are base64, and sets are arrays.
/// Fewer items than asked for come when the export has no more, or when they are very large.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/items",
    tag = "Files",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("limit" = Option<i64>, Query, nullable = false, description = "How many, 20 unless said", minimum = 1, maximum = 100),
        ("format" = Option<ItemFormat>, Query, nullable = false, description = "`dynamodb_json`, the default, keeps type tags"),
    ),
    responses((status = 200, description = "Some items", body = ItemList), ItemsProblems)
)]
pub async fn list_export_items(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    RawQuery(query): RawQuery,
) -> Result<Json<ItemList>, Problem> {
    let mut query = Query::of(query.as_deref());
    let limit = query.one("limit", |text| match text.parse() {
        Ok(limit @ 1..=100_usize) => Ok(limit),
        _ => Err(Invalid::new("must be a whole number from 1 to 100")),
    });
    let format = query.one("format", |text| match text {
        "dynamodb_json" => Ok(ItemFormat::DynamodbJson),
        "json" => Ok(ItemFormat::Json),
        _ => Err(Invalid::new("must be dynamodb_json or json")),
    });
    query.finish()?;
    let records = read(&state, id, limit.unwrap_or(20)).await?;
    let plain = matches!(format, Some(ItemFormat::Json));
    let items = records
        .into_iter()
        .map(|record| if plain { plain_record(&record) } else { record });
    Ok(Json(ItemList {
        items: items.map(without_wrapper).collect(),
    }))
}

async fn read(
    state: &ApiState,
    id: crate::domain::ids::ExportId,
    limit: usize,
) -> Result<Vec<Value>, Problem> {
    let files = files_of(state, id).await?;
    let summary = files.summary().await?;
    let files_key = files.output.files_key(summary.files_key());
    let mut lines = files.lines(&files_key, 0).await?;
    let (mut records, mut bytes, mut opened) = (Vec::new(), 0, 0);
    while records.len() < limit && bytes < MOST_BYTES && opened < MOST_OPENED {
        let Some(line) = lines.next().await? else {
            break;
        };
        let file = line.file.map_err(|what| ReadError::Malformed {
            key: files_key.clone(),
            what,
        })?;
        if file.item_count == Some(0) {
            continue;
        }
        opened += 1;
        let (more, length) = files
            .preview(
                &files.output.whole_key(&file.named_key),
                limit - records.len(),
                MOST_BYTES - bytes,
            )
            .await?;
        records.extend(more);
        bytes += length;
    }
    Ok(records)
}
