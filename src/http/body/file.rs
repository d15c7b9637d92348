//! A [`ByteSource`] as an answer: validators, ranges, and reading chunk by chunk, so that a slow client holds no
//! worker and no more memory than a chunk.

use super::condition::{self, Verdict};
use super::range::{self, Wanted};
use super::{Cache, Headless};
use crate::base::{Error, Kind, Result, Token};
use crate::http::error::Problem;
use crate::pool::{Lane, Pool, Ticket};
use crate::render::bytes::ByteSource;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Bytes read at a time: large enough that the hand-over to the disk lane (~20 µs) is small beside the read.
const CHUNK: u64 = 256 << 10;

/// A reader that finds the disk lane's queue full in the middle of a body waits this long, this often: a minute in
/// all, longer than any client stall, then the body is broken off.
const RETRY_AFTER: Duration = Duration::from_millis(20);
const RETRIES: u32 = 3000;

/// Where the chunks are read.
#[derive(Clone)]
pub struct Reader {
    pub pool: Pool,
    pub token: Token,
}

/// Answers with `source`, or with the part of it that is asked for.
pub async fn serve(
    request: &HttpRequest,
    reader: Reader,
    source: Arc<dyn ByteSource>,
    content_type: &str,
) -> Result<HttpResponse, Problem> {
    let length = source.length();
    let etag = format!("\"{}\"", source.tag());
    let headers = request.headers();
    let verdict = condition::weigh(headers, &etag, source.modified());
    let wanted = match headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
        // Range is defined for GET alone (§14.2).
        Some(text)
            if request.method() == Method::GET
                && condition::range_counts(headers, &etag, source.modified()) =>
        {
            range::read(text, length)
        }
        _ => Wanted::Whole,
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((header::ETAG, etag)).insert_header(Cache::Revalidate.header());
    if let Some(modified) = source.modified() {
        response.insert_header((header::LAST_MODIFIED, httpdate::fmt_http_date(modified)));
    }
    match verdict {
        Verdict::NotModified => return Ok(response.status(StatusCode::NOT_MODIFIED).finish()),
        Verdict::Failed => return Err(Problem::precondition()),
        Verdict::Go => {}
    }
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    let pieces = match wanted {
        Wanted::Refused(why) => return Err(Problem::range(length, why)),
        Wanted::Whole => {
            response.content_type(content_type);
            VecDeque::from([Piece::Slice(0..length)])
        }
        Wanted::Parts(parts) => partial(&mut response, parts, length, content_type),
    };
    let size = pieces.iter().map(Piece::length).sum();
    if request.method() == Method::HEAD {
        return Ok(response.body(BoxBody::new(Headless(BodySize::Sized(size)))));
    }
    let mut body = Pieces { reader, source, pieces, reading: None, pause: None, tries: 0, size };
    body.read_first().await?;
    Ok(response.body(BoxBody::new(body)))
}

/// Makes `response` a 206 and lists what its body is made of (§15.3.7).
fn partial(
    response: &mut HttpResponseBuilder,
    mut parts: Vec<Range<u64>>,
    length: u64,
    content_type: &str,
) -> VecDeque<Piece> {
    response.status(StatusCode::PARTIAL_CONTENT);
    let content_range = |part: &Range<u64>| format!("bytes {}-{}/{length}", part.start, part.end - 1);
    if let [part] = &mut parts[..] {
        response.content_type(content_type);
        response.insert_header((header::CONTENT_RANGE, content_range(part)));
        return VecDeque::from([Piece::Slice(part.clone())]);
    }
    // The body is binary and only cut where we say, so a fixed rare word does; §14.6 asks that it not occur at
    // the start of a line of a part, which no MPEG-TS packet or picture of ours has.
    const BOUNDARY: &str = "moviola-7f3c9d51e2b84a60";
    response.content_type(format!("multipart/byteranges; boundary={BOUNDARY}"));
    let mut pieces = VecDeque::with_capacity(parts.len() * 2 + 1);
    for part in parts {
        let head = format!(
            "\r\n--{BOUNDARY}\r\nContent-Type: {content_type}\r\nContent-Range: {}\r\n\r\n",
            content_range(&part)
        );
        pieces.push_back(Piece::Text(head.into()));
        pieces.push_back(Piece::Slice(part));
    }
    pieces.push_back(Piece::Text(format!("\r\n--{BOUNDARY}--\r\n").into()));
    pieces
}

/// What a body is made of.
enum Piece {
    Text(Bytes),
    Slice(Range<u64>),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Text(bytes) => bytes.len() as u64,
            Self::Slice(range) => range.end - range.start,
        }
    }
}

/// The body: one read is under way at a time, and none while the client is slow.
struct Pieces {
    reader: Reader,
    source: Arc<dyn ByteSource>,
    pieces: VecDeque<Piece>,
    reading: Option<Ticket<Bytes>>,
    pause: Option<Pin<Box<Sleep>>>,
    tries: u32,
    size: u64,
}

impl Pieces {
    /// Reads the first slice before any header is sent, so that a failure is still an answer of its own.
    async fn read_first(&mut self) -> Result<()> {
        let at = self.pieces.iter().position(|piece| matches!(piece, Piece::Slice(_)));
        let Some((at, Piece::Slice(range))) = at.and_then(|at| Some((at, self.pieces.get_mut(at)?))) else {
            return Ok(());
        };
        let chunk = range.start..range.end.min(range.start + CHUNK);
        range.start = chunk.end;
        let bytes = self.submit(chunk)?.await?;
        self.pieces.insert(at, Piece::Text(bytes));
        Ok(())
    }

    fn submit(&self, chunk: Range<u64>) -> Result<Ticket<Bytes>> {
        let source = Arc::clone(&self.source);
        let length = (chunk.end - chunk.start) as usize;
        self.reader.pool.submit(Lane::Disk, &self.reader.token, move |_| {
            let bytes = source.read_at(chunk.start, length)?;
            if bytes.len() == length {
                Ok(bytes)
            } else {
                Err(Error::internal("a file changed while it was read"))
            }
        })
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            if let Some(ticket) = &mut self.reading {
                let read = ready!(Pin::new(ticket).poll(context));
                self.reading = None;
                return Poll::Ready(Some(read));
            }
            let chunk = match self.pieces.front() {
                None => return Poll::Ready(None),
                Some(Piece::Slice(range)) if range.is_empty() => {
                    self.pieces.pop_front();
                    continue;
                }
                Some(Piece::Slice(range)) => range.start..range.end.min(range.start + CHUNK),
                Some(Piece::Text(_)) => match self.pieces.pop_front() {
                    Some(Piece::Text(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                    _ => continue,
                },
            };
            match self.submit(chunk.clone()) {
                Ok(ticket) => {
                    self.reading = Some(ticket);
                    self.tries = 0;
                    if let Some(Piece::Slice(range)) = self.pieces.front_mut() {
                        range.start = chunk.end;
                    }
                }
                Err(error) if error.kind == Kind::Busy && self.tries < RETRIES => {
                    self.tries += 1;
                    self.pause = Some(Box::pin(tokio::time::sleep(RETRY_AFTER)));
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl MessageBody for Pieces {
    type Error = Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.poll_piece(context)
    }
}
