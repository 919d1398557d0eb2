//! Writes the items of a downloaded data file as plain JSON lines, by the same rules as the
//! service's `items?format=json`.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::Path;

use super::fetch::Failed;
use super::place::{part_of, plain_of};
use tableferry_domain::export::request::ExportFormat;
use tableferry_export_files::attribute::{plain_record, without_wrapper};
use tableferry_export_files::records::{Records, malformed};

const BUFFER_BYTES: usize = 256 * 1024;

/// Writes the items of a data file beside it, one per line. Returns their number. The file gets its
/// name when it is complete.
pub async fn write_plain(
    file: &Path,
    format: ExportFormat,
    item_count: Option<u64>,
) -> Result<u64, Failed> {
    let file = file.to_owned();
    let written = tokio::task::spawn_blocking(move || write(&file, format, item_count)).await;
    written.map_err(|error| Failed::NotFetched(format!("cannot write its items: {error}")))?
}

fn write(file: &Path, format: ExportFormat, item_count: Option<u64>) -> Result<u64, Failed> {
    let target = plain_of(file);
    let part = part_of(&target);
    let on_disk = |path: &Path| {
        let path = path.to_owned();
        move |error| Failed::Disk(path, error)
    };
    let mut records = Records::new(
        BufReader::with_capacity(BUFFER_BYTES, File::open(file).map_err(on_disk(file))?),
        format,
    );
    let mut out =
        BufWriter::with_capacity(BUFFER_BYTES, File::create(&part).map_err(on_disk(&part))?);
    let mut items = 0;
    let read = loop {
        match records.read_next::<true>() {
            Ok(Some(record)) => {
                items += 1;
                let line = without_wrapper(plain_record(&record));
                serde_json::to_writer(&mut out, &line)
                    .map_err(io::Error::from)
                    .and_then(|()| out.write_all(b"\n"))
                    .map_err(on_disk(&part))?;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let wrong = match read {
        Ok(()) => item_count
            .filter(|named| *named != items)
            .map(|named| format!("has {items} items; the manifest says {named}")),
        Err(error) => match malformed(&error) {
            Some(what) => Some(what.to_string()),
            None => return Err(Failed::Disk(file.to_owned(), error)),
        },
    };
    if let Some(what) = wrong {
        drop(out);
        fs::remove_file(&part).map_err(on_disk(&part))?;
        return Err(Failed::Wrong(what));
    }
    out.flush().map_err(on_disk(&part))?;
    fs::rename(&part, &target).map_err(on_disk(&target))?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn items_are_written_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("tableferry-plain-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("x.json.gz");
        let plain = folder.join("x.json.gz.jsonl");
        let put = |text: &str| {
            let mut encoder = GzEncoder::new(File::create(&file).unwrap(), Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap();
        };
        let json = ExportFormat::DynamodbJson;
        put(
            "{\"Item\":{\"n\":{\"N\":\"1E+2\"},\"s\":{\"S\":\"a\\nb\"}}}\n{\"Keys\":{\"n\":{\"N\":\"1\"}},\"Metadata\":{}}\n",
        );
        assert_eq!(write(&file, json, Some(2)).unwrap(), 2);
        assert_eq!(
            fs::read_to_string(&plain).unwrap(),
            "{\"n\":100,\"s\":\"a\\nb\"}\n{\"Keys\":{\"n\":1},\"Metadata\":{}}\n"
        );
        fs::remove_file(&plain).unwrap();
        assert!(
            matches!(write(&file, json, Some(3)), Err(Failed::Wrong(what)) if what.contains("2 items"))
        );
        put("{\"Item\":{}}\n{\"Other\":1}\n");
        assert!(
            matches!(write(&file, json, Some(2)), Err(Failed::Wrong(what)) if what.contains("line 2"))
        );
        assert!(matches!(
            write(&file, ExportFormat::Ion, None),
            Err(Failed::Wrong(_))
        ));
        let left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["x.json.gz"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
