//! Prefixes links in headers with `TABLEFERRY_PUBLIC_URL` if it is set. One layer does it for all
//! responses, so that no handler can forget it.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

use crate::domain::public_url::PublicUrl;

/// Puts the public URL before the paths in `Location` and `Link`. Without one they stay relative.
pub(super) fn make_absolute(public_url: &PublicUrl, mut response: Response) -> Response {
    if public_url.is_set() {
        rewrite(&mut response, header::LOCATION, |location| {
            location.starts_with('/').then(|| public_url.to(location))
        });
        rewrite(&mut response, header::LINK, |link| {
            Some(link.replace("</", &format!("<{}/", public_url.as_str())))
        });
    }
    response
}

fn rewrite(response: &mut Response, name: HeaderName, to: impl Fn(&str) -> Option<String>) {
    let new = response
        .headers()
        .get(&name)
        .and_then(|value| to(value.to_str().ok()?))
        .and_then(|new| HeaderValue::try_from(new).ok());
    if let Some(new) = new {
        response.headers_mut().insert(name, new);
    }
}
