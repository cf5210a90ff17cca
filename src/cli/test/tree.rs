//! Test results for people: what passed is counted, what failed is shown in full.

use anstream::println;
use anstyle::{AnsiColor, Style};

use super::super::render::{self, plain};
use super::Run;
use crate::suite::{Count, Failure, FileReport, TestReport};

/// So many failures of one test are shown: whoever mends them sees the others.
const SHOWN: usize = 20;
/// So many findings are shown: each is looked up in its text.
const FINDINGS: usize = 100;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Prints a run.
pub(super) fn print(run: &Run) {
    render::findings(run.findings.get(..FINDINGS).unwrap_or(&run.findings), &run.texts);
    let Some(report) = &run.report else { return println!("{}", render::count(&run.findings)) };
    for file in &report.files {
        print_file(file);
    }
    let findings = if report.findings.is_empty() {
        String::new()
    } else {
        format!("; {} in the files", render::count(&report.findings))
    };
    if report.stopped {
        println!("stopped at the first failure");
    }
    println!("{}{findings}", counted(report.count()));
}

fn print_file(file: &FileReport) {
    println!("{}: {}", plain(&file.path), counted(file.count()));
    for test in file.tests.iter().filter(|test| !test.failures.is_empty() || test.skipped.is_some()) {
        print_test(test, &file.path);
    }
}

fn print_test(test: &TestReport, path: &str) {
    let place = format!("{FAINT}{}:{}:{}{FAINT:#}", plain(path), test.place.line, test.place.column);
    if let Some(why) = &test.skipped {
        println!("  - {} {place}", plain(&test.name));
        println!("    skipped: {}", plain(why));
    }
    if test.failures.is_empty() {
        return;
    }
    println!("  {BAD}✗ {}{BAD:#} {place}", plain(&test.name));
    for failure in test.failures.iter().take(SHOWN) {
        print_failure(failure, test);
    }
    if let Some(more) = test.failures.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        println!("    and {more} more");
    }
}

fn print_failure(failure: &Failure, test: &TestReport) {
    let asked = &failure.asked;
    let place = if failure.place == test.place {
        String::new()
    } else {
        format!(" ({}:{})", failure.place.line, failure.place.column)
    };
    println!(
        "    {} · {} · {}{place}",
        plain(&asked.principal),
        plain(&asked.action),
        plain(&asked.resource)
    );
    println!("      expected {}", plain(&failure.expected));
    let mut why = failure.why.iter().map(|why| plain(why));
    println!("      got {}: {}", plain(&failure.got), why.next().unwrap_or_default());
    for why in why {
        println!("        and {why}");
    }
    for remark in failure.remarks() {
        println!("        {}", plain(&remark));
    }
}

/// `41 passed, 2 failed, 1 skipped`.
fn counted(count: Count) -> String {
    let Count { passed, failed, skipped } = count;
    let mut parts = vec![format!("{GOOD}{passed} passed{GOOD:#}")];
    if failed > 0 {
        parts.push(format!("{BAD}{failed} failed{BAD:#}"));
    }
    if skipped > 0 {
        parts.push(format!("{skipped} skipped"));
    }
    parts.join(", ")
}
