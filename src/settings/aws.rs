//! Settings of the calls to AWS: their pace, other accounts, and prices for estimates.

use super::setting::{Milliseconds, Number, Parsed, Setting, Whole, WithDefault, rows};
use super::source::{SettingsError, Source};
use crate::domain::aws::account::AccountRole;
use crate::domain::export::estimate::Prices;
use crate::domain::invalid::Invalid;
use crate::domain::lifecycle::backoff::PollBounds;
use crate::domain::rate::pace::{LaneLimits, PaceLimits};

#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// Bounds of the delay between two polls of one export.
    pub poll: PollBounds,
    /// Limits of each account and region.
    pub lanes: LaneLimits,
    /// Accounts that are reached through a role in them.
    pub accounts: Vec<AccountRole>,
    pub prices: Prices,
}

const BURST: Number = Number { min: 1.0 };
const RATE: Number = Number { min: 0.001 };

rows! {
    POLL_INTERVAL_MIN_MS: WithDefault<Milliseconds> =
        Setting::new("TABLEFERRY_POLL_INTERVAL_MIN_MS", Milliseconds).default("2000");
    POLL_INTERVAL_MAX_MS: WithDefault<Milliseconds> =
        Setting::new("TABLEFERRY_POLL_INTERVAL_MAX_MS", Milliseconds).default("30000");
    MAX_EXPORTS_IN_FLIGHT: WithDefault<Whole<u32>> =
        Setting::new("TABLEFERRY_MAX_EXPORTS_IN_FLIGHT", Whole { min: 1, max: 100_000 }).default("300");
    START_BURST: WithDefault<Number> = Setting::new("TABLEFERRY_START_BURST", BURST).default("10");
    START_RATE_PER_S: WithDefault<Number> =
        Setting::new("TABLEFERRY_START_RATE_PER_S", RATE).default("1");
    LOOK_BURST: WithDefault<Number> = Setting::new("TABLEFERRY_LOOK_BURST", BURST).default("8");
    LOOK_RATE_PER_S: WithDefault<Number> =
        Setting::new("TABLEFERRY_LOOK_RATE_PER_S", RATE).default("5");
    ACCOUNTS: Setting<Parsed<Vec<AccountRole>, Invalid>> =
        Setting::new("TABLEFERRY_ACCOUNTS", Parsed(AccountRole::parse_all)).json();
    PRICE_USD_PER_GB: Setting<Parsed<Prices, Invalid>> =
        Setting::new("TABLEFERRY_PRICE_USD_PER_GB", Parsed(Prices::parse)).json();
}

impl AwsSettings {
    pub(super) fn read(source: &Source) -> Result<Self, SettingsError> {
        let poll = PollBounds {
            min: POLL_INTERVAL_MIN_MS.read(source)?,
            max: POLL_INTERVAL_MAX_MS.read(source)?,
        };
        if poll.min > poll.max {
            return Err(
                POLL_INTERVAL_MIN_MS.bad_value("must not be above TABLEFERRY_POLL_INTERVAL_MAX_MS")
            );
        }
        Ok(Self {
            poll,
            lanes: LaneLimits {
                starts: PaceLimits {
                    burst: START_BURST.read(source)?,
                    rate_per_s: START_RATE_PER_S.read(source)?,
                },
                polls: PaceLimits {
                    burst: LOOK_BURST.read(source)?,
                    rate_per_s: LOOK_RATE_PER_S.read(source)?,
                },
                max_in_flight: MAX_EXPORTS_IN_FLIGHT.read(source)?,
            },
            accounts: ACCOUNTS.read(source)?.unwrap_or_default(),
            prices: PRICE_USD_PER_GB.read(source)?.unwrap_or_default(),
        })
    }
}
