//! The uses: archive, media, pool and packaging joined for one request.

pub mod demo;
