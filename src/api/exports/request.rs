//! The body of `POST /v1/exports` becomes an [`ExportRequest`] here, and only here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::fields::{self, Field, body};
use crate::api::own_headers::read_headers;
use crate::api::problem::Problem;
use crate::api_types::filter::FilterDocument;
use crate::domain::aws::arn::TableArn;
use crate::domain::aws::s3::{
    BucketOwner, Encryption, KmsKeyId, S3Bucket, S3Destination, S3Prefix, S3SseAlgorithm,
};
use crate::domain::duration::CreateTimeout;
use crate::domain::export::attempt::RetryPolicy;
use crate::domain::export::filter::FilterSpecification;
use crate::domain::export::labels::Labels;
use crate::domain::export::request::{
    ExportFormat, ExportKind, ExportRequest, ExportType, ExportViewType, check_time, check_window,
};
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::secret::WebhookSecret;
use crate::domain::webhook::url::WebhookUrl;
use crate::domain::webhook::{Callback, CallbackPolicy};
use crate::webhooks::vault::Vault;

body! {
    /// A request for an export. Fields have the names of Terraform's `aws_dynamodb_table_export`.
    /// Unknown fields are rejected.
    #[derive(Default)]
    pub struct CreateExport, read as CreateExportFields {
        /// The ARN of the table, in any AWS partition. AWS is called in the table's region.
        #[schema(
            max_length = 1024,
            pattern = "^arn:aws(-[a-z]{1,8}){0,3}:dynamodb:[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}$",
            example = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders"
        )]
        pub table_arn: String,
        /// The name of the bucket to export to.
        #[schema(
            min_length = 3,
            max_length = 255,
            pattern = "^[a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9]$",
            example = "tableferry-exports"
        )]
        pub s3_bucket: String,
        /// The account that owns the bucket. Needed if it is not the table's account.
        #[schema(pattern = "^[0-9]{12}$", example = "123456789012")]
        pub s3_bucket_owner: Option<String>,
        /// The prefix of every key; empty means no prefix.
        #[schema(
            max_length = 1024,
            pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
            example = "daily"
        )]
        pub s3_prefix: Option<String>,
        /// How the objects are encrypted. Default: AES256, which AWS chooses.
        pub s3_sse_algorithm: Option<S3SseAlgorithm>,
        /// The id, ARN or alias of a KMS key in the bucket's region. Only allowed with `KMS`.
        #[schema(min_length = 1, max_length = 2048, pattern = "^[!-~]+$")]
        pub s3_sse_kms_key_id: Option<String>,
        /// The format of the data files. Default: DYNAMODB_JSON.
        pub export_format: Option<ExportFormat>,
        /// All items at a point in time, or the changes within a window. Default: FULL_EXPORT.
        pub export_type: Option<ExportType>,
        /// The point in time of a full export (RFC 3339, any offset), within the last 35 days.
        /// Fractions of a second are dropped. Default: when AWS starts the export.
        #[schema(format = DateTime)]
        pub export_time: Option<String>,
        /// The window of an incremental export. Required with INCREMENTAL_EXPORT, otherwise not
        /// allowed.
        pub incremental_export_specification: Option<IncrementalExportSpecification>,
        /// Which items are exported. At least one expression is required.
        pub filter_specification: Option<FilterDocument>,
        /// How long the export may take.
        pub timeouts: Option<Timeouts>,
        /// The URL to which a signed webhook (Standard Webhooks 1.0.0) is sent when the export
        /// ends. Must be https unless the operator allows http.
        #[schema(
            format = "iri",
            max_length = 2048,
            pattern = "^https?://[^\\s\\x00-\\x1f\\x7f-\\x9f]+$"
        )]
        pub callback_url: Option<String>,
        /// The secret that signs that webhook: `whsec_` and the base64 of 24 to 64 random bytes.
        /// Never returned. Required if the operator has not set a default secret.
        #[schema(
            pattern = "^whsec_([A-Za-z0-9+/]{4}){8}(([A-Za-z0-9+/]{4}){0,13}([A-Za-z0-9+/][AQgw]==)?|([A-Za-z0-9+/]{4}){0,12}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$"
        )]
        pub callback_secret: Option<String>,
        /// Up to 16 extra headers for that webhook, such as an `Authorization` for the receiver.
        /// Never returned. Headers that the service sets itself, such as `Host`, `Content-Type`,
        /// `User-Agent` and `webhook-id`, are rejected.
        #[schema(example = json!({"Authorization": "Bearer of-the-receiver"}))]
        pub callback_headers: Option<BTreeMap<String, String>>,
        /// Labels of the caller's choice: at most 32, with keys of 1 to 63 characters without `:`
        /// and values of at most 255 characters.
        #[schema(example = json!({"team": "orders"}))]
        pub labels: Option<BTreeMap<String, String>>,
        /// Verify the export automatically once it is COMPLETED, as POST /v1/exports/{id}/verify
        /// does. Default: false.
        pub verify: Option<bool>,
        /// Whether the export is retried automatically after a temporary failure. Default: no
        /// retry.
        pub retry: Option<RequestedRetry>,
    }
}

