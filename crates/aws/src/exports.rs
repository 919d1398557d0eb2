//! The calls for exports: start, describe and list.

use std::collections::HashMap;

use aws_sdk_dynamodb::types as sdk;

use super::Aws;
use super::call::ask;
use super::convert::{from_description, to_sdk_filter, to_sdk_time};
use super::operations::Operation;
use tableferry_domain::aws::arn::{ExportArn, TableArn};
use tableferry_domain::aws::description::{ExportDescription, ExportSummary};
use tableferry_domain::aws::failure::AwsFailure;
use tableferry_domain::aws::s3::Encryption;
use tableferry_domain::export::request::{ExportKind, ExportRequest, ExportViewType};
use tableferry_domain::ids::ClientToken;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchScope {
    /// Those of the table.
    Table,
    /// All exports of the account and region: the lists of a deleted or recreated table do not
    /// include its earlier exports.
    Account,
}

impl Aws {
    /// ExportTableToPointInTime. AWS answers a repeated token with the same export.
    pub async fn start(
        &self,
        request: &ExportRequest,
        token: &ClientToken,
    ) -> Result<ExportDescription, AwsFailure> {
        let to = &request.destination;
        let mut call = self
            .dynamodb(request.table_arn.account_id(), request.table_arn.region())
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
                call = call
                    .s3_sse_algorithm(sdk::S3SseAlgorithm::Kms)
                    .set_s3_sse_kms_key_id(key_id);
            }
        }
        match &request.kind {
            ExportKind::Full { export_time } => {
                call = call.set_export_time(export_time.map(to_sdk_time))
            }
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
        let answer = ask(Operation::ExportTableToPointInTime, call.send()).await?;
        from_description(answer.export_description())
    }

    /// DescribeExport.
    pub async fn describe(
        &self,
        table: &TableArn,
        arn: &ExportArn,
    ) -> Result<ExportDescription, AwsFailure> {
        let call = self
            .dynamodb(table.account_id(), table.region())
            .describe_export()
            .export_arn(arn.as_str());
        let answer = ask(Operation::DescribeExport, call.send()).await?;
        from_description(answer.export_description())
    }

    /// The exports of a table that are IN_PROGRESS on the first page of ListExports (25 exports).
    pub async fn list_running(
        &self,
        table: &TableArn,
    ) -> Result<HashMap<String, ExportDescription>, AwsFailure> {
        let call = self
            .dynamodb(table.account_id(), table.region())
            .list_exports()
            .table_arn(table.as_str())
            .max_results(25);
        let page = ask(Operation::ListExports, call.send()).await?;
        let running = page.export_summaries().iter().filter(|s| {
            s.export_status()
                .is_some_and(|status| status.as_str() == "IN_PROGRESS")
        });
        Ok(running
            .filter_map(|s| s.export_arn())
            .map(|arn| (arn.to_owned(), ExportDescription::running(arn)))
            .collect())
    }

    /// One page of ListExports (at most 25) of a table, or of all tables of an account and region,
    /// and the next page's token.
    pub async fn list_summaries(
        &self,
        account_id: &str,
        region: &str,
        table: Option<&TableArn>,
        next_token: Option<String>,
    ) -> Result<(Vec<ExportSummary>, Option<String>), AwsFailure> {
        let call = self
            .dynamodb(account_id, region)
            .list_exports()
            .set_table_arn(table.map(|table| table.as_str().to_owned()));
        let page = ask(
            Operation::ListExports,
            call.max_results(25).set_next_token(next_token).send(),
        )
        .await?;
        let summaries = page.export_summaries().iter().filter_map(|summary| {
            Some(ExportSummary {
                arn: ExportArn::from_trusted(summary.export_arn()?.to_owned()),
                status: summary.export_status()?.as_str().to_owned(),
                kind: summary
                    .export_type()
                    .map_or_else(|| "FULL_EXPORT".to_owned(), |kind| kind.as_str().to_owned()),
            })
        });
        Ok((summaries.collect(), page.next_token().map(str::to_owned)))
    }

    /// One page of ListExports (at most 25, in any order): the ARNs of this table's exports, and
    /// the next page's token.
    pub async fn list_page(
        &self,
        table: &TableArn,
        scope: SearchScope,
        next_token: Option<String>,
    ) -> Result<(Vec<ExportArn>, Option<String>), AwsFailure> {
        let call = self
            .dynamodb(table.account_id(), table.region())
            .list_exports()
            .set_table_arn((scope == SearchScope::Table).then(|| table.as_str().to_owned()))
            .max_results(25)
            .set_next_token(next_token);
        let page = ask(Operation::ListExports, call.send()).await?;
        let of_table = format!("{}/export/", table.as_str());
        let arns = page
            .export_summaries()
            .iter()
            .filter_map(|s| s.export_arn())
            .filter(|arn| arn.starts_with(&of_table));
        Ok((
            arns.map(|arn| ExportArn::from_trusted(arn.to_owned()))
                .collect(),
            page.next_token().map(str::to_owned),
        ))
    }
}
