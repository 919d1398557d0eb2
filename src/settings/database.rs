//! Settings of the database.

use secrecy::SecretString;

use super::setting::{Secret, Setting, rows};
use super::source::{SettingsError, Source};

#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    pub url: Option<SecretString>,
    /// The same database without a pooler in between; migrations run there.
    pub direct_url: Option<SecretString>,
}

rows! {
    URL: Setting<Secret> = Setting::new("DATABASE_URL", Secret);
    DIRECT_URL: Setting<Secret> = Setting::new("TABLEFERRY_DIRECT_DATABASE_URL", Secret);
}

impl DatabaseSettings {
    pub(super) fn read(source: &Source) -> Result<Self, SettingsError> {
        Ok(Self {
            url: URL.read(source)?,
            direct_url: DIRECT_URL.read(source)?,
        })
    }
}
