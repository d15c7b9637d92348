//! Bodies: files with ranges and validators, streams from a worker, small texts. Cache lifetimes live here.

mod condition;
mod file;
mod range;
mod stream;
mod watch;

pub use file::{Reader, serve as file};
pub use stream::streamed;
pub use watch::{Connection, Watched};

use super::error::Problem;
use crate::render::bytes::Made;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentEncoding};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use condition::Verdict;
use range::Wanted;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How long an answer may be kept by whoever passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Ask again each time; a validator makes that cheap. For what may change while its address stays.
    Revalidate,
    /// Keep it for a day without asking: what is at this address does not change. Not for longer, since an archive's keeper
    /// may still take something away.
    Settled,
    /// Keep it for a moment: who asks for the same now gets the same.
    Briefly,
    /// Keep it for good: its address tells its content.
    Forever,
    /// Never keep it: metrics, health, errors.
    Never,
}

impl Cache {
    pub const fn header(self) -> (header::HeaderName, &'static str) {
        let value = match self {
            Self::Revalidate => "no-cache",
            Self::Settled => "public, max-age=86400, immutable",
            Self::Briefly => "public, max-age=2",
            Self::Forever => "public, max-age=31536000, immutable",
            Self::Never => "no-store",
        };
        (header::CACHE_CONTROL, value)
    }
}

/// Answers with bytes made in memory: 304 when the client has them.
pub fn made(request: &HttpRequest, content_type: &'static str, made: Made) -> HttpResponse {
    kept(request, content_type, made, Cache::Revalidate)
}

/// [`made`], with a lifetime.
pub fn kept(request: &HttpRequest, content_type: &'static str, made: Made, cache: Cache) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    let tag = format!("\"{}\"", made.tag);
    response.insert_header(cache.header()).insert_header((header::ETAG, tag.as_str()));
    if condition::weigh(request.headers(), &tag, None) == Verdict::NotModified {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.content_type(content_type);
    if made.gzipped {
        response.insert_header(ContentEncoding::Gzip);
    }
    response.body(made.bytes)
}

/// The answer to a client that has what its address stands for, told by its tag before anything is made.
pub fn held(request: &HttpRequest, tag: &str, cache: Cache) -> Option<HttpResponse> {
    let tag = format!("\"{tag}\"");
    (condition::weigh(request.headers(), &tag, None) == Verdict::NotModified).then(|| {
        let mut response = HttpResponse::NotModified();
        response.insert_header(cache.header()).insert_header((header::ETAG, tag)).finish()
    })
}

/// [`kept`], and the part of it that is asked for. Several parts at once are answered with the whole, as RFC 9110 §14.2
/// allows.
pub fn ranged(
    request: &HttpRequest,
    content_type: &'static str,
    made: Made,
    cache: Cache,
) -> Result<HttpResponse, Problem> {
    let (tag, length) = (format!("\"{}\"", made.tag), made.bytes.len() as u64);
    let headers = request.headers();
    if condition::weigh(headers, &tag, None) == Verdict::Failed {
        return Err(Problem::precondition());
    }
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let wanted = match range.filter(|_| condition::range_counts(headers, &tag, None)) {
        Some(range) => range::read(range, length),
        None => Wanted::Whole,
    };
    let (status, made) = match wanted {
        Wanted::Refused(why) => return Err(Problem::range(length, why)),
        Wanted::Parts(parts) if parts.len() == 1 => {
            let part = parts[0].clone();
            let bytes = made.bytes.slice(part.start as usize..part.end as usize);
            (Some(part), Made { bytes, ..made })
        }
        _ => (None, made),
    };
    let mut response = kept(request, content_type, made, cache);
    response.headers_mut().insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    if let Some(part) = status.filter(|_| response.status() == StatusCode::OK) {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let told = format!("bytes {}-{}/{length}", part.start, part.end - 1);
        if let Ok(value) = header::HeaderValue::from_str(&told) {
            response.headers_mut().insert(header::CONTENT_RANGE, value);
        }
    }
    Ok(response)
}

/// Answers with a text nobody may keep.
pub fn passing(content_type: &'static str, bytes: impl Into<Bytes>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(content_type).insert_header(Cache::Never.header());
    response.body(bytes.into())
}

/// The answer to HEAD of what is made on demand: nothing is run, and the length is not known.
pub fn unmade(content_type: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(content_type).insert_header(Cache::Revalidate.header());
    response.body(BoxBody::new(Headless(BodySize::Stream)))
}

/// [`unmade`], of what is told by its tag before it is made.
pub fn unmade_as(content_type: &'static str, tag: &str, cache: Cache) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header(cache.header()).insert_header((header::ETAG, format!("\"{tag}\"")));
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    response.content_type(content_type).body(BoxBody::new(Headless(BodySize::Stream)))
}

/// Does the client take gzip? (`Accept-Encoding: gzip`, not with a weight of 0.)
pub fn takes_gzip(request: &HttpRequest) -> bool {
    request.headers().get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').any(|item| {
            let mut words = item.split(';').map(str::trim);
            let gzip = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let refused = words.any(|word| {
                word.strip_prefix("q=")
                    .and_then(|weight| weight.parse::<f32>().ok())
                    .is_some_and(|q| q <= 0.0)
            });
            gzip && !refused
        })
    })
}

