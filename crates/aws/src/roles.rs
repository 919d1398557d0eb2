//! Credentials for other accounts: the account's role, assumed with the process's own credentials
//! on first use. The SDK caches them until shortly before they expire.

use std::fmt;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::sync::OnceCell;

use tableferry_domain::aws::account::AccountRole;
use tableferry_domain::error_chain::in_words;

/// The service's session name in CloudTrail.
const SESSION_NAME: &str = "tableferry";

/// Provides the credentials of a role.
#[derive(Debug)]
pub(super) struct RoleCredentials {
    role: AccountRole,
    config: SdkConfig,
    region: Region,
    provider: OnceCell<AssumeRoleProvider>,
}

impl RoleCredentials {
    /// Credentials of this role from STS in this region, called with the credentials of `config`.
    pub(super) fn new(role: AccountRole, config: SdkConfig, region: Region) -> Self {
        Self {
            role,
            config,
            region,
            provider: OnceCell::new(),
        }
    }

    async fn assume(&self) -> Result<aws_credential_types::Credentials, CredentialsError> {
        let build = || {
            let builder = AssumeRoleProvider::builder(self.role.role_arn())
                .session_name(SESSION_NAME)
                .region(self.region.clone());
            let builder = match self.role.external_id() {
                Some(external_id) => builder.external_id(external_id),
                None => builder,
            };
            builder.configure(&self.config).build()
        };
        let assumed = self
            .provider
            .get_or_init(build)
            .await
            .provide_credentials()
            .await;
        assumed.map_err(|error| {
            let not_assumed = RoleNotAssumed {
                role_arn: self.role.role_arn().to_owned(),
                why: in_words(&error),
            };
            CredentialsError::provider_error(not_assumed)
        })
    }
}

impl ProvideCredentials for RoleCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}

/// STS did not return the credentials of a role.
#[derive(Debug)]
pub(super) struct RoleNotAssumed {
    role_arn: String,
    why: String,
}

impl fmt::Display for RoleNotAssumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the role {} could not be assumed; see its trust policy, the external_id it asks for, and the service's right to sts:AssumeRole ({})",
            self.role_arn, self.why
        )
    }
}

impl std::error::Error for RoleNotAssumed {}
