//! One integration binary: the real server over temporary archives, and the rules of the house.

mod analysis;
mod barcode;
mod bombs;
mod client;
mod clips;
mod compose;
mod containers;
mod crash;
mod files;
mod full;
mod golden;
mod index;
mod jobs;
mod judge;
mod layers;
mod live;
mod local;
mod matrix;
mod media;
mod picture;
mod routes;
mod smart;
mod storyboard;
mod surroundings;
mod ts;
mod waveform;
