//! The request for an export: its members, its ARN and how the members fit together. Checks that
//! depend on the table come later.

use super::filter;
use crate::arn::{NotATable, TableArn, is_account_id};
use crate::dynamodb::error::ApiError;
use crate::dynamodb::input::{Input, Violations};
use crate::world::{ExportRequest, IncrementalSpecification};

const KEY_PATTERN: &str = "^[a-zA-Z0-9:/_-]+$";
const BUCKET_PATTERN: &str = r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$";

/// Reads a request and checks each member by itself.
pub(super) fn read(input: Input<'_>) -> Result<(ExportRequest, Option<String>), ApiError> {
    let text = |name: &str| input.text(name).map(|text| text.map(str::to_owned));
    let specification = input.structure("IncrementalExportSpecification")?;
    let token = text("ClientToken")?;
    let request = ExportRequest {
        table_arn: text("TableArn")?.unwrap_or_default(),
        s3_bucket: text("S3Bucket")?.unwrap_or_default(),
        export_time: input.number("ExportTime")?,
        s3_bucket_owner: text("S3BucketOwner")?,
        s3_prefix: text("S3Prefix")?,
        s3_sse_algorithm: text("S3SseAlgorithm")?,
        s3_sse_kms_key_id: text("S3SseKmsKeyId")?,
        export_format: text("ExportFormat")?,
        export_type: text("ExportType")?,
        incremental_export_specification: specification.map(read_specification).transpose()?,
        filter_specification: input
            .structure("FilterSpecification")?
            .map(|filter| filter.0.clone().into()),
    };
    let mut violations = Violations::default();
    violations.required(input.text("TableArn")?, "tableArn");
    violations.length(Some(&request.table_arn), "tableArn", 0, 1024);
    violations.required(input.text("S3Bucket")?, "s3Bucket");
    violations.length(input.text("S3Bucket")?, "s3Bucket", 0, 255);
    violations.pattern(
        input.text("S3Bucket")?,
        "s3Bucket",
        BUCKET_PATTERN,
        is_bucket,
    );
    violations.pattern(token.as_deref(), "clientToken", r"^[^\$]+$", |token| {
        !token.is_empty() && !token.contains('$')
    });
    violations.pattern(
        request.s3_bucket_owner.as_deref(),
        "s3BucketOwner",
        "[0-9]{12}",
        is_account_id,
    );
    violations.length(request.s3_prefix.as_deref(), "s3Prefix", 1, 1024);
    violations.one_of(
        request.s3_sse_algorithm.as_deref(),
        "s3SseAlgorithm",
        &["AES256", "KMS"],
    );
    violations.length(
        request.s3_sse_kms_key_id.as_deref(),
        "s3SseKmsKeyId",
        1,
        2048,
    );
    violations.one_of(
        request.export_format.as_deref(),
        "exportFormat",
        &["DYNAMODB_JSON", "ION"],
    );
    violations.one_of(
        request.export_type.as_deref(),
        "exportType",
        &["FULL_EXPORT", "INCREMENTAL_EXPORT"],
    );
    let view = request
        .incremental_export_specification
        .as_ref()
        .and_then(|given| given.export_view_type.as_deref());
    violations.one_of(
        view,
        "incrementalExportSpecification.exportViewType",
        &["NEW_IMAGE", "NEW_AND_OLD_IMAGES"],
    );
    violations.report()?;
    Ok((request, token))
}

fn read_specification(given: Input<'_>) -> Result<IncrementalSpecification, ApiError> {
    Ok(IncrementalSpecification {
        export_from_time: given.number("ExportFromTime")?,
        export_to_time: given.number("ExportToTime")?,
        export_view_type: given.text("ExportViewType")?.map(str::to_owned),
    })
}

pub(super) fn table(table_arn: &str) -> Result<TableArn, ApiError> {
    if table_arn.is_empty() {
        return Err(ApiError::validation("Invalid TableArn: Invalid Table ARN"));
    }
    TableArn::parse(table_arn).map_err(|why| match why {
        NotATable::NotAnArn => ApiError::validation(
            "One or more parameter values were invalid: tableArn is not a valid ARN",
        ),
        NotATable::OtherResource => ApiError::invalid_request("Table ARN is invalid."),
    })
}

/// Checks members against each other.
pub(super) fn check_couplings(request: &ExportRequest) -> Result<(), ApiError> {
    let incremental = request.export_type.as_deref() == Some("INCREMENTAL_EXPORT");
    match (
        &request.incremental_export_specification,
        request.export_type.as_deref(),
    ) {
        (Some(_), None) => {
            return Err(ApiError::invalid_request(
                "Export Type expected to be Incremental Export when incremental export specification is provided",
            ));
        }
        (Some(_), Some("FULL_EXPORT")) => {
            return Err(ApiError::invalid_request(
                "When Export Type is Full Export , Incremental Export Specification should not be provided",
            ));
        }
        (None, _) if incremental => {
            return Err(ApiError::invalid_request(
                "Incremental Export Specification expected when export type is set as Incremental Export",
            ));
        }
        (Some(specification), _) if specification.export_from_time.is_none() => {
            return Err(ApiError::invalid_request(
                "ExportFromTime must be provided in IncrementalExportSpecification",
            ));
        }
        _ => {}
    }
    if let Some(key) = &request.s3_sse_kms_key_id {
        if request.s3_sse_algorithm.as_deref() != Some("KMS") {
            return Err(ApiError::invalid_request(
                "KMS Key Id is not supported for this encryption type",
            ));
        }
        let mut violations = Violations::default();
        let fits = |key: &str| {
            key.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b))
        };
        violations.pattern(Some(key), "s3SseKmsKeyId", KEY_PATTERN, fits);
        violations
            .report()
            .map_err(ApiError::into_invalid_request)?;
    }
    request
        .filter_specification
        .as_ref()
        .map_or(Ok(()), |given| filter::check_shape(given).map(drop))
}

fn is_bucket(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() >= 2
        && bytes.iter().copied().all(inner)
        && ends(bytes.first())
        && ends(bytes.last())
}
