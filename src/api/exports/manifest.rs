//! `GET /v1/exports/{id}/manifest`.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};

use super::completed::{files_of, files_unreadable};
use crate::api::ApiState;
use crate::api::path::ExportPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::FilesProblems;
use crate::api::query::Query;
use crate::domain::aws::failure::AwsFailure;
use crate::domain::duration::parse_presign;
use crate::domain::export::output::md5_key;
use crate::export_reader::{ExportFiles, ReadError, SIDE_BY_SIDE};

/// The maximum number of files whose size is read for `size_bytes`, with one call per file.
const MAX_MEASURED: usize = 1000;

/// The contents of both manifests of an export.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportManifest {
    /// manifest-summary.json as AWS wrote it, with AWS's names, including fields that this service
    /// does not know.
    #[schema(schema_with = summary_schema)]
    pub summary: Map<String, Value>,
    /// The number of data files that manifest-files.json names.
    pub files_count: u64,
    /// The total number of items in these files.
    pub item_count: u64,
    /// The total size of these files, compressed; null if there are more than 1,000 files, or if
    /// one is missing.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// The manifest objects in S3: manifest-summary.json and manifest-files.json, each with the
    /// object that holds its MD5 sum.
    pub objects: Vec<ManifestObject>,
}

/// An object with any members.
pub(super) fn any_object() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
}

fn summary_schema() -> Schema {
    let about = "manifest-summary.json as AWS wrote it, with AWS's names, including fields that this service does not know.";
    any_object().description(Some(about)).into()
}

/// A manifest, or the object that holds its MD5 sum.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManifestObject {
    /// The key of the object in the export's bucket.
    #[schema(example = "daily/AWSDynamoDB/01795400426000-fa682feb/manifest-summary.json")]
    pub key: String,
    /// The ETag of the object in S3; null if it is missing.
    #[schema(required)]
    pub etag: Option<String>,
    /// The size of the object in S3; null if it is missing.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// A presigned URL, from which anyone can download the object; null unless `presign` was given.
    #[schema(required, format = "uri")]
    pub url: Option<String>,
}

/// Get the manifest of a COMPLETED export
///
/// Reads both manifests in S3. `GET /v1/exports/{id}/files` lists every data file.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/manifest",
    tag = "Files",
    security(("bearer" = ["exports:read"])),
    extensions(("x-asks-aws" = json!(true))),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("presign" = Option<String>, Query, nullable = false, description = "Add to each manifest a URL that is valid for this time, from 5s to 12h", example = "15m", pattern = "^([0-9]{1,7}(h|m|s|ms))+$", max_length = 64),
    ),
    responses((status = 200, description = "The contents of both manifests", body = ExportManifest), FilesProblems)
)]
pub async fn get_export_manifest(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    RawQuery(query): RawQuery,
) -> Result<Json<ExportManifest>, Problem> {
    let mut query = Query::from_raw(query.as_deref());
    let presign = query.one("presign", parse_presign);
    query.finish()?;
    let files = files_of(&state, id).await?;
    let summary = files.summary().await?;
    let files_key = files.output.files_key(summary.files_key());
    let mut lines = files.lines(&files_key, 0).await?;
    let (mut files_count, mut item_count, mut keys) = (0, 0_u64, Vec::new());
    while let Some(line) = lines.next().await? {
        let file = line.file.map_err(|what| ReadError::Malformed {
            key: files_key.clone(),
            what,
        })?;
        files_count += 1;
        item_count = item_count.saturating_add(file.item_count.unwrap_or_default());
        if keys.len() <= MAX_MEASURED {
            keys.push(files.output.whole_key(&file.named_key));
        }
    }
    let size_bytes = if keys.len() > MAX_MEASURED {
        None
    } else {
        measure(&files, keys).await?
    };
    let objects = objects(&files, &files_key, presign).await?;
    Ok(Json(ExportManifest {
        summary: summary.as_json().clone(),
        files_count,
        item_count,
        size_bytes,
        objects,
    }))
}

/// Both manifests and their sums.
async fn objects(
    files: &ExportFiles,
    files_key: &str,
    presign: Option<Duration>,
) -> Result<Vec<ManifestObject>, Problem> {
    let summary_key = &files.output.summary_key;
    let keys = [
        summary_key.clone(),
        md5_key(summary_key),
        files_key.to_owned(),
        md5_key(files_key),
    ];
    let views = stream::iter(keys).map(|key| async move {
        let facts = files.head(&key).await?;
        let url = match presign {
            Some(valid_for) => Some(files.presign(&key, valid_for).await?),
            None => None,
        };
        let (size_bytes, etag) =
            facts.map_or((None, None), |facts| (Some(facts.size_bytes), facts.etag));
        Ok::<_, AwsFailure>(ManifestObject {
            key,
            etag,
            size_bytes,
            url,
        })
    });
    views
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await
        .map_err(|failure| files_unreadable(&failure))
}

/// The total size of these files; `None` if one is missing.
async fn measure(files: &ExportFiles, keys: Vec<String>) -> Result<Option<u64>, Problem> {
    let heads = stream::iter(keys)
        .map(|key| async move { files.head(&key).await })
        .buffer_unordered(SIDE_BY_SIDE);
    let sizes: Vec<Option<u64>> = heads
        .map_ok(|facts| facts.map(|facts| facts.size_bytes))
        .try_collect()
        .await
        .map_err(|failure| files_unreadable(&failure))?;
    Ok(sizes.into_iter().sum())
}