body! {
    /// The window of an incremental export: 15 minutes to 24 hours, within the last 35 days.
    pub struct IncrementalExportSpecification, read as WindowFields {
        /// The start of the window, inclusive (RFC 3339, any offset).
        #[schema(format = DateTime)]
        pub export_from_time: String,
        /// The end of the window, exclusive. Default: when AWS starts the export.
        #[schema(format = DateTime)]
        pub export_to_time: Option<String>,
        /// Which images of each changed item are written. Default: NEW_AND_OLD_IMAGES.
        pub export_view_type: Option<ExportViewType>,
    }
}

body! {
    /// Time limits of an export.
    pub struct Timeouts, read as TimeoutFields {
        /// The maximum time from when this service accepts the export until it ends at AWS, from
        /// one second to 90 days: whole numbers with h, m, s or ms. Default: 60m.
        #[schema(
            pattern = "^([0-9]{1,7}(h|m|s|ms))+$",
            max_length = 64,
            example = "60m"
        )]
        pub create: Option<String>,
    }
}

body! {
    /// Automatic retries of an export.
    #[schema(as = RetryPolicy)]
    pub struct RequestedRetry, read as RetryFields {
        /// The maximum number of exports for this request, including the first. Each is a separate
        /// export with its own id. Default: 1, which means no retry.
        #[schema(minimum = 1, maximum = 10)]
        pub max_attempts: Option<i64>,
    }
}

/// Reads the body of a create, and reports every field that is invalid.
pub fn read(
    body: &Map<String, Value>,
    policy: &CallbackPolicy,
    vault: &Vault,
    now: Timestamp,
) -> Result<ExportRequest, Problem> {
    fields::read::<CreateExport, _>(body, |body| {
        let table_arn = body.table_arn.text(TableArn::parse);
        let bucket = body.s3_bucket.text(S3Bucket::parse);
        let bucket_owner = body.s3_bucket_owner.text(BucketOwner::parse);
        let prefix = body.s3_prefix.text(S3Prefix::from_request).flatten();
        let encryption = read_encryption(&body);
        let format = body.export_format.text(ExportFormat::parse);
        let kind = read_kind(&body, now);
        let filter = read_filter(&body.filter_specification);
        let create_timeout = body
            .timeouts
            .object(|timeouts| timeouts.create.text(CreateTimeout::parse));
        let callback = read_callback(&body, policy, vault);
        let labels = read_labels(&body.labels);
        let verify = body.verify.boolean();
        let retry = body
            .retry
            .object(|retry| retry.max_attempts.whole_number(RetryPolicy::parse));
        Some(ExportRequest {
            table_arn: table_arn?,
            destination: S3Destination {
                bucket: bucket?,
                bucket_owner,
                prefix,
                encryption,
            },
            format: format.unwrap_or_default(),
            kind: kind?,
            filter,
            create_timeout: create_timeout.unwrap_or_default(),
            callback,
            labels,
            verify: verify.unwrap_or(false),
            retry: retry.unwrap_or_default(),
        })
    })
}

fn read_filter(field: &Field<'_, Option<FilterDocument>>) -> Option<FilterSpecification> {
    FilterSpecification::parse(field.value()?)
        .map_err(|all| {
            all.iter()
                .for_each(|(below, invalid)| field.refuse_at(below, invalid));
        })
        .ok()
}

