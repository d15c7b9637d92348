//! `/segments`: the archive's files as they lie, with ranges and validators.

use super::{Answer, App};
use crate::base::Name;
use crate::http::body::{self, Reader};
use crate::http::error::Document;
use crate::http::extract::Path;
use actix_web::HttpRequest;

/// A file of the archive.
#[utoipa::path(get, path = "/segments/{path}", tag = "archive",
    params(("path" = String, Path, description = "CHANNEL/QUALITY/HOUR/NAME, as a playlist names it")), responses(
    (status = 200, description = "The file", content_type = "video/mp2t"),
    (status = 206, description = "The part that Range asks for"),
    (status = 304, description = "The client has it"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn segment(request: HttpRequest, app: App) -> Answer {
    let path = Path::of(&request).file(1)?;
    let content_type = path.last().map_or(OCTETS, content_type);
    let file = app.file(path).await?;
    let reader = Reader { pool: app.pool.clone(), token: app.stop.clone() };
    body::file(&request, reader, file, content_type).await
}

const OCTETS: &str = "application/octet-stream";

/// The type by the name's ending. Pages and scripts are not among them: what lies in an archive is not to run in
/// a browser as if this server had written it.
fn content_type(name: &Name) -> &'static str {
    let ending = name.as_str().rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "ts" | "m2ts" => "video/mp2t",
        "mp4" | "m4s" | "m4v" => "video/mp4",
        "m4a" => "audio/mp4",
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        "m3u8" => "application/vnd.apple.mpegurl",
        "mpd" => "application/dash+xml",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "txt" | "log" => "text/plain; charset=utf-8",
        _ => OCTETS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_ending() {
        let of = |name: &str| content_type(&Name::new("path", name).unwrap());
        assert_eq!(of("45:00.437000-2.0-full-x.ts"), "video/mp2t");
        assert_eq!((of("FH.PNG"), of("noext"), of("page.html")), ("image/png", OCTETS, OCTETS));
    }
}
