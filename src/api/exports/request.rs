//! The body of `POST /v1/exports`: wire JSON becomes an [`ExportRequest`] here and nowhere else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::fields::{Errors, Fields, kind};
use crate::api::own_headers::read_headers;
use crate::api::problem::{FieldError, Problem, ProblemType};
use crate::domain::arn::TableArn;
use crate::domain::duration::CreateTimeout;
use crate::domain::filter::FilterSpecification;
use crate::domain::filter_document::FilterDocument;
use crate::domain::invalid::Invalid;
use crate::domain::labels::Labels;
use crate::domain::request::{
    ExportFormat, ExportKind, ExportRequest, ExportType, ExportViewType, check_time, check_window,
};
use crate::domain::retry::RetryPolicy;
use crate::domain::s3::{
    BucketOwner, Encryption, KmsKeyId, S3Bucket, S3Destination, S3Prefix, S3SseAlgorithm,
};
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::secret::WebhookSecret;
use crate::domain::webhook::url::WebhookUrl;
use crate::domain::webhook::{Callback, CallbackPolicy};
use crate::webhooks::vault::Vault;

// This type documents the body; `read` reads it, so that all errors are reported at once.
/// A request for an export. Fields bear the names of Terraform's `aws_dynamodb_table_export`.
/// Unknown fields are refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateExport {
    /// The table, in any AWS partition. Its region is where AWS is called.
    #[schema(
        max_length = 1024,
        pattern = "^arn:aws(-[a-z]{1,8}){0,3}:dynamodb:[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}$",
        example = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders"
    )]
    pub table_arn: String,
    /// The bucket's name.
    #[schema(
        min_length = 3,
        max_length = 255,
        pattern = "^[a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9]$",
        example = "tableferry-exports"
    )]
    pub s3_bucket: String,
    /// The account that owns the bucket; needed when it is not the table's.
    #[schema(pattern = "^[0-9]{12}$", example = "123456789012")]
    pub s3_bucket_owner: Option<String>,
    /// What every key begins with; empty means none.
    #[schema(
        max_length = 1024,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        example = "daily"
    )]
    pub s3_prefix: Option<String>,
    /// How the objects are encrypted; AWS chooses AES256 when it is left out.
    pub s3_sse_algorithm: Option<S3SseAlgorithm>,
    /// Id, ARN or alias of a KMS key in the bucket's region; only with `KMS`.
    #[schema(min_length = 1, max_length = 2048, pattern = "^[!-~]+$")]
    pub s3_sse_kms_key_id: Option<String>,
    /// The format of the data files. Default: DYNAMODB_JSON.
    pub export_format: Option<ExportFormat>,
    /// All items at a time, or the changes of a window. Default: FULL_EXPORT.
    pub export_type: Option<ExportType>,
    /// The time of a full export's snapshot (RFC 3339, any offset), within the last 35 days;
    /// fractions of a second are dropped. Left out, it is now.
    #[schema(format = DateTime)]
    pub export_time: Option<String>,
    /// The window of an incremental export; required with INCREMENTAL_EXPORT and refused without.
    pub incremental_export_specification: Option<IncrementalExportSpecification>,
    /// Which items are included; at least one expression.
    pub filter_specification: Option<FilterDocument>,
    /// How long things may take.
    pub timeouts: Option<Timeouts>,
    /// Where the end of this export is announced by a signed webhook (Standard Webhooks 1.0.0);
    /// https unless the operator allows more.
    #[schema(
        format = "iri",
        max_length = 2048,
        pattern = "^https?://[^\\s\\x00-\\x1f\\x7f-\\x9f]+$"
    )]
    pub callback_url: Option<String>,
    /// Signs that webhook: `whsec_` and the base64 of 24 to 64 random bytes. Never returned.
    /// Required when the operator has set none.
    #[schema(
        pattern = "^whsec_([A-Za-z0-9+/]{4}){8}(([A-Za-z0-9+/]{4}){0,13}([A-Za-z0-9+/][AQgw]==)?|([A-Za-z0-9+/]{4}){0,12}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$"
    )]
    pub callback_secret: Option<String>,
    /// Headers that are sent along with that webhook, such as an `Authorization` for the receiver:
    /// at most 16. Never returned. Headers that frame or route the message, and those of Standard
    /// Webhooks, are refused.
    #[schema(example = json!({"Authorization": "Bearer of-the-receiver"}))]
    pub callback_headers: Option<BTreeMap<String, String>>,
    /// The caller's own names for the export: at most 32, keys of 1 to 63 characters without `:`,
    /// values of at most 255.
    #[schema(example = json!({"team": "orders"}))]
    pub labels: Option<BTreeMap<String, String>>,
    /// Verify it by itself once it is COMPLETED, as POST /v1/exports/{id}/verify does. Default: no.
    pub verify: Option<bool>,
    /// Whether it is asked for again by itself when it fails of something that can pass. Default:
    /// no.
    pub retry: Option<RetryWish>,
}