fn read_encryption(body: &CreateExportFields<'_>) -> Option<Encryption> {
    let algorithm = body.s3_sse_algorithm.text(S3SseAlgorithm::parse);
    let key_id = body.s3_sse_kms_key_id.text(KmsKeyId::parse);
    if algorithm == Some(S3SseAlgorithm::Kms) {
        return Some(Encryption::Kms { key_id });
    }
    if key_id.is_some() {
        body.s3_sse_kms_key_id
            .refuse(&Invalid::new("is only allowed with s3_sse_algorithm KMS"));
    }
    algorithm.map(|_| Encryption::Aes256)
}

fn read_kind(body: &CreateExportFields<'_>, now: Timestamp) -> Option<ExportKind> {
    let export_type = body.export_type.text(ExportType::parse);
    let export_time = body.export_time.text(|text| time(text, now));
    let specified = &body.incremental_export_specification;
    let window = specified.object(|window| read_window(&window, now));
    let incremental = if body.export_type.is_set() {
        export_type? == ExportType::IncrementalExport
    } else {
        false
    };
    if incremental && !specified.is_set() {
        specified.refuse(&Invalid::new(
            "is required when export_type is INCREMENTAL_EXPORT",
        ));
    }
    if !incremental && specified.is_set() {
        specified.refuse(&Invalid::new(
            "is only allowed when export_type is INCREMENTAL_EXPORT",
        ));
    }
    if incremental && body.export_time.is_set() {
        body.export_time.refuse(&Invalid::new(
            "is only allowed for a FULL_EXPORT; an incremental export has its window",
        ));
    }
    if incremental {
        window
    } else {
        Some(ExportKind::Full { export_time })
    }
}

fn read_window(window: &WindowFields<'_>, now: Timestamp) -> Option<ExportKind> {
    let from = window.export_from_time.text(|text| time(text, now));
    let to = window.export_to_time.text(|text| time(text, now));
    let view = window.export_view_type.text(ExportViewType::parse);
    let from = from?;
    let to_is_usable = !window.export_to_time.is_set() || to.is_some();
    if to_is_usable && let Err(invalid) = check_window(from, to, now) {
        match to {
            Some(_) => window.export_to_time.refuse(&invalid),
            None => window.export_from_time.refuse(&invalid),
        }
    }
    Some(ExportKind::Incremental {
        from,
        to,
        view: view.unwrap_or_default(),
    })
}

fn time(text: &str, now: Timestamp) -> Result<Timestamp, Invalid> {
    check_time(Timestamp::parse(text)?, now)
}

fn read_callback(
    body: &CreateExportFields<'_>,
    policy: &CallbackPolicy,
    vault: &Vault,
) -> Option<Callback> {
    let url = body
        .callback_url
        .text(|text| WebhookUrl::parse(text, &policy.urls));
    let has_url = body.callback_url.is_set();
    let secret = body.callback_secret.text(WebhookSecret::parse);
    let has_secret = body.callback_secret.is_set();
    if has_secret && !has_url {
        body.callback_secret.refuse(&only_with_url());
    }
    if has_url && !has_secret && !policy.has_default_secret {
        body.callback_secret.refuse(&Invalid::new(
            "is required with callback_url, because the operator has not set TABLEFERRY_WEBHOOK_SECRET",
        ));
    }
    let headers = read_headers(&body.callback_headers, vault);
    if body.callback_headers.is_set() && !has_url {
        body.callback_headers.refuse(&only_with_url());
    }
    Some(Callback {
        url: url?,
        secret: secret.map(|secret| vault.seal(secret.expose())),
        headers: headers.map(|headers| headers.sealed),
    })
}

fn only_with_url() -> Invalid {
    Invalid::new("is only allowed with callback_url")
}

pub(in crate::api) fn read_labels(field: &Field<'_, Option<BTreeMap<String, String>>>) -> Labels {
    let mut labels = BTreeMap::new();
    for (key, value) in field.members().into_iter().flatten() {
        let check = |text: &str| Labels::check(key, text);
        if let Some(text) = field.member((key, value), check) {
            labels.insert(key.clone(), text.to_owned());
        }
    }
    Labels::new(labels)
        .map_err(|invalid| field.refuse(&invalid))
        .unwrap_or_default()
}
