//! Settings of retention.

use super::setting::{DaysOrForever, Setting, WithDefault, rows};
use super::source::{SettingsError, Source};
use crate::worker::retention::Retention;

rows! {
    EXPORTS: WithDefault<DaysOrForever> =
        Setting::new("TABLEFERRY_RETAIN_EXPORTS_DAYS", DaysOrForever).default("forever");
    EVENTS: WithDefault<DaysOrForever> =
        Setting::new("TABLEFERRY_RETAIN_EVENTS_DAYS", DaysOrForever).default("forever");
    ATTEMPTS: WithDefault<DaysOrForever> =
        Setting::new("TABLEFERRY_RETAIN_ATTEMPTS_DAYS", DaysOrForever).default("90");
}

pub(super) fn read(source: &Source) -> Result<Retention, SettingsError> {
    Ok(Retention {
        exports: EXPORTS.read(source)?,
        events: EVENTS.read(source)?,
        attempts: ATTEMPTS.read(source)?,
    })
}
