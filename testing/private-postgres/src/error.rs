//! Everything that can go wrong, each with what a person can do about it.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why a private Postgres did not start, or did not stop in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No Postgres server programs on this machine.
    NotInstalled,
    /// The folder was made by another major version of Postgres, which is not installed.
    OtherVersion {
        /// The folder.
        data_dir: PathBuf,
        /// The version that made it.
        made_by: String,
    },
    /// We are root, and there is no other user to run Postgres as.
    NoAccount,
    /// Another process runs a private Postgres on this folder.
    InUse {
        /// The folder.
        data_dir: PathBuf,
    },
    /// The folder is there but belongs to somebody else, is open to others, or is no folder.
    Unfit {
        /// The folder.
        data_dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The wanted port is taken.
    PortTaken {
        /// The port.
        port: u16,
    },
    /// A program of Postgres failed.
    Failed {
        /// What it was doing.
        doing: &'static str,
        /// Its last words.
        output: String,
    },
    /// The operating system refused something.
    Io {
        /// What we were doing.
        doing: String,
        /// Its answer.
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
                 to the folder that holds initdb and postgres",
            ),
            Self::OtherVersion { data_dir, made_by } => write!(
                f,
                "{} was made by Postgres {made_by}, which is not installed: install postgresql-{made_by}, or remove the \
                 folder to start with an empty database",
                data_dir.display()
            ),
            Self::NoAccount => f.write_str(
                "Postgres refuses to run as root, and this machine has neither a user `postgres` nor `nobody`: run this \
                 as another user",
            ),
            Self::InUse { data_dir } => {
                write!(f, "another process runs its Postgres in {}: stop that one first, or use another folder", data_dir.display())
            }
            Self::Unfit { data_dir, why } => {
                write!(f, "{} cannot hold a database: {why}; remove it or use another folder", data_dir.display())
            }
            Self::PortTaken { port } => {
                write!(f, "port {port} of 127.0.0.1 is taken: stop what listens there, or use another port")
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
