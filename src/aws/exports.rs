//! The three calls that an export needs: start, describe, and the search for one by its token.

use aws_sdk_dynamodb::types as sdk;

use super::TableExports;
use super::convert::{from_description, to_sdk_filter, to_sdk_time};
use super::error::classify;
use crate::domain::arn::{ExportArn, TableArn};
use crate::domain::aws_failure::{AwsFailure, FailureClass};
use crate::domain::description::ExportDescription;
use crate::domain::ids::ClientToken;
use crate::domain::request::{ExportKind, ExportRequest, ExportViewType};
use crate::domain::s3::Encryption;
use crate::domain::timestamp::Timestamp;

/// Clocks differ: exports that AWS began this long before a token was made are looked at too.
const SKEW: std::time::Duration = std::time::Duration::from_secs(600);

/// Where to search for an export by its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchScope {
    /// Among the exports of its table.
    Table,
    /// Among all of the account and region: a deleted or re-made table hides its earlier exports.
    Account,
}

impl TableExports {
    /// ExportTableToPointInTime. AWS answers a repeated call with the same token with the same export.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn start(&self, request: &ExportRequest, token: &ClientToken) -> Result<ExportDescription, AwsFailure> {
        let to = &request.destination;
        let mut call = self
            .client(request.table_arn.region())
            .export_table_to_point_in_time()
            .table_arn(request.table_arn.as_str())
            .client_token(token.as_str())
            .s3_bucket(to.bucket.as_str())
            .set_s3_bucket_owner(to.bucket_owner.as_ref().map(|o| o.as_str().to_owned()))
            .set_s3_prefix(to.prefix.as_ref().map(|p| p.as_str().to_owned()))
            .export_format(request.format.as_str().into())
            .export_type(request.kind.as_str().into())
            .set_filter_specification(request.filter.as_ref().map(to_sdk_filter));
        match &to.encryption {
            None => {}
            Some(Encryption::Aes256) => call = call.s3_sse_algorithm(sdk::S3SseAlgorithm::Aes256),
            Some(Encryption::Kms { key_id }) => {
                let key_id = key_id.as_ref().map(|k| k.as_str().to_owned());
                call = call.s3_sse_algorithm(sdk::S3SseAlgorithm::Kms).set_s3_sse_kms_key_id(key_id);
            }
        }
        match &request.kind {
            ExportKind::Full { export_time } => call = call.set_export_time(export_time.map(to_sdk_time)),
            ExportKind::Incremental { from, to, view } => {
                let view = match view {
                    ExportViewType::NewImage => sdk::ExportViewType::NewImage,
                    ExportViewType::NewAndOldImages => sdk::ExportViewType::NewAndOldImages,
                };
                let window = sdk::IncrementalExportSpecification::builder()
                    .export_from_time(to_sdk_time(*from))
                    .set_export_to_time(to.map(to_sdk_time))
                    .export_view_type(view)
                    .build();
                call = call.incremental_export_specification(window);
            }
        }
        let answer = counted("ExportTableToPointInTime", call.send().await)?;
        from_description(answer.export_description())
    }

    /// DescribeExport, in the table's region.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn describe(&self, region: &str, arn: &ExportArn) -> Result<ExportDescription, AwsFailure> {
        let answer = counted("DescribeExport", self.client(region).describe_export().export_arn(arn.as_str()).send().await)?;
        from_description(answer.export_description())
    }

    /// Searches for the export that carries this token: pages of ListExports, then DescribeExport for each that is young enough.
    /// `None` says that AWS certainly knows none.
    ///
    /// # Errors
    /// AWS refuses or does not answer; then nothing is known.
    pub async fn find_by_token(
        &self,
        table: &TableArn,
        token: &ClientToken,
        made_at: Timestamp,
        scope: SearchScope,
    ) -> Result<Option<ExportDescription>, AwsFailure> {
        let oldest = made_at.minus(SKEW);
        let of_table = format!("{}/export/", table.as_str());
        let mut next_token = None;
        loop {
            let page = self
                .client(table.region())
                .list_exports()
                .set_table_arn((scope == SearchScope::Table).then(|| table.as_str().to_owned()))
                .max_results(25)
                .set_next_token(next_token.take())
                .send()
                .await;
            let page = counted("ListExports", page)?;
            let candidates = page.export_summaries().iter().filter_map(|s| s.export_arn());
            for arn in candidates.filter(|arn| arn.starts_with(&of_table) && began(arn).is_none_or(|at| at >= oldest)) {
                match self.describe(table.region(), &ExportArn::known(arn.to_owned())).await {
                    Ok(found) if found.client_token.as_ref() == Some(token) => return Ok(Some(found)),
                    Ok(_) => {}
                    // Forgotten by AWS between the two calls: too old to be ours.
                    Err(failure) if failure.class == FailureClass::ExportNotFound => {}
                    Err(failure) => return Err(failure),
                }
            }
            next_token = page.next_token().map(str::to_owned);
            if next_token.is_none() {
                return Ok(None);
            }
        }
    }
}

/// When an export began, from its ARN (`…/export/<14 digits of milliseconds>-<8 hex digits>`); `None` for another form.
fn began(arn: &str) -> Option<Timestamp> {
    let (_, id) = arn.rsplit_once('/')?;
    let (ms, _) = id.split_once('-')?;
    let ms: u32 = ms.parse::<u64>().ok()?.checked_div(1000)?.try_into().ok()?;
    Timestamp::from_unix_seconds(f64::from(ms))
}

fn counted<T, E, R>(operation: &'static str, answer: Result<T, aws_sdk_dynamodb::error::SdkError<E, R>>) -> Result<T, AwsFailure>
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let answer = answer.map_err(|error| classify(&error));
    let outcome = answer.as_ref().err().map_or("ok", |failure| failure.class.as_str());
    metrics::counter!("aws_calls_total", "operation" => operation, "outcome" => outcome).increment(1);
    answer
}
