//! The version and commit, as `tableferry --version` and the first log line show them.

/// The commit's first digits, followed by `-modified` if the sources had uncommitted changes, or
/// `unknown`. `build.rs` determines it.
pub const COMMIT: &str = env!("BUILT_FROM_COMMIT");

/// Printed after the name by `tableferry --version`.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("BUILT_FROM_COMMIT"),
    ")"
);
