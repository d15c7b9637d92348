//! Live streams from the outside.

mod contract_hls;
mod feeder;
mod hls;
mod rules;
