//! Moviola: a media server for archives of live video.
//!
//! The floors, from the top: `app` knows everybody; `http` turns strings into types and types into responses;
//! `render` joins archive, media, pool and packaging for one request, `live` for sources that go on; those four do not know each other;
//! `base` holds the words all of them use. ARCHITECTURE.md has a heading for each.

pub mod app;
pub mod archive;
pub mod base;
pub mod cli;
pub mod config;
pub mod http;
pub mod jobs;
pub mod live;
pub mod media;
pub mod packaging;
pub mod pool;
pub mod render;
