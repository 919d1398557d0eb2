//! Builds the request body of a create or preflight from options, which are named as in Terraform,
//! or from a file. The service validates it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::ClientError;

#[derive(Debug, Args)]
#[command(next_help_heading = "Export options (named as in Terraform's aws_dynamodb_table_export)")]
pub struct RequestArgs {
    /// Read the request from a JSON file; - is standard input. Options override the file
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// The table to export
    #[arg(long, value_name = "ARN", required_unless_present = "from_file")]
    table_arn: Option<String>,
    /// The bucket to export to
    #[arg(long, value_name = "BUCKET", required_unless_present = "from_file")]
    s3_bucket: Option<String>,
    /// The account that owns the bucket, if it differs from the table's
    #[arg(long, value_name = "ACCOUNT")]
    s3_bucket_owner: Option<String>,
    /// The prefix of all S3 keys
    #[arg(long, value_name = "PREFIX")]
    s3_prefix: Option<String>,
    /// Encryption: AES256 or KMS
    #[arg(long, value_name = "ALGORITHM")]
    s3_sse_algorithm: Option<String>,
    /// ID, ARN or alias of the KMS key
    #[arg(long, value_name = "KEY")]
    s3_sse_kms_key_id: Option<String>,
    /// DYNAMODB_JSON or ION [default: DYNAMODB_JSON]
    #[arg(long, value_name = "FORMAT")]
    export_format: Option<String>,
    /// FULL_EXPORT or INCREMENTAL_EXPORT [default: FULL_EXPORT]
    #[arg(long, value_name = "TYPE")]
    export_type: Option<String>,
    /// The point in time of a full export, for example 2026-04-02T11:30:13Z [default: now]
    #[arg(long, value_name = "TIME")]
    export_time: Option<String>,
    /// The start of the window of an incremental export; makes the export incremental
    #[arg(long, value_name = "TIME")]
    export_from_time: Option<String>,
    /// The end of the window of an incremental export [default: the time when AWS starts it]
    #[arg(long, value_name = "TIME", requires = "export_from_time")]
    export_to_time: Option<String>,
    /// NEW_AND_OLD_IMAGES or NEW_IMAGE [default: NEW_AND_OLD_IMAGES]
    #[arg(long, value_name = "TYPE", requires = "export_from_time")]
    export_view_type: Option<String>,
    /// Export only items that match this expression
    #[arg(long, value_name = "EXPRESSION")]
    filter_expression: Option<String>,
    /// Export only these attributes
    #[arg(long, value_name = "EXPRESSION")]
    projection_expression: Option<String>,
    /// Export only items with this partition key
    #[arg(long, value_name = "EXPRESSION")]
    key_condition_expression: Option<String>,
    /// Attribute names of placeholders, for example '{"#s": "Status"}'
    #[arg(long, value_name = "JSON")]
    expression_attribute_names: Option<String>,
    /// Values of placeholders, for example '{":open": {"S": "open"}}'
    #[arg(long, value_name = "JSON")]
    expression_attribute_values: Option<String>,
    /// How long the export may take (timeouts.create), for example 90m or 6h [default: 60m]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Send a webhook to this URL when the export ends
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// A file with the secret (whsec_…) that signs the callback; - is standard input
    #[arg(long, value_name = "FILE")]
    callback_secret_file: Option<PathBuf>,
    /// An additional header of the callback, for example 'X-Team: orders'; may be repeated. For
    /// secrets use --from-file (callback_headers)
    #[arg(long = "callback-header", value_name = "NAME: VALUE", value_parser = header)]
    callback_headers: Vec<(String, String)>,
    /// A label, for example team=orders; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Verify the files when the export is COMPLETED
    #[arg(long)]
    verify: bool,
    /// Retry automatically after temporary failures, up to this number of attempts
    /// (retry.max_attempts)
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
}

