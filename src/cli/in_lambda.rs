//! What the verbs have in common that Lambda starts.

use std::fmt::Display;

use tokio::runtime::Builder;

use super::{Exit, Shell, serve};

/// Where Lambda tells the address of its APIs.
const API: &str = "AWS_LAMBDA_RUNTIME_API";

/// The address of Lambda's APIs; elsewhere a complaint that says how Lambda starts this verb.
pub(super) fn address<'a>(shell: &'a Shell, how: &str) -> Result<&'a str, Exit> {
    shell
        .environment
        .get(API)
        .map(String::as_str)
        .ok_or_else(|| serve::failed(&format!("`{API}` is not set: this is no Lambda function"), Some(how)))
}

/// Tells Lambda something before there is a runtime to do it on.
pub(super) fn tell<E: Display>(told: impl Future<Output = Result<(), E>>) {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => said(runtime.block_on(told)),
        Err(error) => said(Err(error)),
    }
}

/// What Lambda could not be told stands in its log all the same.
pub(super) fn said<E: Display>(told: Result<(), E>) {
    if let Err(fault) = told {
        serve::failed(&format!("Lambda could not be told: {fault}"), None);
    }
}