/// The window of an incremental export: 15 minutes to 24 hours, within the last 35 days.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncrementalExportSpecification {
    /// Start, inclusive (RFC 3339, any offset).
    #[schema(format = DateTime)]
    pub export_from_time: String,
    /// End, exclusive. Default: when AWS starts the export.
    #[schema(format = DateTime)]
    pub export_to_time: Option<String>,
    /// What is written of each changed item. Default: NEW_AND_OLD_IMAGES.
    pub export_view_type: Option<ExportViewType>,
}

/// How long things may take.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// From acceptance here to the end at AWS: whole numbers with h, m, s, ms; one second to 90
    /// days. Left out, it is 60m.
    #[schema(
        pattern = "^([0-9]{1,7}(h|m|s|ms))+$",
        max_length = 64,
        example = "60m"
    )]
    pub create: Option<String>,
}

/// Whether an export is asked for again by itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RetryPolicy)]
pub struct RetryWish {
    /// How many exports are made for this request, the first included; each is one of its own with
    /// its own id. Left out, it is 1: no retry.
    #[schema(minimum = 1, maximum = 10)]
    pub max_attempts: Option<i64>,
}

/// Reads the body of a create.
///
/// # Errors
/// A problem that names every field that breaks a rule.
pub fn read(
    body: &Map<String, Value>,
    policy: &CallbackPolicy,
    vault: &Vault,
    now: Timestamp,
) -> Result<ExportRequest, Problem> {
    let mut errors = Errors::new();
    let mut fields = Fields::of(body, "");
    let table_arn = fields.required_text("table_arn", &mut errors, TableArn::parse);
    let bucket = fields.required_text("s3_bucket", &mut errors, S3Bucket::parse);
    let bucket_owner = fields.text("s3_bucket_owner", &mut errors, BucketOwner::parse);
    let prefix = fields
        .text("s3_prefix", &mut errors, S3Prefix::of_request)
        .flatten();
    let encryption = read_encryption(&mut fields, &mut errors);
    let format = fields
        .text("export_format", &mut errors, ExportFormat::parse)
        .unwrap_or_default();
    let kind = read_kind(&mut fields, &mut errors, now);
    let filter = fields.value("filter_specification").and_then(|json| {
        let read = FilterSpecification::parse(json);
        let at = fields.pointer("filter_specification");
        read.map_err(|all| {
            errors.extend(
                all.iter()
                    .map(|(below, e)| FieldError::new(format!("{at}{below}"), e)),
            )
        })
        .ok()
    });
    let create_timeout = fields
        .object("timeouts", &mut errors)
        .and_then(|mut timeouts| {
            let create = timeouts.text("create", &mut errors, CreateTimeout::parse);
            timeouts.finish(&mut errors);
            create
        });
    let callback = read_callback(&mut fields, &mut errors, policy, vault);
    let labels = read_labels(&mut fields, &mut errors);
    let verify = fields.boolean("verify", &mut errors).unwrap_or(false);
    let retry = fields.object("retry", &mut errors).and_then(|mut retry| {
        let policy = retry.whole_number("max_attempts", &mut errors, RetryPolicy::parse);
        retry.finish(&mut errors);
        policy
    });
    fields.finish(&mut errors);
    match (table_arn, bucket, kind) {
        (Some(table_arn), Some(bucket), Some(kind)) if errors.is_empty() => Ok(ExportRequest {
            table_arn,
            destination: S3Destination {
                bucket,
                bucket_owner,
                prefix,
                encryption,
            },
            format,
            kind,
            filter,
            create_timeout: create_timeout.unwrap_or_default(),
            callback,
            labels,
            verify,
            retry: retry.unwrap_or_default(),
        }),
        _ => Err(Problem::with_errors(ProblemType::ValidationFailed, errors)),
    }
}

fn read_encryption(fields: &mut Fields<'_>, errors: &mut Errors) -> Option<Encryption> {
    let algorithm = fields.text("s3_sse_algorithm", errors, S3SseAlgorithm::parse);
    let key_id = fields.text("s3_sse_kms_key_id", errors, KmsKeyId::parse);
    match (algorithm, key_id) {
        (Some(S3SseAlgorithm::Kms), key_id) => Some(Encryption::Kms { key_id }),
        (other, Some(_)) => {
            errors.push(FieldError::new(
                fields.pointer("s3_sse_kms_key_id"),
                &Invalid::new("is only allowed with s3_sse_algorithm KMS"),
            ));
            other.map(|_| Encryption::Aes256)
        }
        (other, None) => other.map(|_| Encryption::Aes256),
    }
}

