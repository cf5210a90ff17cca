//! The one integration binary: the library and the program as their users meet them.

mod corpus;
mod evaluation;
