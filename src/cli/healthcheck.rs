//! `tableferry healthcheck`: asks a running service whether it is ready.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;

use super::error::CliError;
use crate::settings::{HttpSettings, Settings};

#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// URL of the service; derived from TABLEFERRY_LISTEN if not given
    #[arg(long)]
    url: Option<String>,
}

impl Healthcheck {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), CliError> {
        let is_local = self.url.is_none();
        let url = self.url.unwrap_or_else(|| local_url(&settings.http));
        #[expect(
            clippy::disallowed_methods,
            reason = "the operator's own address, not a caller's"
        )]
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            // The certificate is for the service's name, not for this machine's address, and the
            // request holds nothing secret.
            .tls_danger_accept_invalid_certs(is_local)
            .build()
            .map_err(|error| CliError::NotReady(error.to_string()))?;
        let response = client
            .get(format!("{}/readyz", url.trim_end_matches('/')))
            .send()
            .await
            .map_err(|error| CliError::NotReady(error.to_string()))?;
        if response.status().is_success() {
            Ok(())
        } else {
            let status = response.status();
            Err(CliError::NotReady(format!("the service answers {status}")))
        }
    }
}

fn local_url(http: &HttpSettings) -> String {
    let mut address = http.listen;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}
