//! `GET /v1/exports/{id}/items`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, Schema};

use super::completed::files_of;
use super::manifest::any_object;
use crate::api::ApiState;
use crate::api::path::ExportPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::FilesProblems;
use crate::api::query::Query;
use crate::domain::invalid::Invalid;
use crate::export_files::attribute::{plain_record, without_wrapper};
use crate::export_reader::ReadError;

/// The maximum number of bytes of items that are read; an item may have 400 KB.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The maximum number of files that are opened.
const MAX_OPENED: usize = 100;

/// Some of the items of an export.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemList {
    /// The items of a full export, or the changes of an incremental export with `Keys`, `NewImage`,
    /// `OldImage` and `Metadata`.
    #[schema(schema_with = any_objects)]
    pub items: Vec<Value>,
}

/// A list of objects with any members.
fn any_objects() -> Schema {
    let about = "The items of a full export, or the changes of an incremental export with `Keys`, `NewImage`, `OldImage` and `Metadata`.";
    ArrayBuilder::new()
        .items(any_object())
        .description(Some(about))
        .into()
}

/// The format of the items in the response.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemFormat {
    /// With the type tags of DynamoDB JSON.
    DynamodbJson,
    /// Plain JSON.
    Json,
}

/// Preview items of a COMPLETED export
///
/// Returns the first items of the export's files, in no particular order. Items of ION exports have
/// the same format as those of DYNAMODB_JSON exports. In plain JSON, a whole number up to 2^53 in
/// magnitude is an integer, a fraction of at most 15 significant digits is a number, and any other
/// number is a string with all of its digits. Binary values are base64, and sets are arrays. The
/// response has fewer items than `limit` if the export has no more, or if they are very large.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/items",
    tag = "Files",
    security(("bearer" = ["exports:read"])),
    extensions(("x-asks-aws" = json!(true))),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("limit" = Option<i64>, Query, nullable = false, description = "Maximum number of items. Default: 20", minimum = 1, maximum = 100),
        ("format" = Option<ItemFormat>, Query, nullable = false, description = "`dynamodb_json` (the default) keeps type tags"),
    ),
    responses((status = 200, description = "The items", body = ItemList), FilesProblems)
)]
pub async fn list_export_items(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    RawQuery(query): RawQuery,
) -> Result<Json<ItemList>, Problem> {
    let mut query = Query::from_raw(query.as_deref());
    let limit = query.number("limit", 1..=100);
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
    while records.len() < limit && bytes < MAX_BYTES && opened < MAX_OPENED {
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
                MAX_BYTES - bytes,
            )
            .await?;
        records.extend(more);
        bytes += length;
    }
    Ok(records)
}
