//! Metrics of this process from Linux's `/proc`: memory, CPU time, file descriptors. They are
//! missing on other systems.

use std::fs;

use crate::metrics_catalog::{
    PROCESS_CPU, PROCESS_FILE_LIMIT, PROCESS_FILES, PROCESS_MEMORY, PROCESS_THREADS, PROCESS_UPTIME,
};

/// The unit of CPU time in `/proc`, on every architecture (`USER_HZ`).
const TICKS_PER_S: u64 = 100;

pub fn record() {
    if let Some(stat) = fs::read_to_string("/proc/self/stat")
        .ok()
        .as_deref()
        .and_then(Stat::parse)
    {
        metrics::counter!(PROCESS_CPU, "cpu_mode" => "user")
            .absolute(stat.user_ticks / TICKS_PER_S);
        metrics::counter!(PROCESS_CPU, "cpu_mode" => "system")
            .absolute(stat.system_ticks / TICKS_PER_S);
        metrics::gauge!(PROCESS_THREADS).set(number(stat.threads));
        if let Some(up_s) = fs::read_to_string("/proc/uptime")
            .ok()
            .as_deref()
            .and_then(first_number)
        {
            metrics::gauge!(PROCESS_UPTIME)
                .set((up_s - number(stat.start_ticks) / number(TICKS_PER_S)).max(0.0));
        }
    }
    if let Some(kib) = fs::read_to_string("/proc/self/status")
        .ok()
        .as_deref()
        .and_then(|text| value_of(text, "VmRSS:"))
    {
        metrics::gauge!(PROCESS_MEMORY).set(kib * 1024.0);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // Without the descriptor that reads the folder.
        metrics::gauge!(PROCESS_FILES).set(number(open.count().saturating_sub(1) as u64));
    }
    if let Some(limit) = fs::read_to_string("/proc/self/limits")
        .ok()
        .as_deref()
        .and_then(|text| value_of(text, "Max open files"))
    {
        metrics::gauge!(PROCESS_FILE_LIMIT).set(limit);
    }
}

/// The fields of `/proc/self/stat` that are used.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    user_ticks: u64,
    system_ticks: u64,
    threads: u64,
    start_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets, which may contain brackets and spaces
        // itself.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The first of these is field 3 in proc_pid_stat(5).
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            user_ticks: field(14)?,
            system_ticks: field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
        })
    }
}

/// The first number on the line that begins with this name.
fn value_of(text: &str, name: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(first_number)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "these numbers are small")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_writes() {
        let stat =
            "42 (a (b) c) S 1 42 42 0 -1 4194560 900 0 0 0 1234 567 0 0 20 0 9 0 8888 123 456";
        assert_eq!(
            Stat::parse(stat),
            Some(Stat {
                user_ticks: 1234,
                system_ticks: 567,
                threads: 9,
                start_ticks: 8888
            })
        );
        assert_eq!(Stat::parse("42 (a) S 1"), None);
        assert_eq!(
            value_of("Name:\ta\nVmRSS:\t   2048 kB\n", "VmRSS:"),
            Some(2048.0)
        );
        assert_eq!(
            value_of(
                "Max open files            1024                 524288               files\n",
                "Max open files"
            ),
            Some(1024.0)
        );
        assert_eq!(
            value_of(
                "Max open files            unlimited            unlimited            files\n",
                "Max open files"
            ),
            None
        );
    }
}
