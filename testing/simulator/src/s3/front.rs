//! The layer in front of s3s: it removes signatures from requests, because any credentials are
//! accepted here, and decodes the transfer coding that comes with them. Anonymous requests are
//! accepted; an expired presigned URL is not.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    EXPECT, HeaderName, HeaderValue, SERVER,
};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use percent_encoding::percent_decode_str;
use s3s::service::S3Service;
use time::format_description::well_known::Iso8601;
use time::{OffsetDateTime, PrimitiveDateTime};
use tower::ServiceExt as _;

use super::errors::{self, Ids};
use super::{chunked, forms};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::world::World;

const SIGNATURE_HEADERS: [&str; 4] = [
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-decoded-content-length",
];
const SIGNATURE_PARAMETERS: [&str; 10] = [
    "awsaccesskeyid",
    "signature",
    "expires",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
];

#[derive(Clone)]
pub(crate) struct S3Front {
    service: S3Service,
    world: Arc<World>,
}

impl S3Front {
    pub(crate) fn new(service: S3Service, world: Arc<World>) -> Self {
        Self { service, world }
    }

    pub(crate) async fn answer(
        &self,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<s3s::Body>, Infallible> {
        let path = percent_decode_str(request.uri().path())
            .decode_utf8_lossy()
            .into_owned();
        // AWS's Python clients misparse a response to an empty PUT that comes without `100
        // Continue`.
        let closes = request.method() == Method::PUT
            && request.headers().contains_key(EXPECT)
            && request
                .headers()
                .get(CONTENT_LENGTH)
                .is_some_and(|length| length == "0");
        let ids = Ids::draw(&mut self.world.state().request_ids);
        let mut response = as_s3_writes_it(self.handle(request).await, &path, &ids);
        let headers = response.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("AmazonS3"));
        for (name, value) in [("x-amz-request-id", ids.request), ("x-amz-id-2", ids.host)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        if closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    async fn handle(&self, request: Request<hyper::body::Incoming>) -> Response<s3s::Body> {
        let (mut parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "IncompleteBody",
                "The body ended early",
            );
        };
        let mut body = body.to_bytes();
        let presigned = Presigned::of(&parts.uri);
        if presigned
            .as_ref()
            .is_some_and(|presigned| presigned.is_over(Clock::real_time()))
        {
            return refusal(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired");
        }
        let mut caller = match &presigned {
            Some(presigned) => Caller::of_credential(&presigned.credential, &self.world.account_id),
            None => Caller::of_headers(&parts.headers, &self.world.account_id),
        };
        parts.uri = without_signature(&parts.uri);
        let sha256 = parts
            .headers
            .get("x-amz-content-sha256")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if sha256.starts_with("STREAMING-") {
            let Some(decoded) = chunked::decode(&body) else {
                return refusal(
                    StatusCode::BAD_REQUEST,
                    "IncompleteBody",
                    "The chunks of the body do not add up",
                );
            };
            for (name, value) in decoded.trailer {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::try_from(name), HeaderValue::try_from(value))
                {
                    parts.headers.insert(name, value);
                }
            }
            parts.headers.remove("x-amz-trailer");
            parts.headers.remove(http::header::TRANSFER_ENCODING);
            without_chunked(&mut parts.headers);
            parts
                .headers
                .insert(CONTENT_LENGTH, HeaderValue::from(decoded.bytes.len()));
            body = Bytes::from(decoded.bytes);
        }
        if parts.method == Method::POST && forms::is_form(&parts.headers) {
            let (form, credential) = forms::without_signature(&body);
            parts
                .headers
                .insert(CONTENT_LENGTH, HeaderValue::from(form.len()));
            body = form;
            if let Some(credential) = credential {
                caller = Caller::of_credential(&credential, &self.world.account_id);
            }
        }
        parts.headers.remove(AUTHORIZATION);
        for name in SIGNATURE_HEADERS {
            parts.headers.remove(name);
        }
        parts.extensions.insert(caller);
        let request = Request::from_parts(parts, Full::new(body));
        self.service
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|broken| {
                tracing::error!(error = ?broken, "S3 could not respond");
                refusal(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "InternalError",
                    "We encountered an internal error. Please try again.",
                )
            })
    }
}

