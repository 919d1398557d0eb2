//! `GET /v1/exports/{id}/files`.

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use utoipa::ToSchema;

use super::IdPath;
use super::completed::files_of;
use crate::api::ApiState;
use crate::api::page_token;
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::aws_failure::AwsFailure;
use crate::domain::duration::parse_presign;
use crate::domain::invalid::Invalid;
use crate::export_files::manifest::FileLine;
use crate::export_reader::{ExportFiles, ReadError, SIDE_BY_SIDE};

/// One page of an export's data files, in the order of its manifest.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileList {
    /// The files.
    pub files: Vec<FileView>,
    /// Hand it back as `page_token` for the next page; null on the last one.
    #[schema(required)]
    pub next_page_token: Option<String>,
}

/// A data file of an export.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExportFile)]
pub struct FileView {
    /// Its key in the export's bucket.
    #[schema(
        example = "daily/AWSDynamoDB/01795400426000-fa682feb/data/jsd2fwpcjvjavtmaxvjtmjyqeq.json.gz"
    )]
    pub key: String,
    /// How many items it has, as the manifest says.
    #[schema(required)]
    pub item_count: Option<u64>,
    /// Base64 of the MD5 sum of its bytes, compressed as they are, as the manifest says.
    #[schema(required, example = "sQMSpEILNgoQmarvDFonGQ==")]
    pub md5: Option<String>,
    /// Its ETag, as the manifest says.
    #[schema(required, example = "af83d6f217c19b8b0fff8023d8ca4716-1")]
    pub etag: Option<String>,
    /// Its length, as S3 says; null when the object is missing.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// A URL from which anybody may GET it; null unless `presign` was given.
    #[schema(required, format = "uri")]
    pub url: Option<String>,
}

problems! {
    /// What can go wrong.
    FilesProblems: InvalidParameter, NotFound, NotCompleted, RefusedByAws, OutputUnreadable, Internal, Unavailable, AwsUnavailable
}

/// List the data files of a COMPLETED export
///
/// Exactly the files that its manifest names, also where all incremental exports of a prefix share
/// one folder. With `presign` each has a URL that reads it without credentials; one that was signed
/// with temporary credentials ends with them at the latest.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/files",
    tag = "Files",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("presign" = Option<String>, Query, nullable = false, description = "Give each file a URL that is good for so long: 5s to 12h", example = "15m", pattern = "^([0-9]{1,7}(h|m|s|ms))+$", max_length = 64),
        ("page_size" = Option<i64>, Query, nullable = false, description = "How many, 50 unless said", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the page before", pattern = "^[A-Za-z0-9_-]{22}$"),
    ),
    responses((status = 200, description = "One page", body = FileList), FilesProblems)
)]
pub async fn list_export_files(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    RawQuery(query): RawQuery,
) -> Result<Json<FileList>, Problem> {
    let mut query = Query::of(query.as_deref());
    let presign = query.one("presign", parse_presign);
    let size = query.one("page_size", |text| match text.parse() {
        Ok(size @ 1..=200_usize) => Ok(size),
        _ => Err(Invalid::new("must be a whole number from 1 to 200")),
    });
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
    Ok(Json(FileList {
        files: views.try_collect().await?,
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
