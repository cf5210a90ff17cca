//! The one integration binary: the library and the program as their users meet them.

mod architecture;
mod audit;
mod authorize;
mod corpus;
mod evaluation;
mod harness;
mod lifecycle;
mod reload;
mod tokens;
