//! One integration binary: the real server over temporary archives, and the rules of the house.

mod barcode;
mod golden;
mod index;
mod layers;