impl RequestArgs {
    pub(super) fn body(&self) -> Result<Value, ClientError> {
        let mut body = self
            .from_file
            .as_deref()
            .map_or_else(|| Ok(Map::new()), read_object)?;
        let texts = [
            ("table_arn", &self.table_arn),
            ("s3_bucket", &self.s3_bucket),
            ("s3_bucket_owner", &self.s3_bucket_owner),
            ("s3_prefix", &self.s3_prefix),
            ("s3_sse_algorithm", &self.s3_sse_algorithm),
            ("s3_sse_kms_key_id", &self.s3_sse_kms_key_id),
            ("export_format", &self.export_format),
            ("export_type", &self.export_type),
            ("export_time", &self.export_time),
            ("callback_url", &self.callback_url),
        ];
        set_texts(&mut body, &texts);
        if self.export_from_time.is_some() {
            body.entry("export_type")
                .or_insert_with(|| json!("INCREMENTAL_EXPORT"));
            let window = [
                ("export_from_time", &self.export_from_time),
                ("export_to_time", &self.export_to_time),
                ("export_view_type", &self.export_view_type),
            ];
            change_in(&mut body, "incremental_export_specification", |inner| {
                set_texts(inner, &window)
            });
        }
        self.set_filter(&mut body)?;
        if let Some(timeout) = &self.timeout {
            change_in(&mut body, "timeouts", |timeouts| {
                drop(timeouts.insert("create".to_owned(), json!(timeout)))
            });
        }
        if let Some(file) = &self.callback_secret_file {
            body.insert("callback_secret".to_owned(), json!(read_text(file)?.trim()));
        }
        for (name, pairs) in [
            ("labels", &self.labels),
            ("callback_headers", &self.callback_headers),
        ] {
            if !pairs.is_empty() {
                change_in(&mut body, name, |inner| {
                    inner.extend(pairs.iter().map(|(key, value)| (key.clone(), json!(value))))
                });
            }
        }
        if self.verify {
            body.insert("verify".to_owned(), json!(true));
        }
        if let Some(max) = self.max_attempts {
            change_in(&mut body, "retry", |retry| {
                drop(retry.insert("max_attempts".to_owned(), json!(max)))
            });
        }
        Ok(Value::Object(body))
    }

    fn set_filter(&self, body: &mut Map<String, Value>) -> Result<(), ClientError> {
        let texts = [
            ("filter_expression", &self.filter_expression),
            ("projection_expression", &self.projection_expression),
            ("key_condition_expression", &self.key_condition_expression),
        ];
        let objects = [
            (
                "expression_attribute_names",
                &self.expression_attribute_names,
            ),
            (
                "expression_attribute_values",
                &self.expression_attribute_values,
            ),
        ];
        if texts
            .iter()
            .chain(&objects)
            .all(|(_, value)| value.is_none())
        {
            return Ok(());
        }
        let mut parsed = Vec::new();
        for (name, text) in objects {
            let Some(text) = text else { continue };
            let flag = name.replace('_', "-");
            let value: Value = serde_json::from_str(text).map_err(|error| {
                ClientError::Usage(format!("--{flag} is not valid JSON: {error}"))
            })?;
            parsed.push((name.to_owned(), value));
        }
        change_in(body, "filter_specification", |filter| {
            set_texts(filter, &texts);
            filter.extend(parsed);
        });
        Ok(())
    }
}

/// `key=value`.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "must be KEY=VALUE, for example team=orders".to_owned())
}

/// `Name: value`.
pub fn header(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once(':')
        .filter(|(name, _)| !name.trim().is_empty());
    // The message does not repeat the value, which may be a secret.
    pair.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "must be NAME: VALUE".to_owned())
}

/// Reads a JSON object from a file; `-` is standard input.
pub fn read_object(path: &Path) -> Result<Map<String, Value>, ClientError> {
    let text = read_text(path)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ClientError::Usage(format!(
            "{} does not contain a JSON object",
            path.display()
        ))),
        Err(error) => Err(ClientError::Usage(format!(
            "{} is not valid JSON: {error}",
            path.display()
        ))),
    }
}

/// Reads a file; `-` is standard input.
pub fn read_text(path: &Path) -> Result<String, ClientError> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(|_| text),
        _ => std::fs::read_to_string(path),
    };
    read.map_err(|source| ClientError::File {
        path: path.to_owned(),
        source,
    })
}

/// Sets the members that are given.
pub fn set_texts(object: &mut Map<String, Value>, texts: &[(&str, &Option<String>)]) {
    for (name, text) in texts {
        if let Some(text) = text {
            object.insert((*name).to_owned(), json!(text));
        }
    }
}

/// Changes a member that is an object. Adds it if it is missing.
pub fn change_in(
    object: &mut Map<String, Value>,
    name: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    let mut inner = match object.remove(name) {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    };
    change(&mut inner);
    object.insert(name.to_owned(), Value::Object(inner));
}
