//! The one place that turns a [`Kind`] into a status, and an error into an RFC 9457 problem document.

use crate::base::{Error, Kind, Span};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use std::fmt;

/// The status of each kind.
///
/// `Damaged` is 422: the request is understood and the archive answers, but what it holds cannot be processed;
/// trying again does not help, so it is no 5xx. `Deadline` is 503, not 504: this server is the one that was too
/// slow, and a client may try again. `Cancelled` is only ever seen when the server stops: when the client went,
/// nobody reads the answer.
pub const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid | Kind::Unsupported => StatusCode::BAD_REQUEST,
        Kind::WrongType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Gone => StatusCode::GONE,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Holes | Kind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Kind::Damaged => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Busy | Kind::Cancelled | Kind::Deadline | Kind::Exhausted => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Seconds a client is asked to wait after a 503: a frame takes far less, a cut far more; one second keeps a
/// person's page responsive without a storm of retries.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A refusal on its way out. Handlers return it; the outermost layer writes the document, because only there is
/// the request's id at hand.
#[derive(Debug, Clone)]
pub struct Problem {
    error: Box<Error>,
    status: StatusCode,
    allow: Option<&'static str>,
    content_range: Option<String>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { status: status(error.kind), error: Box::new(error), allow: None, content_range: None }
    }
}

impl Problem {
    fn other(status: StatusCode, kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, ..Error::new(kind, code, detail).into() }
    }

    /// 404: no route has this path.
    pub fn no_such_page() -> Self {
        Error::not_found("There is nothing at this address.").into()
    }

    /// 405, naming the methods the path has.
    pub fn method(allow: &'static str) -> Self {
        let detail = format!("This address answers {allow} only.");
        let problem =
            Self::other(StatusCode::METHOD_NOT_ALLOWED, Kind::Invalid, "method-not-allowed", detail);
        Self { allow: Some(allow), ..problem }
    }

    /// 414.
    pub fn long_request_line(limit: u64) -> Self {
        let detail = format!("The request line is longer than {limit} bytes.");
        Self::other(StatusCode::URI_TOO_LONG, Kind::Invalid, "long-request-line", detail)
    }

    /// 431.
    pub fn long_headers(limit: u64) -> Self {
        let detail = format!("The request's headers are longer than {limit} bytes together.");
        Self::other(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Kind::Invalid, "long-headers", detail)
    }

    /// 416, naming the length there is (RFC 9110 §15.5.17).
    pub fn range(length: u64, detail: &str) -> Self {
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        let problem = Self::other(status, Kind::Invalid, "range-not-satisfiable", detail);
        Self { content_range: Some(format!("bytes */{length}")), ..problem }
    }

    /// 412.
    pub fn precondition() -> Self {
        let detail = "The file is not the one If-Match or If-Unmodified-Since names.";
        Self::other(StatusCode::PRECONDITION_FAILED, Kind::Invalid, "precondition-failed", detail)
    }

    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The finished answer.
    pub fn document(&self, request_id: &str) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status);
        response.content_type("application/problem+json").insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        if let Some(range) = &self.content_range {
            response.insert_header((header::CONTENT_RANGE, range.as_str()));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        let error = &self.error;
        response.json(Document {
            r#type: format!("/docs#{}", error.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &error.detail,
            code: error.code,
            parameter: error.parameter.as_deref(),
            holes: &error.holes,
            request_id,
        })
    }
}

/// The body of every error (RFC 9457).
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct Document<'a> {
    /// Where the code is explained.
    r#type: String,
    /// The status in words.
    title: &'a str,
    status: u16,
    /// What is wrong, for people.
    detail: &'a str,
    /// What is wrong, for programs; stable.
    code: &'a str,
    /// The parameter at fault, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    /// The holes in the span asked for, with a 406.
    #[serde(skip_serializing_if = "<[Span]>::is_empty")]
    #[schema(value_type = Vec<Hole>)]
    holes: &'a [Span],
    /// Names this request in the server's log.
    request_id: &'a str,
}

/// A stretch without content, `[start, end)`.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "it describes base::Span in the API's document")]
pub struct Hole {
    #[schema(example = "2024-11-09T12:57:20.437000")]
    start: String,
    #[schema(example = "2024-11-09T12:57:26.437000")]
    end: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    /// An empty answer that carries the problem to the outermost layer.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status);
        response.extensions_mut().insert(self.clone());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use actix_web::body::MessageBody;

    fn body(problem: &Problem) -> serde_json::Value {
        let bytes = problem.document("r-1").into_body().try_into_bytes().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn only_faults_of_the_server_are_500_and_what_may_pass_is_503() {
        for (kind, number) in [
            (Kind::Invalid, 400),
            (Kind::Unsupported, 400),
            (Kind::WrongType, 415),
            (Kind::TooLarge, 413),
            (Kind::Conflict, 409),
            (Kind::NotAcceptable, 406),
            (Kind::Forbidden, 403),
            (Kind::NotFound, 404),
            (Kind::Gone, 410),
            (Kind::Holes, 406),
            (Kind::Damaged, 422),
            (Kind::Busy, 503),
            (Kind::Cancelled, 503),
            (Kind::Deadline, 503),
            (Kind::Exhausted, 503),
            (Kind::Internal, 500),
        ] {
            assert_eq!(status(kind).as_u16(), number, "{kind:?}");
        }
    }

    #[test]
    fn a_document_names_holes_and_never_the_cause() {
        let at = |text| Timestamp::parse("t", text).unwrap();
        let hole = Span::new(at("2024-11-09T12:00:00"), at("2024-11-09T12:00:02"));
        let error = Error::new(Kind::Holes, "holes", "Requested time range contains holes or is incomplete.");
        let body = body(&error.with_holes(vec![hole]).with_cause("/srv/archive/secret").into());
        assert_eq!(body["holes"][0]["start"], "2024-11-09T12:00:00.000000");
        assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(406), Some("holes")));
        assert_eq!((body["type"].as_str(), body["request_id"].as_str()), (Some("/docs#holes"), Some("r-1")));
        assert!(!body.to_string().contains("secret"));
    }

    #[test]
    fn headers_that_go_with_a_status() {
        let header = |problem: Problem, name| {
            problem.document("r").headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header(Error::busy("x").into(), header::RETRY_AFTER).as_deref(), Some("1"));
        assert_eq!(header(Problem::method("GET"), header::ALLOW).as_deref(), Some("GET"));
        assert_eq!(header(Problem::range(9, "x"), header::CONTENT_RANGE).as_deref(), Some("bytes */9"));
    }
}