/// The answer to HEAD: a length and not a byte.
pub struct Headless(pub BodySize);

impl MessageBody for Headless {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn gzip_is_used_only_where_it_is_taken() {
        let takes = |value: &str| {
            takes_gzip(
                &TestRequest::default().insert_header((header::ACCEPT_ENCODING, value)).to_http_request(),
            )
        };
        assert!(takes("gzip") && takes("deflate, GZIP;q=0.5") && takes("br, gzip"));
        assert!(
            !takes("br") && !takes("gzip;q=0") && !takes("*;q=0.1") && !takes("") && !takes("gzip;q=0.000")
        );
        assert!(!takes_gzip(&TestRequest::default().to_http_request()));
    }

    #[test]
    fn a_part_is_answered_and_a_wrong_one_refused() {
        let ask = |range: &str, more: (header::HeaderName, &str)| {
            let request = TestRequest::default().insert_header((header::RANGE, range)).insert_header(more);
            let made = Made { tag: "x".into(), ..Made::new("hello") };
            ranged(&request.to_http_request(), "text/plain", made, Cache::Settled)
        };
        let none = (header::ACCEPT, "*/*");
        let part = ask("bytes=1-3", none.clone()).unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.headers().get(header::CONTENT_RANGE).unwrap(), "bytes 1-3/5");
        assert_eq!(part.into_body().try_into_bytes().unwrap(), "ell");
        for (range, more, status) in [
            ("bytes=0-1,3-4", none.clone(), 200),
            ("pages=1", none.clone(), 200),
            ("bytes=1-3", (header::IF_RANGE, "\"y\""), 200),
            ("bytes=1-3", (header::IF_RANGE, "\"x\""), 206),
            ("bytes=1-3", (header::IF_NONE_MATCH, "\"x\""), 304),
        ] {
            assert_eq!(ask(range, more).unwrap().status(), status, "{range}");
        }
        use actix_web::ResponseError;
        assert_eq!(ask("bytes=9-", none).unwrap_err().status_code(), 416);
        assert_eq!(ask("bytes=0-", (header::IF_MATCH, "\"y\"")).unwrap_err().status_code(), 412);
    }

    #[test]
    fn bytes_the_client_has_are_not_sent_again() {
        let first = made(&TestRequest::default().to_http_request(), "text/plain", Made::new("hello"));
        let tag = first.headers().get(header::ETAG).unwrap().clone();
        assert_eq!(first.status(), 200);
        let again = TestRequest::default().insert_header((header::IF_NONE_MATCH, tag)).to_http_request();
        assert_eq!(made(&again, "text/plain", Made::new("hello")).status(), 304);
        assert_eq!(made(&again, "text/plain", Made::new("hello").gzip().unwrap()).status(), 200);
        assert_eq!(made(&again, "text/plain", Made::new("other")).status(), 200);
    }
}
