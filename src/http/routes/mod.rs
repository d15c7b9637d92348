//! One file per resource. A handler reads its parameters, asks `render`, and says what the bytes are.

pub mod analysis;
pub mod chat;
pub mod coverage;
pub mod cut;
pub mod files;
pub mod frame;
pub mod generate;
pub mod health;
pub mod jobs;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod playlist;
pub mod recordings;
pub mod segments;
pub mod stills;
pub mod storyboard;
pub mod streams;
pub mod thumbnail;
pub mod transitions;
pub mod waveform;

use super::error::Problem;
use actix_web::{HttpRequest, HttpResponse, web};

type App = web::Data<crate::render::Render>;
type Jobs = web::Data<crate::jobs::Jobs>;
type Streams = web::Data<crate::live::Streams>;
type Desk = web::Data<crate::live::Desk>;
type Recordings = web::Data<crate::live::recorder::Recordings>;
type Answer = Result<HttpResponse, Problem>;

fn is_head(request: &HttpRequest) -> bool {
    request.method() == actix_web::http::Method::HEAD
}
