//! One integration binary.

mod barcode;
mod layers;
