//! Unguessable names and passwords, from the operating system.

use std::fs::File;
use std::io::Read;

use crate::Error;

/// `bytes` random bytes in lower-case hex.
pub(crate) fn hex(bytes: usize) -> Result<String, Error> {
    let mut buffer = vec![0_u8; bytes];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut buffer))
        .map_err(Error::io("reading /dev/urandom"))?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}
