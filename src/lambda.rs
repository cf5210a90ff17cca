//! What Lambda speaks to the programs that run beside and inside of its functions.

pub mod extension;
