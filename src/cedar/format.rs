//! Formats one policy file: spaces and line ends change, and nothing else.

use std::thread;

use cedar_policy::PolicySet;
use cedar_policy_formatter::{Config, policies_str_to_pretty};

use super::{Source, findings, limits};
use crate::model::{Finding, Limits};

/// How long a line may be, in characters.
const LINE_WIDTH: usize = 100;

/// How far the inside of a bracket is set in.
const INDENT_WIDTH: isize = 2;

/// The text as it should stand.
///
/// # Errors
/// What stops it from being read, or from being formatted without a loss.
pub fn format(source: &Source, limits: &Limits) -> Result<String, Vec<Finding>> {
    let found = limits::policy_text(source, limits);
    if !found.is_empty() {
        return Err(found);
    }
    on_compile_stack(|| formatted(source))
        .unwrap_or_else(|error| Err(vec![Finding::error(&source.path, "format", error)]))
}

fn on_compile_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("format".to_owned())
            .stack_size(limits::COMPILE_STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| format!("no thread to format on: {error}"))?;
        thread.join().map_err(|_| "the formatter failed".to_owned())
    })
}

fn formatted(source: &Source) -> Result<String, Vec<Finding>> {
    let _parsed: PolicySet = source
        .text
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| findings::from_diagnostic(source, "syntax", &error))?;
    let config = Config { line_width: LINE_WIDTH, indent_width: INDENT_WIDTH };
    policies_str_to_pretty(&source.text, &config)
        .map_err(|report| vec![Finding::error(&source.path, "format", report.to_string())])
}
