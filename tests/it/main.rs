//! One integration binary: the real server over temporary archives, and the rules of the house.

mod client;
mod routes;
mod surroundings;
