//! `/thumbnail`: a frame in a template; `/templates`: those there are.

use super::{Answer, App, is_head};
use crate::base::{Error, Name, Result};
use crate::http::body::{self, Cache};
use crate::http::error::Document;
use crate::http::extract::{Path, Query};
use crate::http::sent;
use crate::render::Render;
use crate::render::bytes::Made;
use crate::render::frame::FrameSource;
use crate::render::frame::wish::{Format, Wish};
use crate::render::thumbnail::{Edges, Listed, Notes, Placement, Template};
use actix_web::http::Method;
use actix_web::{HttpRequest, web};

/// Which frame, and where it goes.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it describes the parameters in the API's document")]
pub struct Asked {
    /// UTC, ISO 8601: the frame on screen then
    #[param(example = "2024-11-09T12:50:00.437")]
    timestamp: String,
    /// Of GET: a name that /templates lists
    template: Option<String>,
    /// LEFT,TOP,RIGHT,BOTTOM of the frame's part, in its pixels; what lies beyond it is black. Of GET the template's by
    /// default
    #[param(example = "0,0,1280,720")]
    crop: Option<String>,
    /// LEFT,TOP,RIGHT,BOTTOM in the template that part is scaled to; it may reach past it. Of GET the template's by default
    #[param(example = "20,20,300,160")]
    location: Option<String>,
    /// 1 to 100, of JPEG and WebP
    quality: Option<u8>,
}

/// A frame in a template, as PNG.
#[utoipa::path(get, path = "/thumbnail/{channel}/{quality}.png", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked), responses(
    (status = 200, description = "The thumbnail, as large as the template", content_type = "image/png"),
    (status = 304, description = "The client has it"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn png(request: HttpRequest, app: App, payload: web::Payload) -> Answer {
    thumbnail(request, app, payload, ".png", Format::Png).await
}

/// A frame in a template, as JPEG: what is transparent is black.
#[utoipa::path(get, path = "/thumbnail/{channel}/{quality}.jpg", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked), responses(
    (status = 200, description = "The thumbnail, as large as the template", content_type = "image/jpeg"),
    (status = "default", description = "As of .png", body = Document, content_type = "application/problem+json")))]
pub async fn jpeg(request: HttpRequest, app: App, payload: web::Payload) -> Answer {
    thumbnail(request, app, payload, ".jpg", Format::Jpeg).await
}

/// A frame in a template, as WebP.
#[utoipa::path(get, path = "/thumbnail/{channel}/{quality}.webp", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked), responses(
    (status = 200, description = "The thumbnail, as large as the template", content_type = "image/webp"),
    (status = "default", description = "As of .png", body = Document, content_type = "application/problem+json")))]
pub async fn webp(request: HttpRequest, app: App, payload: web::Payload) -> Answer {
    thumbnail(request, app, payload, ".webp", Format::WebP).await
}

/// A frame in a template that is uploaded; .jpg and .webp take the same.
#[utoipa::path(post, path = "/thumbnail/{channel}/{quality}.png", tag = "media",
    params(("channel" = String, Path), ("quality" = String, Path), Asked),
    request_body(content = Vec<u8>, content_type = "image/png", description = "The template: PNG or JPEG"), responses(
    (status = 200, description = "The thumbnail, as large as the template", content_type = "image/png"),
    (status = 413, description = "The template has too many bytes", body = Document,
        content_type = "application/problem+json"),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
#[allow(dead_code, reason = "it describes the upload in the API's document")]
pub async fn upload() {}

/// The templates there are.
#[utoipa::path(get, path = "/templates", tag = "media", responses(
    (status = 200, description = "By name, with what they are used with by default", body = Vec<Listed>),
    (status = "default", description = "Why not", body = Document, content_type = "application/problem+json")))]
pub async fn templates(request: HttpRequest, app: App) -> Answer {
    let list = app.template_list().await?;
    let text = serde_json::to_vec(&list).map_err(|fault| Error::internal(fault.to_string()))?;
    Ok(body::made(&request, "application/json", Made::new(text)))
}

async fn thumbnail(
    request: HttpRequest,
    app: App,
    payload: web::Payload,
    extension: &str,
    format: Format,
) -> Answer {
    let path = Path::of(&request);
    let (channel, quality) = (path.channel(1)?, path.quality_without(2, extension)?);
    let query = Query::of(&request);
    let edges = |key: &str| query.text(key)?.map(|text| Edges::parse(key, text)).transpose();
    let (crop, location) = (edges("crop")?, edges("location")?);
    let at = query.required_timestamp("timestamp")?;
    // Of a frame's parameters only these two: its size and shape are the template's business.
    let wish = Wish::read(at, |key| if key == "quality" { query.text(key) } else { Ok(None) })?;
    let posted = request.method() == Method::POST;
    let template = match posted {
        true => {
            // What a request does not say is not known of an upload: no need to read it.
            Placement::new(crop, location, &Notes::default())?;
            Template {
                bytes: sent::body(payload, "a template", app.config.thumbnail.upload.0 as usize).await?,
                notes: Notes::default(),
            }
        }
        false => app.template(named(&query)?).await?,
    };
    let placement = Placement::new(crop, location, &template.notes)?;
    let source: FrameSource = app.frame_source(channel, quality, wish, format).await?;
    let (content_type, written) = (source.content_type(), format.with(wish.quality, &app.config.frame));
    if posted {
        let made = app.thumbnail(source, template, placement, written).await?;
        return Ok(body::passing(content_type, made.bytes));
    }
    // The template may be another tomorrow.
    let cache = Cache::Revalidate;
    let tag = Render::thumbnail_tag(&source, &template, &placement);
    match body::held(&request, &tag, cache) {
        Some(held) => Ok(held),
        None if is_head(&request) => Ok(body::unmade_as(content_type, &tag, cache)),
        None => body::ranged(
            &request,
            content_type,
            app.thumbnail(source, template, placement, written).await?,
            cache,
        ),
    }
}

fn named(query: &Query) -> Result<Name> {
    let missing = || {
        let detail = "The parameter template is required: a name that /templates lists; POST takes one that is uploaded";
        Error::invalid("missing-parameter", "template", detail)
    };
    Name::new("template", query.text("template")?.ok_or_else(missing)?)
}
