//! The body of a create and of a preflight, from flags with Terraform's names or from a file. The
//! rules are the service's.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::ClientError;

/// What is asked for.
#[derive(Debug, Args)]
#[command(next_help_heading = "The export (names as in Terraform's aws_dynamodb_table_export)")]
pub struct RequestArgs {
    /// A file that holds the request as JSON; - is standard input. Flags go before what it says
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// The table
    #[arg(long, value_name = "ARN", required_unless_present = "from_file")]
    table_arn: Option<String>,
    /// The bucket's name
    #[arg(long, value_name = "BUCKET", required_unless_present = "from_file")]
    s3_bucket: Option<String>,
    /// The account that owns the bucket, if it is not the table's
    #[arg(long, value_name = "ACCOUNT")]
    s3_bucket_owner: Option<String>,
    /// What every key begins with
    #[arg(long, value_name = "PREFIX")]
    s3_prefix: Option<String>,
    /// AES256 or KMS
    #[arg(long, value_name = "ALGORITHM")]
    s3_sse_algorithm: Option<String>,
    /// Id, ARN or alias of a KMS key
    #[arg(long, value_name = "KEY")]
    s3_sse_kms_key_id: Option<String>,
    /// DYNAMODB_JSON (the default) or ION
    #[arg(long, value_name = "FORMAT")]
    export_format: Option<String>,
    /// FULL_EXPORT (the default) or INCREMENTAL_EXPORT
    #[arg(long, value_name = "TYPE")]
    export_type: Option<String>,
    /// The time of a full export's snapshot, such as 2026-04-02T11:30:13Z; now unless said
    #[arg(long, value_name = "TIME")]
    export_time: Option<String>,
    /// The start of an incremental export's window; makes the export incremental
    #[arg(long, value_name = "TIME")]
    export_from_time: Option<String>,
    /// The end of an incremental export's window; when AWS starts it unless said
    #[arg(long, value_name = "TIME", requires = "export_from_time")]
    export_to_time: Option<String>,
    /// NEW_AND_OLD_IMAGES (the default) or NEW_IMAGE
    #[arg(long, value_name = "TYPE", requires = "export_from_time")]
    export_view_type: Option<String>,
    /// Write only items that match
    #[arg(long, value_name = "EXPRESSION")]
    filter_expression: Option<String>,
    /// Write only these attributes
    #[arg(long, value_name = "EXPRESSION")]
    projection_expression: Option<String>,
    /// Read only one partition key
    #[arg(long, value_name = "EXPRESSION")]
    key_condition_expression: Option<String>,
    /// Names of placeholders, such as '{"#s": "Status"}'
    #[arg(long, value_name = "JSON")]
    expression_attribute_names: Option<String>,
    /// Values of placeholders, such as '{":open": {"S": "open"}}'
    #[arg(long, value_name = "JSON")]
    expression_attribute_values: Option<String>,
    /// timeouts.create: how long the export may take, such as 90m or 6h; 60m unless said
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Where the end is announced by a webhook
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
    /// A file that holds the secret (whsec_…) which signs that webhook; - is standard input
    #[arg(long, value_name = "FILE")]
    callback_secret_file: Option<PathBuf>,
    /// A header that is sent along with that webhook, such as 'X-Team: orders'; may be repeated.
    /// For secrets use --from-file (callback_headers)
    #[arg(long = "callback-header", value_name = "NAME: VALUE", value_parser = header)]
    callback_headers: Vec<(String, String)>,
    /// A name of your own, such as team=orders; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Verify the files once it is COMPLETED
    #[arg(long)]
    verify: bool,
    /// retry.max_attempts: try again by itself when it fails of something that can pass, up to so
    /// many attempts
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
}

impl RequestArgs {
    /// The body.
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
        if let Some(most) = self.max_attempts {
            change_in(&mut body, "retry", |retry| {
                drop(retry.insert("max_attempts".to_owned(), json!(most)))
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
            let value: Value = serde_json::from_str(text)
                .map_err(|error| ClientError::Usage(format!("--{flag} is no JSON: {error}")))?;
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
        .ok_or_else(|| "must be KEY=VALUE, such as team=orders".to_owned())
}

/// `Name: value`.
pub fn header(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once(':')
        .filter(|(name, _)| !name.trim().is_empty());
    // The value may be a secret: it is not repeated.
    pair.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "must be NAME: VALUE".to_owned())
}

/// The JSON object that a file holds; `-` is standard input.
pub fn read_object(path: &Path) -> Result<Map<String, Value>, ClientError> {
    let text = read_text(path)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ClientError::Usage(format!(
            "{} holds no JSON object",
            path.display()
        ))),
        Err(error) => Err(ClientError::Usage(format!(
            "{} is no JSON: {error}",
            path.display()
        ))),
    }
}

/// The text of a file; `-` is standard input.
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

/// Sets those that are given.
pub fn set_texts(object: &mut Map<String, Value>, texts: &[(&str, &Option<String>)]) {
    for (name, text) in texts {
        if let Some(text) = text {
            object.insert((*name).to_owned(), json!(text));
        }
    }
}

/// Changes the object below a member; made if there is none.
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
