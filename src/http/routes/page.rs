//! `/`: the page, out of the table that the build made of `web/dist`.

use super::Answer;
use crate::http::body::{self, Cache};
use crate::http::error::Problem;
use crate::render::bytes::Made;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

/// A file of the page.
pub struct File {
    /// Below the page's root.
    name: &'static str,
    content_type: &'static str,
    tag: &'static str,
    plain: &'static [u8],
    /// Where that is smaller.
    gzip: Option<&'static [u8]>,
}

mod table {
    use super::File;
    include!(concat!(env!("OUT_DIR"), "/page.rs"));
}

/// Names below this folder hold a hash of their content.
const HASHED: &str = "assets/";

/// What the page may do: read from this server, and play what it puts together itself. Nothing from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

fn serve(request: &HttpRequest, file: &File) -> HttpResponse {
    let gzip = file.gzip.filter(|_| body::takes_gzip(request));
    let made = Made {
        bytes: Bytes::from_static(gzip.unwrap_or(file.plain)),
        tag: format!("{}{}", file.tag, if gzip.is_some() { "-gzip" } else { "" }),
        gzipped: gzip.is_some(),
    };
    let cache = if file.name.starts_with(HASHED) { Cache::Forever } else { Cache::Revalidate };
    let mut response = body::kept(request, file.content_type, made, cache);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn named(name: &str) -> Option<&'static File> {
    table::FILES.iter().find(|it| it.name == name)
}

/// True where this build has the page in it.
pub fn built() -> bool {
    named("index.html").is_some()
}

/// The page; where it was not built, how to add it.
pub async fn index(request: HttpRequest) -> HttpResponse {
    const WITHOUT: File = File {
        name: "index.html",
        content_type: "text/html; charset=utf-8",
        tag: "without",
        plain: include_bytes!("page.html"),
        gzip: None,
    };
    serve(&request, named("index.html").unwrap_or(&WITHOUT))
}

/// A file of the page.
pub async fn file(request: HttpRequest) -> Answer {
    let name = request.uri().path().trim_start_matches('/');
    named(name).map(|it| serve(&request, it)).ok_or_else(Problem::no_such_page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::{BodySize, MessageBody};
    use actix_web::test::TestRequest;

    const SCRIPT: File = File {
        name: "assets/x-1.js",
        content_type: "text/javascript",
        tag: "t",
        plain: b"plain",
        gzip: Some(b"gz"),
    };

    #[test]
    fn files_are_sent_as_the_client_takes_them_and_kept_by_their_names() {
        let ask = |name: &'static str, accept: &str| {
            let request = TestRequest::default().insert_header((header::ACCEPT_ENCODING, accept));
            serve(&request.to_http_request(), &File { name, ..SCRIPT })
        };
        let packed = ask(SCRIPT.name, "br, gzip");
        let said = |response: &HttpResponse, name| {
            response.headers().get(name).map(|it| it.to_str().unwrap().to_owned())
        };
        assert_eq!(said(&packed, header::CONTENT_ENCODING).as_deref(), Some("gzip"));
        assert_eq!(said(&packed, header::ETAG).as_deref(), Some("\"t-gzip\""));
        assert_eq!(packed.body().size(), BodySize::Sized(2));
        let plain = ask("index.html", "identity");
        assert_eq!(said(&plain, header::CONTENT_ENCODING), None);
        assert_eq!(plain.body().size(), BodySize::Sized(5));
        assert!(said(&packed, header::CACHE_CONTROL).unwrap().contains("immutable"));
        assert_eq!(said(&plain, header::CACHE_CONTROL).as_deref(), Some("no-cache"));
        assert!(said(&plain, header::CONTENT_SECURITY_POLICY).unwrap().contains("script-src 'self';"));
    }

    #[test]
    fn a_page_that_was_built_has_its_index_and_all_it_names() {
        let Some(index) = named("index.html") else { return assert!(table::FILES.is_empty()) };
        let text = std::str::from_utf8(index.plain).unwrap();
        let names = text.split('"').filter_map(|it| it.strip_prefix("./").or(it.strip_prefix('/')));
        for name in names.filter(|it| it.contains('.')) {
            assert!(named(name).is_some(), "{name}");
        }
        assert!(!text.contains("<style") && !text.contains("<script>"), "the policy allows neither");
    }
}
