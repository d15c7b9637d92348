//! One integration binary: the real server over temporary archives, and the rules of the house.

mod barcode;
mod client;
mod crash;
mod golden;
mod index;
mod jobs;
mod judge;
mod layers;
mod media;
mod routes;
mod smart;
mod surroundings;
mod ts;
