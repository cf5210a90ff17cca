//! The one integration binary: the library and the program as their users meet them.

mod architecture;
mod corpus;
mod evaluation;
