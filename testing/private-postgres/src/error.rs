//! Errors, each with what the user can do about it.

use std::path::{Path, PathBuf};
use std::{fmt, io};

#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No Postgres server programs on this machine.
    NotInstalled,
    /// The folder was created by another major version of Postgres, which is not installed.
    OtherVersion {
        data_dir: PathBuf,
        /// The version that created it.
        made_by: String,
    },
    /// This process is root, and there is no other user to run Postgres as.
    NoAccount,
    /// Another process runs a private Postgres on this folder.
    InUse {
        data_dir: PathBuf,
    },
    /// The folder exists but belongs to another user, is accessible to others, or is not a folder.
    Unfit {
        data_dir: PathBuf,
        why: String,
    },
    PortTaken {
        port: u16,
    },
    Failed {
        /// What it was doing.
        doing: &'static str,
        /// The end of its output.
        output: String,
    },
    /// An operating system error.
    Io {
        /// What this process was doing.
        doing: String,
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn unfit(data_dir: &Path, why: impl Into<String>) -> Self {
        Self::Unfit {
            data_dir: data_dir.to_owned(),
            why: why.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str(
                "Postgres is not installed: run `make setup`, or `apt-get install postgresql`, or set POSTGRES_BIN_DIR \
                 to the folder that contains initdb and postgres",
            ),
            Self::OtherVersion { data_dir, made_by } => write!(
                f,
                "{} was created by Postgres {made_by}, which is not installed: install postgresql-{made_by}, or remove the \
                 folder to start with an empty database",
                data_dir.display()
            ),
            Self::NoAccount => f.write_str(
                "Postgres refuses to run as root, and this machine has neither a user `postgres` nor `nobody`: run this \
                 as another user",
            ),
            Self::InUse { data_dir } => {
                write!(f, "another process runs its Postgres in {}: stop it first, or use another folder", data_dir.display())
            }
            Self::Unfit { data_dir, why } => {
                write!(f, "{} cannot hold a database: {why}; remove it or use another folder", data_dir.display())
            }
            Self::PortTaken { port } => {
                write!(f, "port {port} of 127.0.0.1 is in use: stop the process that listens there, or use another port")
            }
            Self::Failed { doing, output } => write!(f, "{doing} failed:\n{output}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
