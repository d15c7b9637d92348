//! Moviola: a media server for archives of live video.
//!
//! The floors, from the top: `app` knows everybody; `http` turns strings into types and types into responses;
//! `render` joins archive, media, pool and packaging for one request; those four do not know each other;
//! `base` holds the words all of them use. ARCHITECTURE.md has a heading for each.

pub mod base;
pub mod config;
pub mod media;
pub mod pool;
