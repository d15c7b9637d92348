//! `/live`: a stream as it happens, for those whose token opens it; and those tokens.

use super::{Answer, Streams};
use crate::base::{Error, Result};
use crate::http::body::{self, Cache};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::http::sent;
use crate::live::hls::{self, Awaited, Hls, Scope};
use crate::render::bytes::Made;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HLS: &str = "application/vnd.apple.mpegurl";
const SEGMENT: &str = "video/iso.segment";

/// What of a stream is asked for, by its name.
#[derive(Debug, PartialEq, Eq)]
enum File {
    Master,
    Media,
    Head(u64),
    Segment(u64),
    Part(u64, usize),
}

impl File {
    fn named(name: &str) -> Result<Self> {
        let number = |text: &str| {
            let plain = text.len() <= 18 && text.bytes().all(|it| it.is_ascii_digit());
            text.parse::<u64>().ok().filter(|_| plain)
        };
        let found = match name {
            "master.m3u8" => Some(Self::Master),
            "media.m3u8" => Some(Self::Media),
            _ => {
                if let Some(head) = name.strip_prefix("init-") {
                    head.strip_suffix(".mp4").and_then(number).map(Self::Head)
                } else if let Some(segment) = name.strip_prefix("segment-") {
                    segment.strip_suffix(".m4s").and_then(number).map(Self::Segment)
                } else {
                    let both =
                        name.strip_prefix("part-").and_then(|it| it.strip_suffix(".m4s")?.split_once('-'));
                    both.and_then(|(segment, part)| {
                        Some(Self::Part(number(segment)?, number(part)? as usize))
                    })
                }
            }
        };
        found.ok_or_else(|| Error::not_found("There is nothing at this address."))
    }
}

/// What a player reads of a stream: `master.m3u8`, `media.m3u8`, `init-N.mp4`, `segment-N.m4s`, `part-N-K.m4s`.
///
/// Low-latency HLS. A request for what is about to come waits for it.
#[utoipa::path(get, path = "/live/{stream}/{token}/{file}", tag = "live",
    params(("stream" = String, Path), ("token" = String, Path, description = "As the stream tells it, or minted"),
        ("file" = String, Path, example = "master.m3u8"),
        ("_HLS_msn" = Option<u64>, Query, description = "media.m3u8: wait for this segment"),
        ("_HLS_part" = Option<u64>, Query, description = "media.m3u8: for this part of it"),
        ("_HLS_skip" = Option<String>, Query, description = "media.m3u8: YES or v2, only what is new")), responses(
    (status = 200, description = "The file", content_type = "application/vnd.apple.mpegurl"),
    (status = 206, description = "The part that Range asks for"),
    (status = 304, description = "The client has it"),
    (status = 410, description = "It was there, and is no longer held", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn file(request: HttpRequest, streams: Streams) -> Answer {
    let path = Path::of(&request);
    let token = path.text(2, "token")?;
    let file = File::named(&path.text(3, "file")?)?;
    // A stream that is not there is told as a token that opens nothing.
    let closed = || Error::not_found("There is no such stream, or its address is no longer valid.");
    let stream = streams.get(&path.stream(1)?).map_err(|_| closed())?;
    let hls = &stream.hls;
    hls.admit(&token, Scope::Live)?;
    stream.touch();
    see(&request, hls, &token);
    let tag = |bytes: &web::Bytes| format!("{}-{:x}", path.text(3, "file").unwrap_or_default(), bytes.len());
    let whole = |bytes: web::Bytes| Made { tag: tag(&bytes), bytes, gzipped: false };
    match file {
        File::Master => Ok(body::made(&request, HLS, Made::new(hls.master().await?))),
        File::Media => media(&request, hls).await,
        File::Head(number) => Ok(body::made(&request, "video/mp4", Made::new(hls.head(number)?))),
        File::Segment(number) => {
            body::ranged(&request, SEGMENT, whole(hls.segment(number).await?), Cache::Settled)
        }
        File::Part(number, part) => {
            body::ranged(&request, SEGMENT, whole(hls.part(number, part).await?), Cache::Settled)
        }
    }
}

/// Counts who asks: by their token, the address they come from, also through a proxy, and what they say they are.
fn see(request: &HttpRequest, hls: &Hls, token: &str) {
    let said = |name: header::HeaderName| {
        request.headers().get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    };
    let address = request.peer_addr().map(|it| it.ip().to_string()).unwrap_or_default();
    hls.saw(&[token, &address, said(header::X_FORWARDED_FOR), said(header::USER_AGENT)]);
}

async fn media(request: &HttpRequest, hls: &Hls) -> Answer {
    let query = Query::of(request);
    let awaited = Awaited::new(number(&query, "_HLS_msn")?, number(&query, "_HLS_part")?)?;
    let delta = match query.text("_HLS_skip")? {
        None => false,
        Some("YES" | "v2") => true,
        Some(_) => {
            let detail = "_HLS_skip must be one of: YES, v2";
            return Err(Error::invalid("invalid-skip", "_HLS_skip", detail).into());
        }
    };
    let text = hls.playlist(awaited, delta).await?;
    let gzipped = body::takes_gzip(request);
    let (bytes, tag) = match gzipped {
        true => (text.gzip.clone(), format!("{}-gzip", text.tag)),
        false => (text.plain.clone(), text.tag.clone()),
    };
    // What was waited for is the same for all who wait for it.
    let cache = if awaited == Awaited::Any { Cache::Revalidate } else { Cache::Briefly };
    let mut response = body::kept(request, HLS, Made { bytes, tag, gzipped }, cache);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    Ok(response)
}

fn number(query: &Query, key: &str) -> Result<Option<u64>> {
    let Some(text) = query.text(key)? else { return Ok(None) };
    let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|it| it.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(Error::invalid("invalid-number", key, format!("{key} must be a whole number, 0 or more"))),
    }
}

/// Who is to be let in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Invitation {
    /// What the token opens: `live`, `still` or `all`.
    #[schema(example = "live")]
    scope: String,
    /// Seconds after which it is void, used or not.
    ttl: Option<u64>,
}

