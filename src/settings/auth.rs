//! Settings of authentication and of the rate that each caller may have.

use super::oidc;
use super::setting::{Number, OneOf, Setting, WithDefault, rows};
use super::source::{SettingsError, Source};
use crate::auth::Auth;
use crate::auth::oidc::OidcSettings;
use crate::domain::rate::pace::PaceLimits;

#[derive(Debug, Clone)]
pub struct AuthSettings {
    pub mode: Auth,
    /// The issuer whose tokens are accepted besides API keys.
    pub oidc: Option<OidcSettings>,
    /// Per caller and process.
    pub rate_limits: PaceLimits,
}

rows! {
    AUTH: WithDefault<OneOf<Auth>> = Setting::new(
        "TABLEFERRY_AUTH",
        OneOf(&[("required", Auth::Required), ("none", Auth::None)]),
    )
    .default("required");
    RATE_LIMIT_PER_S: WithDefault<Number> =
        Setting::new("TABLEFERRY_RATE_LIMIT_PER_S", Number { min: 0.01 }).default("50");
    RATE_LIMIT_BURST: WithDefault<Number> =
        Setting::new("TABLEFERRY_RATE_LIMIT_BURST", Number { min: 1.0 }).default("200");
}

impl AuthSettings {
    pub(super) fn read(source: &Source) -> Result<Self, SettingsError> {
        Ok(Self {
            mode: AUTH.read(source)?,
            oidc: oidc::read(source)?,
            rate_limits: PaceLimits {
                burst: RATE_LIMIT_BURST.read(source)?,
                rate_per_s: RATE_LIMIT_PER_S.read(source)?,
            },
        })
    }
}
