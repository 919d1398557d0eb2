//! `tableferry openapi`: prints the OpenAPI document.

use clap::{Args, ValueEnum};

use super::error::CliError;
use crate::api::openapi::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Openapi {
    /// The version of OpenAPI; 3.0 is for generators that do not support 3.1
    #[arg(long, value_enum, default_value = "3.1")]
    openapi_version: OpenapiVersion,
    /// Leave out the webhooks, for generators that fail on them; 3.0 never has them
    #[arg(long)]
    without_webhooks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OpenapiVersion {
    #[value(name = "3.1")]
    V3_1,
    #[value(name = "3.0")]
    V3_0,
}

impl Openapi {
    #[expect(clippy::print_stdout, reason = "the document is this command's output")]
    pub(super) fn print(self) -> Result<(), CliError> {
        let form = match (self.openapi_version, self.without_webhooks) {
            (OpenapiVersion::V3_0, _) => Form::Version30,
            (OpenapiVersion::V3_1, false) => Form::Whole,
            (OpenapiVersion::V3_1, true) => Form::WithoutWebhooks,
        };
        print!("{}", openapi::document(form).map_err(CliError::Openapi)?);
        Ok(())
    }
}
