//! Which version this is, and of which commit: as `tableferry --version` and the first log line
//! tell it.

/// The commit's first digits, with `-modified` if what it was built from was not committed, or
/// `unknown`. See `build.rs`.
pub const COMMIT: &str = env!("BUILT_FROM_COMMIT");

/// What `tableferry --version` says behind the name.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("BUILT_FROM_COMMIT"),
    ")"
);
