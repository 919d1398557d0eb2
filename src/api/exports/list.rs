//! `GET /v1/exports`.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::paging::{self, Paging};
use crate::api::problem::Problem;
use crate::api::problem::docs::CommonProblems;
use crate::api::query::{Query, time};
use crate::api_types::export::ExportView;
use crate::domain::aws::arn::TableArn;
use crate::domain::aws::s3::S3Bucket;
use crate::domain::caller::allow::AllowList;
use crate::domain::export::ExportStatus;
use crate::domain::export::labels::Labels;
use crate::domain::export::request::ExportType;
use crate::domain::invalid::Invalid;
use crate::store::page::{ExportFilter, Page};

/// One page of exports, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportList<'a> {
    /// The exports of this page.
    pub exports: Vec<ExportView<'a>>,
    /// Send it as `page_token`, with the same filters, to get the next page; null on the last page.
    #[schema(required)]
    pub next_page_token: Option<String>,
}

/// A label to search for, as `key:value`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(
    pattern = "^[^:\\x00-\\x1f\\x7f-\\x9f]{1,63}:[^\\x00-\\x1f\\x7f-\\x9f]{0,255}$",
    example = "team:orders"
)]
pub struct LabelFilter(String);

/// List exports, newest first
///
/// Returns the exports that match all of the given filters. A caller whose API key is restricted to
/// some tables or buckets sees only exports of these tables and to these buckets.
#[utoipa::path(
    get,
    path = "/v1/exports",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    params(
        ("export_status" = Option<ExportStatus>, Query, nullable = false, description = "Only exports with this status"),
        ("table_arn" = Option<String>, Query, nullable = false, description = "Only exports of this table", pattern = "^arn:aws(-[a-z]{1,8}){0,3}:dynamodb:[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}$", max_length = 1024),
        ("s3_bucket" = Option<String>, Query, nullable = false, description = "Only exports to this bucket", pattern = "^[a-zA-Z0-9][a-zA-Z0-9._-]+[a-zA-Z0-9]$", max_length = 255),
        ("export_type" = Option<ExportType>, Query, nullable = false, description = "Only full or only incremental exports"),
        ("label" = Option<Vec<LabelFilter>>, Query, nullable = false, description = "Only exports with this label, as `key:value`. May be given several times", style = Form, explode = true),
        ("created_after" = Option<String>, Query, nullable = false, description = "Only exports created at or after this time (RFC 3339, any offset)", format = DateTime),
        ("created_before" = Option<String>, Query, nullable = false, description = "Only exports created before this time (RFC 3339, any offset)", format = DateTime),
        ("page_size" = Option<i64>, Query, nullable = false, description = "Maximum number of exports per page. Default: 50", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the previous page, with the same filters", pattern = "^[A-Za-z0-9_-]{32}$"),
    ),
    responses(
        (status = 200, description = "One page", body = ExportList, headers(("Link" = String, description = "The next page's URL with `rel=\"next\"`; absent on the last page"))),
        CommonProblems
    )
)]
pub async fn list_exports(
    State(state): State<ApiState>,
    caller: RequestCaller,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let (filter, paging) = read(raw.as_deref(), caller.allow())?;
    let found = state
        .store
        .list(
            &filter,
            Page {
                size: paging.size_and_one(),
                before: paging.before,
            },
        )
        .await?;
    let (exports, next_page_token) = paging.cut(found, &filter);
    let list = ExportList {
        exports: exports.iter().map(ExportView::from).collect(),
        next_page_token,
    };
    Ok(paging::respond(
        &list,
        "/v1/exports",
        raw.as_deref(),
        list.next_page_token.as_deref(),
    ))
}

fn read(raw: Option<&str>, allow: &AllowList) -> Result<(ExportFilter, Paging), Problem> {
    let mut query = Query::from_raw(raw);
    let status = query.one("export_status", |text| {
        let words = ExportStatus::ALL.map(ExportStatus::as_str).join(", ");
        ExportStatus::parse(text).ok_or_else(|| Invalid::new(format!("must be one of {words}")))
    });
    let filter = ExportFilter {
        status: status.map(ExportStatus::as_str),
        table_arn: query.one("table_arn", |text| {
            TableArn::parse(text).map(|arn| arn.as_str().to_owned())
        }),
        s3_bucket: query.one("s3_bucket", |text| {
            S3Bucket::parse(text).map(|bucket| bucket.as_str().to_owned())
        }),
        export_type: query
            .one("export_type", ExportType::parse)
            .map(ExportType::as_str),
        labels: read_labels(&mut query),
        created_after: query.one("created_after", time),
        created_before: query.one("created_before", time),
        allow: allow.clone(),
    };
    let paging = Paging::read(&mut query, &filter);
    query.finish()?;
    Ok((filter, paging))
}

/// The labels that exports must have. One key with two values would match nothing.
fn read_labels(query: &mut Query) -> BTreeMap<String, String> {
    let pairs = query.many("label", |text| {
        let (key, value) = text
            .split_once(':')
            .ok_or_else(|| Invalid::new("must be key:value"))?;
        Labels::check(key, value)?;
        Ok((key.to_owned(), value.to_owned()))
    });
    let mut labels = BTreeMap::new();
    for (key, value) in pairs {
        if labels.insert(key, value).is_some() {
            query.refuse(
                "label",
                &Invalid::new(
                    "is given more than once with the same key; an export has one value per key",
                ),
            );
        }
    }
    labels
}