/// Completes errors and makes XML well-formed. Objects, which have an ETag, are not changed.
fn as_s3_writes_it(
    mut response: Response<s3s::Body>,
    path: &str,
    ids: &Ids,
) -> Response<s3s::Body> {
    if response.status() == StatusCode::OK && response.headers().contains_key(CONTENT_RANGE) {
        // s3s does so only for GET.
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let is_xml = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/xml"));
    let bytes = response
        .body()
        .bytes()
        .filter(|_| is_xml && !response.headers().contains_key(ETAG));
    let Some(text) = bytes
        .as_deref()
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
    else {
        return response;
    };
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let text = if is_error {
        errors::complete(text, path, ids)
    } else {
        text.to_owned()
    };
    // This is the only response with an ETag without quotes.
    let text = if text.contains("<GetObjectAttributesResponse") {
        text.replace("<ETag>\"", "<ETag>")
            .replace("\"</ETag>", "</ETag>")
    } else {
        text
    };
    let text = errors::without_control_characters(&text);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, s3s::Body::from(Bytes::from(text)))
}

struct Presigned {
    credential: String,
    ends_at: Option<OffsetDateTime>,
}

impl Presigned {
    /// The signature parameters of a URL, for both signature versions.
    fn of(uri: &Uri) -> Option<Self> {
        let (mut credential, mut made_at, mut expires) = (String::new(), None, None);
        let (mut version_4, mut version_2) = (false, false);
        for (name, value) in parameters(uri) {
            match name.to_ascii_lowercase().as_str() {
                "x-amz-signature" => version_4 = true,
                "signature" => version_2 = true,
                "x-amz-credential" | "awsaccesskeyid" => {
                    credential = percent_decode_str(value).decode_utf8_lossy().into_owned()
                }
                "x-amz-date" => {
                    made_at = PrimitiveDateTime::parse(value, &Iso8601::DEFAULT)
                        .ok()
                        .map(PrimitiveDateTime::assume_utc)
                }
                "x-amz-expires" | "expires" => expires = value.parse::<i64>().ok(),
                _ => {}
            }
        }
        let ends_at = if version_4 {
            Some(made_at?.saturating_add(time::Duration::seconds(expires?)))
        } else {
            expires.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok())
        };
        (version_4 || version_2).then_some(Self {
            credential,
            ends_at,
        })
    }

    fn is_over(&self, now: OffsetDateTime) -> bool {
        self.ends_at.is_none_or(|ends_at| ends_at < now)
    }
}

fn parameters(uri: &Uri) -> impl Iterator<Item = (&str, &str)> {
    let pairs = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn without_signature(uri: &Uri) -> Uri {
    let kept: Vec<String> = parameters(uri)
        .filter(|(name, _)| !SIGNATURE_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| {
            if value.is_empty() {
                name.to_owned()
            } else {
                format!("{name}={value}")
            }
        })
        .collect();
    let path = uri.path();
    let text = if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", kept.join("&"))
    };
    text.parse().unwrap_or_else(|_| uri.clone())
}

fn without_chunked(headers: &mut http::HeaderMap) {
    let codings = headers
        .get(CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kept: Vec<&str> = codings
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && *coding != "aws-chunked")
        .collect();
    match HeaderValue::try_from(kept.join(", ")) {
        Ok(kept) if !kept.is_empty() => headers.insert(CONTENT_ENCODING, kept),
        _ => headers.remove(CONTENT_ENCODING),
    };
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response<s3s::Body> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(s3s::Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_has_its_time() {
        let uri: Uri = "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260101%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=ab&response-content-type=a%2Fb"
            .parse()
            .unwrap();
        let presigned = Presigned::of(&uri).unwrap();
        assert_eq!(
            presigned.credential,
            "AKID/20260101/eu-west-1/s3/aws4_request"
        );
        let made_at = time::macros::datetime!(2026-01-01 0:00 UTC);
        assert!(!presigned.is_over(made_at + time::Duration::seconds(60)));
        assert!(presigned.is_over(made_at + time::Duration::seconds(61)));
        assert_eq!(
            without_signature(&uri).to_string(),
            "/b/k?response-content-type=a%2Fb"
        );
        let older: Uri = "/b/k?AWSAccessKeyId=AKID&Signature=ab%3D&Expires=1767225660"
            .parse()
            .unwrap();
        assert!(!Presigned::of(&older).unwrap().is_over(made_at));
        assert!(
            Presigned::of(&older)
                .unwrap()
                .is_over(made_at + time::Duration::seconds(61))
        );
        assert_eq!(without_signature(&older).to_string(), "/b/k");
        assert!(Presigned::of(&"/b/k?list-type=2".parse().unwrap()).is_none());
    }
}
