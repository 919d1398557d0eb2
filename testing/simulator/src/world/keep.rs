//! The state file, which survives a restart. It is replaced atomically, never written in place.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Export, State, Table};

const FORMAT: u32 = 1;

/// Why a state could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("{path}: {source}")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("the state file is not valid: {0}")]
    Format(#[from] serde_json::Error),
    #[error("the state file has format {0}, but this simulator reads {FORMAT}")]
    Version(u32),
}

impl KeepError {
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.display().to_string(),
            source,
        }
    }
}

#[derive(Serialize)]
struct Kept<'a> {
    format: u32,
    restarts: u64,
    clock_offset_seconds: f64,
    tables: Vec<&'a Table>,
    exports: Vec<&'a Export>,
    kms_keys: Vec<&'a String>,
    external_ids: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Found {
    format: u32,
    restarts: u64,
    clock_offset_seconds: f64,
    tables: Vec<Table>,
    exports: Vec<Export>,
    kms_keys: Vec<String>,
    #[serde(default)]
    external_ids: BTreeMap<String, String>,
}

pub(super) fn render(state: &State, clock_offset: time::Duration) -> Result<Vec<u8>, KeepError> {
    let kept = Kept {
        format: FORMAT,
        restarts: state.restarts,
        clock_offset_seconds: clock_offset.as_seconds_f64(),
        tables: state.tables().collect(),
        exports: state.exports().collect(),
        kms_keys: state.kms_keys.iter().collect(),
        external_ids: &state.external_ids,
    };
    Ok(serde_json::to_vec(&kept)?)
}

pub(super) fn write(path: &Path, text: &[u8]) -> Result<(), KeepError> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(|source| KeepError::file(folder, source))?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    std::fs::write(beside, text).map_err(|source| KeepError::file(beside, source))?;
    std::fs::rename(beside, path).map_err(|source| KeepError::file(path, source))
}

/// Loads the file, if it exists, into a new state; returns the clock's offset.
pub(super) fn load(path: &Path, state: &mut State) -> Result<time::Duration, KeepError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
            return Ok(time::Duration::ZERO);
        }
        Err(source) => return Err(KeepError::file(path, source)),
    };
    let found: Found = serde_json::from_slice(&text)?;
    if found.format != FORMAT {
        return Err(KeepError::Version(found.format));
    }
    state.restart(found.restarts + 1);
    for table in found.tables {
        state.add_table(table);
    }
    for export in found.exports {
        state.add_export(export);
    }
    state.kms_keys.extend(found.kms_keys);
    state.external_ids.extend(found.external_ids);
    Ok(time::Duration::seconds_f64(found.clock_offset_seconds))
}