impl Default for Invitation {
    fn default() -> Self {
        Self { scope: "live".into(), ttl: None }
    }
}

/// A viewer's token.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Viewer {
    token: String,
    /// The master playlist.
    url: String,
    /// Seconds it lives, where it was given a limit.
    expires_in: Option<u64>,
}

/// The longest body taken, in bytes.
const MAX_BODY: usize = 4 << 10;
/// The longest life that may be asked for, in seconds: a year.
const MAX_TTL: u64 = 366 * 86_400;

/// Makes a token for a viewer.
#[utoipa::path(post, path = "/streams/{stream}/viewers", tag = "live", params(("stream" = String, Path)),
    request_body = Invitation, responses(
    (status = 201, description = "The token", body = Viewer),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn invite(request: HttpRequest, streams: Streams, payload: web::Payload) -> Answer {
    let id = Path::of(&request).stream(1)?;
    let stream = streams.get(&id)?;
    let body = sent::body(payload, "the body", MAX_BODY).await?;
    let shape = "{\"scope\": \"live\" | \"still\" | \"all\", \"ttl\": SECONDS}, each of them optional";
    let wish: Invitation = sent::object_or_default(&body, shape)?;
    if wish.ttl.is_some_and(|it| !(1..=MAX_TTL).contains(&it)) {
        let detail = format!("ttl must lie between 1 and {MAX_TTL} seconds");
        return Err(Error::invalid("invalid-ttl", "ttl", detail).into());
    }
    let token = stream.hls.mint(Scope::named(&wish.scope)?, wish.ttl.map(Duration::from_secs))?;
    let url = hls::url(&id, &token);
    let mut answer = body::passing(
        "application/json",
        serde_json::to_vec(&Viewer { token, url, expires_in: wish.ttl }).unwrap_or_default(),
    );
    *answer.status_mut() = StatusCode::CREATED;
    Ok(answer)
}

/// Makes a token void.
#[utoipa::path(delete, path = "/streams/{stream}/viewers/{token}", tag = "live",
    params(("stream" = String, Path), ("token" = String, Path)), responses(
    (status = 204, description = "It opens nothing any more"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn revoke(request: HttpRequest, streams: Streams) -> Answer {
    let path = Path::of(&request);
    let stream = streams.get(&path.stream(1)?)?;
    match stream.hls.revoke(&path.text(2 + 1, "token")?) {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(Error::not_found("The stream has no such token.").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_names() {
        let named = |name: &str| File::named(name).ok();
        assert_eq!(named("master.m3u8"), Some(File::Master));
        assert_eq!(named("init-3.mp4"), Some(File::Head(3)));
        assert_eq!(named("segment-12.m4s"), Some(File::Segment(12)));
        assert_eq!(named("part-12-0.m4s"), Some(File::Part(12, 0)));
        for bad in [
            "",
            "init-.mp4",
            "init-3.m4s",
            "segment-+1.m4s",
            "part-1.m4s",
            "part-1-2-3.m4s",
            "x",
            "part-1-9999999999999999999.m4s",
        ] {
            assert_eq!(named(bad), None, "{bad}");
        }
    }
}
