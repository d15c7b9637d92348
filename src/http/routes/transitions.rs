//! `/transitions`: what one range of a cut can go over into the next by.

use super::App;
use crate::http::body;
use crate::http::error::Problem;
use crate::render::bytes::Made;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

/// A transition.
#[derive(Serialize, ToSchema)]
pub struct Transition {
    /// What `transition` takes.
    #[schema(example = "clockwipe")]
    name: &'static str,
    /// What it looks like.
    description: &'static str,
}

/// The transitions there are.
#[utoipa::path(get, path = "/transitions", tag = "media", responses(
    (status = 200, description = "Names, with a sentence on each", body = Vec<Transition>,
        content_type = "application/json")))]
pub async fn transitions(request: HttpRequest, app: App) -> Result<HttpResponse, Problem> {
    let all = app.transitions().iter();
    let list: Vec<Transition> =
        all.map(|it| Transition { name: &it.name, description: &it.description }).collect();
    let text = serde_json::to_vec(&list).map_err(|fault| crate::base::Error::internal(fault.to_string()))?;
    Ok(body::made(&request, "application/json", Made::new(text)))
}
