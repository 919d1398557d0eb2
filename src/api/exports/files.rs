//! `GET /v1/exports/{id}/files`.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use utoipa::ToSchema;

use super::completed::{files_of, files_unreadable};
use crate::api::ApiState;
use crate::api::page_token;
use crate::api::path::ExportPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::FilesProblems;
use crate::api::query::Query;
use crate::domain::aws::failure::AwsFailure;
use crate::domain::duration::parse_presign;
use crate::export_files::manifest::FileLine;
use crate::export_reader::{ExportFiles, ReadError, SIDE_BY_SIDE};

/// One page of an export's data files, in the order of its manifest.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileList {
    /// The files of this page.
    pub files: Vec<FileView>,
    /// Send it as `page_token` to get the next page; null on the last page.
    #[schema(required)]
    pub next_page_token: Option<String>,
}

/// A data file of an export.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExportFile)]
pub struct FileView {
    /// The key of the file in the export's bucket.
    #[schema(
        example = "daily/AWSDynamoDB/01795400426000-fa682feb/data/jsd2fwpcjvjavtmaxvjtmjyqeq.json.gz"
    )]
    pub key: String,
    /// The number of items in the file, according to the manifest.
    #[schema(required)]
    pub item_count: Option<u64>,
    /// The MD5 sum of the compressed file in base64, according to the manifest.
    #[schema(required, example = "sQMSpEILNgoQmarvDFonGQ==")]
    pub md5: Option<String>,
    /// The ETag of the file, according to the manifest.
    #[schema(required, example = "af83d6f217c19b8b0fff8023d8ca4716-1")]
    pub etag: Option<String>,
    /// The size of the object in S3; null if it is missing.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// A presigned URL, from which anyone can download the file; null unless `presign` was given.
    #[schema(required, format = "uri")]
    pub url: Option<String>,
}

/// List the data files of a COMPLETED export
///
/// Lists exactly the files that the manifest names, even if several incremental exports share a
/// folder.
/// With `presign`, each file has a URL that needs no credentials. If the service signs with
/// temporary credentials, the URL expires with them at the latest.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/files",
    tag = "Files",
    security(("bearer" = ["exports:read"])),
    extensions(("x-asks-aws" = json!(true))),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("presign" = Option<String>, Query, nullable = false, description = "Add to each file a URL that is valid for this time, from 5s to 12h", example = "15m", pattern = "^([0-9]{1,7}(h|m|s|ms))+$", max_length = 64),
        ("page_size" = Option<i64>, Query, nullable = false, description = "Maximum number of files per page. Default: 50", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the previous page", pattern = "^[A-Za-z0-9_-]{22}$"),
    ),
    responses((status = 200, description = "One page", body = FileList), FilesProblems)
)]
pub async fn list_export_files(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    RawQuery(query): RawQuery,
) -> Result<Json<FileList>, Problem> {
    let mut query = Query::from_raw(query.as_deref());
    let presign = query.one("presign", parse_presign);
    let size = query.number("page_size", 1..=200);
    let from = query
        .one("page_token", |text| page_token::read_offset(text, id.0))
        .unwrap_or(0);
    query.finish()?;
    let files = files_of(&state, id).await?;
    let summary = files.summary().await?;
    let files_key = files.output.files_key(summary.files_key());
    // A page begins where the page before ended: nothing before it is read, and nothing after it.
    let mut lines = files.lines(&files_key, from).await?;
    let (mut page, mut next_page_token, mut next_offset) = (Vec::new(), None, from);
    while let Some(line) = lines.next().await? {
        if page.len() == size.unwrap_or(50) {
            next_page_token = Some(page_token::at_offset(id.0, next_offset));
            break;
        }
        page.push(line.file.map_err(|what| ReadError::Malformed {
            key: files_key.clone(),
            what,
        })?);
        next_offset = line.next_offset;
    }
    drop(lines);
    let views = stream::iter(page)
        .map(|file| view(&files, file, presign))
        .buffered(SIDE_BY_SIDE);
    let files = views
        .try_collect()
        .await
        .map_err(|failure| files_unreadable(&failure))?;
    Ok(Json(FileList {
        files,
        next_page_token,
    }))
}

async fn view(
    files: &ExportFiles,
    file: FileLine,
    presign: Option<Duration>,
) -> Result<FileView, AwsFailure> {
    let key = files.output.whole_key(&file.named_key);
    let size_bytes = files.head(&key).await?.map(|facts| facts.size_bytes);
    let url = match presign {
        Some(valid_for) => Some(files.presign(&key, valid_for).await?),
        None => None,
    };
    Ok(FileView {
        key,
        item_count: file.item_count,
        md5: file.md5,
        etag: file.etag,
        size_bytes,
        url,
    })
}
