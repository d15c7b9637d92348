//! What surrounds every request, found or not: limits on its head, merged slashes, CORS, HEAD, problem documents,
//! the watch over slow clients, metrics and the log.

use super::body::{Connection, Headless, Watched};
use super::error::Problem;
use crate::base::Error;
use crate::render::Render;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, ResponseError, web};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What browsers are told, on every answer: anybody's page may read from here, without credentials.
const CORS: [(HeaderName, &str); 5] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET,POST,HEAD"),
    (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "false"),
    (header::ACCESS_CONTROL_MAX_AGE, "86400"),
];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// OPTIONS of an address there is.
pub fn options(allow: &'static str) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ALLOW, allow)).finish()
}

/// Any other method of an address there is.
pub fn not_allowed(allow: &'static str) -> HttpResponse {
    Problem::method(allow).error_response()
}

/// An address there is not.
pub async fn nothing_here() -> HttpResponse {
    Problem::no_such_page().error_response()
}

pub async fn around(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let begun = Instant::now();
    let id = request_id();
    let Some(render) = request.app_data::<web::Data<Render>>().cloned() else {
        return Ok(request.into_response(HttpResponse::InternalServerError()));
    };
    let connection = request.conn_data::<Connection>().cloned();
    let early = refuse_long_head(&request, &render).or_else(|| merge_slashes(&mut request));
    let mut response = match early {
        Some(response) => request.into_response(response),
        None => next.call(request).await?,
    };
    let problem = response.response_mut().extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        log_cause(&id, problem);
        response = response.into_response(problem.document(&id));
    }
    for (name, value) in CORS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    record(&id, &response, begun, &render);
    let head = response.request().method() == Method::HEAD;
    let stall = render.config.http.client_stall.0;
    Ok(response.map_body(|_, body| match body.size() {
        // The sockets' own 304 and 204 have no body whatever we say.
        size if head => BoxBody::new(Headless(size)),
        size if Watched::worth_it(size) => {
            BoxBody::new(Watched::new(body, connection.as_ref(), stall, &render.metrics))
        }
        BodySize::Sized(count) => {
            render.metrics.http_body_bytes.inc_by(count);
            body
        }
        _ => body,
    }))
}

/// Names a request in the log: microseconds at the start of the process, and a count.
fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static EPOCH: std::sync::LazyLock<u128> =
        std::sync::LazyLock::new(|| std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_micros()));
    format!("{:x}-{:x}", *EPOCH, COUNT.fetch_add(1, Ordering::Relaxed))
}

fn refuse_long_head(request: &ServiceRequest, render: &Render) -> Option<HttpResponse> {
    let limits = &render.config.http;
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    // "GET /x HTTP/1.1": two blanks and eight bytes of version.
    let line = (request.method().as_str().len() + target + 10) as u64;
    if line > limits.request_line.0 {
        return Some(Problem::long_request_line(limits.request_line.0).error_response());
    }
    let size = |headers: &HeaderMap| -> usize {
        headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
    };
    let long = size(request.headers()) as u64 > limits.request_headers.0;
    long.then(|| Problem::long_headers(limits.request_headers.0).error_response())
}

/// `//files` is `/files`; slashes doubled inside a path are a 308 to the path without them.
fn merge_slashes(request: &mut ServiceRequest) -> Option<HttpResponse> {
    let path = request.uri().path();
    if !path.contains("//") {
        return None;
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let last = if path.ends_with('/') && !words.is_empty() { "/" } else { "" };
    // One slash in front: two would name another host.
    let merged = format!("/{}{last}{query}", words.join("/"));
    let inside = path.trim_start_matches('/').contains("//");
    match merged.parse::<Uri>() {
        Ok(uri) if !inside => {
            request.match_info_mut().get_mut().update(&uri);
            request.head_mut().uri = uri;
            None
        }
        Ok(_) => Some(
            HttpResponse::build(StatusCode::PERMANENT_REDIRECT)
                .insert_header((header::LOCATION, merged))
                .finish(),
        ),
        Err(_) => {
            let error = Error::invalid("malformed-address", "path", "The address cannot be read.");
            Some(Problem::from(error).error_response())
        }
    }
}

fn log_cause(id: &str, problem: &Problem) {
    let error = problem.error();
    let cause = error.cause.as_deref().unwrap_or_default();
    match problem.status_code().as_u16() {
        500 => tracing::error!(id, code = error.code, detail = %error.detail, cause, "a request failed"),
        503 => {
            tracing::info!(id, code = error.code, detail = %error.detail, cause, "a request was turned away")
        }
        _ => tracing::debug!(id, code = error.code, detail = %error.detail, cause, "a request was refused"),
    }
}

/// Methods are counted by name only where the name is not the client's invention.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

fn record(id: &str, response: &ServiceResponse<BoxBody>, begun: Instant, render: &Render) {
    let request = response.request();
    let route = request.match_pattern().unwrap_or_else(|| "none".into());
    let (method, status) = (request.method(), response.status());
    let elapsed = begun.elapsed();
    render.metrics.http_requests.with_label_values(&[&route, known(method), status.as_str()]).inc();
    render.metrics.http_seconds.with_label_values(&[&route]).observe(elapsed.as_secs_f64());
    tracing::debug!(
        id,
        %method,
        target = %request.uri(),
        status = status.as_u16(),
        milliseconds = elapsed.as_secs_f64() * 1000.0,
        "answered"
    );
}
