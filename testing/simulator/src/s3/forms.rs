//! Browser upload forms. Their signature is removed, as for all other requests; the policy is kept
//! and checked.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Fields that S3 allows in a form without a policy condition.
const IGNORED: &str = "name=\"x-ignore-signature\"";

/// The placeholder for the file's name in a key.
const FILE_NAME: &str = "${filename}";

/// Whether a request is an upload form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// The form without its signature, and the credential that it names.
pub(super) fn without_signature(body: &Bytes) -> (Bytes, Option<String>) {
    // All parts before the file are fields.
    let fields_end = find(body, "name=\"file\"").unwrap_or(body.len());
    let (fields, rest) = body.split_at(fields_end);
    let credential = ["name=\"x-amz-credential\"", "name=\"awsaccesskeyid\""]
        .into_iter()
        .find_map(|name| {
            let text = std::str::from_utf8(&fields[find(fields, name)? + name.len()..]).ok()?;
            text.trim_start_matches("\r\n")
                .lines()
                .next()
                .map(str::to_owned)
        });
    let mut form = fields.to_vec();
    for name in ["name=\"x-amz-signature\"", "name=\"signature\""] {
        if let Some(at) = find(&form, name) {
            form.splice(at..at + name.len(), IGNORED.bytes());
        }
    }
    // The key may contain the placeholder for the file's name.
    if let Some(at) = find(&form, FILE_NAME) {
        form.splice(at..at + FILE_NAME.len(), file_name(rest).iter().copied());
    }
    form.extend_from_slice(rest);
    (Bytes::from(form), credential)
}

/// The file name that the browser sent.
fn file_name(part: &[u8]) -> &[u8] {
    let line = &part[..find(part, "\r\n").unwrap_or(part.len())];
    let Some(at) = find(line, "filename=\"") else {
        return b"";
    };
    let name = &line[at + "filename=\"".len()..];
    &name[..find(name, "\"").unwrap_or(name.len())]
}

fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes
        .windows(text.len())
        .position(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signature_goes() {
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let file = field("file", "name=\"x-amz-signature\"");
        let form = [
            field("key", "k"),
            field("X-Amz-Credential", "AKID/x"),
            field("X-Amz-Signature", "ab"),
            file.clone(),
        ]
        .concat();
        let (left, credential) = without_signature(&Bytes::from(form));
        let left = String::from_utf8(left.to_vec()).unwrap();
        assert_eq!(credential.as_deref(), Some("AKID/x"));
        assert!(
            left.contains("name=\"x-ignore-signature\"") && left.ends_with(&file),
            "{left}"
        );
        assert!(!left.contains("X-Amz-Signature"));
        let form = field("key", "up/${filename}")
            + "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n";
        let (left, _) = without_signature(&Bytes::from(form));
        assert!(
            String::from_utf8(left.to_vec())
                .unwrap()
                .contains("up/a.txt\r\n")
        );
    }
}
