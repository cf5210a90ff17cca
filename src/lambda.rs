//! What Lambda speaks to the programs that run beside and inside of its functions.

mod api;
pub mod extension;
pub mod runtime;
