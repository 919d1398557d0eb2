//! Finds the Postgres programs that are installed on this machine.
//!
//! Order: `POSTGRES_BIN_DIR`, then Debian's `/usr/lib/postgresql/<newest>/bin`, then `PATH`. For a
//! folder that an older major version created, Debian's programs of that version are used if they
//! are installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

const DEBIAN_DIR: &str = "/usr/lib/postgresql";

/// The folder with `initdb`, `postgres` and `pg_ctl`.
#[derive(Debug, Clone)]
pub(crate) struct Install {
    bin_dir: PathBuf,
}

impl Install {
    /// The programs to use for a cluster that the major version `made_by` created (`None`: a new
    /// cluster).
    pub(crate) fn find(made_by: Option<&str>) -> Result<Self, Error> {
        candidates(made_by)
            .into_iter()
            .find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
            .map(|bin_dir| Self { bin_dir })
            .ok_or(Error::NotInstalled)
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// The major version, as `PG_VERSION` files spell it.
    pub(crate) fn version(&self) -> Result<String, Error> {
        let program = self.program("postgres");
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .map_err(Error::io(format!("running {}", program.display())))?;
        Ok(major_version(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// `15` from `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `19` from `postgres
/// (PostgreSQL) 19beta1`.
fn major_version(printed: &str) -> String {
    let version = printed
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    version
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect()
}

fn candidates(made_by: Option<&str>) -> Vec<PathBuf> {
    let chosen = env::var_os("POSTGRES_BIN_DIR")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from);
    if let Some(dir) = chosen {
        return vec![dir]; // an explicit choice is used or rejected, never skipped silently
    }
    let debian = debian_versions()
        .into_iter()
        .map(|version| version.to_string());
    let in_order = made_by.map(str::to_owned).into_iter().chain(debian);
    let mut dirs: Vec<PathBuf> = in_order
        .map(|version| Path::new(DEBIAN_DIR).join(version).join("bin"))
        .collect();
    // The entry in PATH may be a link into the real folder, which has the other programs.
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path =
        env::split_paths(&path).filter_map(|dir| fs::canonicalize(dir.join("postgres")).ok());
    dirs.extend(on_path.filter_map(|program| program.parent().map(Path::to_owned)));
    dirs
}

/// The versions that Debian's packages have installed, newest first.
fn debian_versions() -> Vec<u32> {
    let entries = fs::read_dir(DEBIAN_DIR).into_iter().flatten().flatten();
    let mut versions: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn major_version_is_read_from_what_postgres_prints() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            "15"
        );
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1\n"), "19");
        assert_eq!(major_version(""), "");
    }
}
