//! One integration binary: the real server over temporary archives, and the rules of the house.

mod barcode;
mod client;
mod compose;
mod containers;
mod crash;
mod files;
mod full;
mod golden;
mod index;
mod judge;
mod layers;
mod matrix;
mod media;
mod routes;
mod smart;
mod surroundings;
mod ts;
mod waveform;
