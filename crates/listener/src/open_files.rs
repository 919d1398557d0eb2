//! How many connections the limit of open files allows.

use crate::slots::SPARE;

/// Reduces a number of connections to what the limit of open files allows, and logs that. Raises
/// the soft limit to the hard limit first: it is low by tradition, for programs that call `select`.
#[must_use]
pub fn connections_within_open_files(wanted: usize) -> usize {
    // Where the limit cannot be read there may be none.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    let fit = connections_for(files);
    if fit < wanted {
        tracing::warn!(
            connections.most = fit,
            connections.wanted = wanted,
            "the limit of open files (ulimit -n, LimitNOFILE) allows fewer connections than TABLEFERRY_MAX_CONNECTIONS"
        );
    }
    wanted.min(fit)
}

/// A quarter of the files, but at most 512, is left for Postgres, AWS and receivers of webhooks.
fn connections_for(files: u64) -> usize {
    let others = (files / 4).clamp(64, 512);
    let fit = files.saturating_sub(others).saturating_sub(SPARE as u64);
    usize::try_from(fit).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_for_others() {
        for (files, connections) in [(20_000, 19_424), (1024, 704), (100, 1), (0, 1)] {
            assert_eq!(connections_for(files), connections, "{files}");
        }
        assert!(connections_for(u64::MAX) > 1_000_000);
    }
}
