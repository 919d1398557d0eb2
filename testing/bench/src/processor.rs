//! CPU time of processes, as reported by Linux.

use std::path::Path;

use crate::Failed;

/// CPU time of a process, in seconds.
pub fn of(process: u32) -> Result<f64, Failed> {
    let stat = Stat::of(&Path::new("/proc").join(process.to_string()))?;
    Ok(stat.own_s)
}

/// CPU time of a process and all processes that it started, in seconds.
pub fn of_all_below(process: u32) -> Result<f64, Failed> {
    let stat = Stat::of(&Path::new("/proc").join(process.to_string()))?;
    let mut total_s = stat.own_s + stat.ended_s;
    for entry in std::fs::read_dir("/proc")? {
        // Entries that are not processes, or have ended meanwhile, add nothing.
        total_s += Stat::of(&entry?.path()).map_or(0.0, |stat| {
            if stat.parent == process {
                stat.own_s
            } else {
                0.0
            }
        });
    }
    Ok(total_s)
}

/// The required fields of proc_pid_stat(5).
struct Stat {
    parent: u32,
    own_s: f64,
    /// Time of its children that have ended.
    ended_s: f64,
}

impl Stat {
    fn of(folder: &Path) -> Result<Self, Failed> {
        let stat = std::fs::read_to_string(folder.join("stat"))?;
        // After the name in brackets comes the third field. Times are in hundredths of a second.
        let fields: Vec<_> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let field = |number: usize| {
            fields
                .get(number - 3)
                .and_then(|text| text.parse::<u32>().ok())
                .ok_or("a short /proc/…/stat")
        };
        let seconds = |first: usize| {
            Ok::<_, Failed>((f64::from(field(first)?) + f64::from(field(first + 1)?)) / 100.0)
        };
        Ok(Self {
            parent: field(4)?,
            own_s: seconds(14)?,
            ended_s: seconds(16)?,
        })
    }
}