fn read_kind(fields: &mut Fields<'_>, errors: &mut Errors, now: Timestamp) -> Option<ExportKind> {
    let given = fields.value("export_type").is_some();
    let incremental = fields
        .text("export_type", errors, ExportType::parse)
        .map(|kind| kind == ExportType::IncrementalExport);
    let time = |text: &str| check_time(Timestamp::parse(text)?, now);
    let export_time = fields.text("export_time", errors, time);
    let has_time = fields.value("export_time").is_some();
    let specified = fields.value("incremental_export_specification").is_some();
    let window = fields
        .object("incremental_export_specification", errors)
        .and_then(|mut window| {
            let from = window.required_text("export_from_time", errors, time);
            let to = window.text("export_to_time", errors, time);
            let to_is_usable = window.value("export_to_time").is_none() || to.is_some();
            let view = window
                .text("export_view_type", errors, ExportViewType::parse)
                .unwrap_or_default();
            if let Some(from) = from.filter(|_| to_is_usable)
                && let Err(e) = check_window(from, to, now)
            {
                errors.push(FieldError::new(
                    window.pointer(if to.is_some() {
                        "export_to_time"
                    } else {
                        "export_from_time"
                    }),
                    &e,
                ));
            }
            window.finish(errors);
            from.map(|from| ExportKind::Incremental { from, to, view })
        });
    let incremental = if given { incremental? } else { false };
    if incremental && !specified {
        let what = Invalid::new("is required when export_type is INCREMENTAL_EXPORT");
        errors.push(FieldError::new(
            fields.pointer("incremental_export_specification"),
            &what,
        ));
    }
    if !incremental && specified {
        let what = Invalid::new("is only allowed when export_type is INCREMENTAL_EXPORT");
        errors.push(FieldError::new(
            fields.pointer("incremental_export_specification"),
            &what,
        ));
    }
    if incremental && has_time {
        let what =
            Invalid::new("is only allowed for a FULL_EXPORT; an incremental export has its window");
        errors.push(FieldError::new(fields.pointer("export_time"), &what));
    }
    if incremental {
        window
    } else {
        Some(ExportKind::Full { export_time })
    }
}

fn read_callback(
    fields: &mut Fields<'_>,
    errors: &mut Errors,
    policy: &CallbackPolicy,
    vault: &Vault,
) -> Option<Callback> {
    let url = fields.text("callback_url", errors, |text| {
        WebhookUrl::parse(text, &policy.urls)
    });
    let has_url = fields.value("callback_url").is_some();
    let secret = fields.text("callback_secret", errors, WebhookSecret::parse);
    let has_secret = fields.value("callback_secret").is_some();
    if has_secret && !has_url {
        errors.push(FieldError::new(
            fields.pointer("callback_secret"),
            &Invalid::new("is only allowed with callback_url"),
        ));
    }
    if has_url && !has_secret && !policy.has_default_secret {
        let what = Invalid::new(
            "is required with callback_url, since the operator has set no TABLEFERRY_WEBHOOK_SECRET",
        );
        errors.push(FieldError::new(fields.pointer("callback_secret"), &what));
    }
    let headers = read_headers("callback_headers", vault, fields, errors);
    if fields.value("callback_headers").is_some() && !has_url {
        errors.push(FieldError::new(
            fields.pointer("callback_headers"),
            &Invalid::new("is only allowed with callback_url"),
        ));
    }
    url.map(|url| Callback {
        url,
        secret: secret.map(|secret| vault.seal(secret.expose())),
        headers: headers.map(|headers| headers.sealed),
    })
}

/// Reads the field `labels`.
pub(in crate::api) fn read_labels(fields: &mut Fields<'_>, errors: &mut Errors) -> Labels {
    let at = fields.pointer("labels");
    let Some(members) = fields.object("labels", errors) else {
        return Labels::default();
    };
    let mut labels = BTreeMap::new();
    for (key, value) in members.members() {
        let checked = match value.as_str() {
            Some(text) => Labels::check(key, text).map(|()| text),
            None => Err(Invalid::new(format!(
                "must be a string, not {}",
                kind(value)
            ))),
        };
        match checked {
            Ok(text) => drop(labels.insert(key.clone(), text.to_owned())),
            Err(e) => errors.push(FieldError::new(members.pointer(key), &e)),
        }
    }
    Labels::new(labels)
        .map_err(|e| errors.push(FieldError::new(at, &e)))
        .unwrap_or_default()
}
