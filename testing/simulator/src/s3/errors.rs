//! XML responses as S3 sends them: errors with a message, the resource and the request's ids;
//! characters that XML does not allow are written as references.

use std::fmt::Write as _;

pub(super) struct Ids {
    pub(super) request: String,
    pub(super) host: String,
}

impl Ids {
    pub(super) fn draw(random: &mut fastrand::Rng) -> Self {
        let letter = |random: &mut fastrand::Rng| {
            char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[random.usize(..32)])
        };
        let request = (0..16).map(|_| letter(random)).collect();
        let mut host: String = (0..75).map(|_| random.alphanumeric()).collect();
        host.push('=');
        Self { request, host }
    }
}

/// Fills in missing elements of an error. Other texts are returned unchanged.
pub(super) fn complete(error: &str, path: &str, ids: &Ids) -> String {
    let (Some(code), Some(end)) = (element(error, "Code"), error.rfind("</Error>")) else {
        return error.to_owned();
    };
    let mut text = error[..end].to_owned();
    if element(error, "Message").is_none() {
        let _ = write!(text, "<Message>{}</Message>", sentence(code));
    }
    let (bucket, key) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((path.trim_start_matches('/'), ""));
    match code {
        "NoSuchKey" => {
            let _ = write!(text, "<Key>{}</Key>", escape(key));
        }
        "NoSuchBucket"
        | "InvalidBucketName"
        | "BucketNotEmpty"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou" => {
            let _ = write!(text, "<BucketName>{}</BucketName>", escape(bucket));
        }
        _ => {}
    }
    let _ = write!(
        text,
        "<Resource>{}</Resource><RequestId>{}</RequestId><HostId>{}</HostId></Error>",
        escape(path),
        ids.request,
        ids.host
    );
    text
}

/// S3's message for a code, for errors without one.
fn sentence(code: &str) -> &'static str {
    match code {
        "IncompleteBody" => {
            "You did not provide the number of bytes specified by the Content-Length HTTP header"
        }
        "InternalError" => "We encountered an internal error. Please try again.",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedPOSTRequest" => {
            "The body of your POST request is not well-formed multipart/form-data."
        }
        "MalformedXML" => {
            "The XML you provided was not well-formed or did not validate against our published schema"
        }
        "MaxMessageLengthExceeded" => "Your request was too big.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "NotImplemented" => "This simulator does not implement what the request asks for.",
        _ => "The request is not one that can be answered.",
    }
}

/// Writes control characters as references. XML 1.0 has no way to represent them, but S3 writes
/// references.
pub(super) fn without_control_characters(xml: &str) -> String {
    let is_bad = |letter: char| letter.is_ascii_control() && !['\n', '\t', '\r'].contains(&letter);
    xml.chars()
        .fold(String::with_capacity(xml.len()), |mut text, letter| {
            if is_bad(letter) {
                let _ = write!(text, "&#x{:x};", u32::from(letter));
            } else {
                text.push(letter);
            }
            text
        })
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_get_what_they_lack() {
        let ids = Ids {
            request: "REQ".to_owned(),
            host: "HOST=".to_owned(),
        };
        let error = complete("<Error><Code>InvalidRange</Code></Error>", "/b/a<b", &ids);
        let wanted = "<Error><Code>InvalidRange</Code><Message>The requested range is not satisfiable</Message><Resource>/b/a&lt;b</Resource><RequestId>REQ</RequestId><HostId>HOST=</HostId></Error>";
        assert_eq!(error, wanted);
        let error = complete(
            "<Error><Code>NoSuchKey</Code><Message>m</Message></Error>",
            "/b/k/l",
            &ids,
        );
        assert!(
            error.contains("<Message>m</Message><Key>k/l</Key>"),
            "{error}"
        );
        assert_eq!(
            complete("<ListBucketResult/>", "/b", &ids),
            "<ListBucketResult/>"
        );
        assert_eq!(without_control_characters("a\u{1}b\nc"), "a&#x1;b\nc");
    }
}
