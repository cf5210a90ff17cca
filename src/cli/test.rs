//! `palisade test`: runs policy tests.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;

use super::render::{self, Texts};
use super::{Exit, Shell, files, github};
use crate::cedar::limits::EVALUATION_STACK;
use crate::cedar::{Compiled, Snapshot, Sources, Tracer, compile};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::model::Finding;
use crate::store::{TestFiles, TestTexts};
use crate::suite::{self, Coverage, Filter, Plan, Report, Suite, Terms};

mod annotations;
mod coverage;
mod json;
mod junit;
mod tree;
mod watch;

/// Which tests, and how they are run.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// Test files, and folders with files called `*.test.yaml`, `*.test.yml` or `*.test.json`; by default
    /// `tests/policies` beside the configuration.
    paths: Vec<PathBuf>,
    /// Run only what matches: a glob on the test's name, or on `file`, `test`, `principal`, `action` or
    /// `resource`, as in `action=update*`. May be repeated.
    #[arg(long, value_name = "GLOB", conflicts_with = "coverage_threshold")]
    filter: Vec<String>,
    /// Stop at the first failure.
    #[arg(long)]
    fail_fast: bool,
    /// A run without a single case is good.
    #[arg(long)]
    allow_empty: bool,
    /// Run again after every save, until it is ended.
    #[arg(long)]
    watch: bool,
    /// Write the results to this file too, as a `junit.xml`.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    coverage: coverage::Covering,
    /// Print the JSON Schema of test files, and run none.
    #[arg(long)]
    print_schema: bool,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// How the results of tests are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For a GitHub workflow: annotations, and the summary of the step.
    Github,
}

/// What a run came to.
struct Run {
    /// Nothing where the policies could not be compiled.
    report: Option<Report>,
    /// What is wrong with the policies, or about the tests.
    findings: Vec<Finding>,
    texts: Texts,
    snapshot: Option<Arc<Snapshot>>,
    coverage: Option<Coverage>,
}

impl Run {
    /// The report. Where the policies do not compile, it has no tests and all that is wrong.
    fn on_record(&self) -> Cow<'_, Report> {
        self.report.as_ref().map_or_else(
            || Cow::Owned(Report { findings: self.findings.clone(), ..Report::default() }),
            Cow::Borrowed,
        )
    }
}

impl Format {
    pub(super) const fn of_complaints(self) -> super::Format {
        match self {
            Self::Text | Self::Github => super::Format::Text,
            Self::Json => super::Format::Json,
        }
    }
}

pub(super) fn run(shell: &Shell, args: &Args) -> Exit {
    if args.print_schema {
        anstream::print!("{}", suite::SCHEMA);
        return Exit::Good;
    }
    let filter = match Filter::parse(&args.filter) {
        Ok(filter) => filter,
        Err(why) => {
            render::failure(&why, Some("write `--filter 'action=update*'`, or a glob on the test's name"));
            return Exit::Failed;
        }
    };
    if args.watch {
        return watch::run(shell, args, &filter);
    }
    match shell.configuration() {
        Ok(configuration) => once(shell, args, &configuration, &filter),
        Err(exit) => exit,
    }
}

/// Runs everything once and prints it.
fn once(shell: &Shell, args: &Args, configuration: &Configuration, filter: &Filter) -> Exit {
    if let Some(missing) = args.paths.iter().find(|path| !path.exists()) {
        render::failure(&format!("there is no `{}`", missing.display()), None);
        return Exit::Failed;
    }
    let terms = Terms {
        filter: filter.clone(),
        fail_fast: args.fail_fast,
        explain: true,
        ..Terms::at(Clock::machine().now().wall)
    };
    let covers = args.coverage.is_wanted();
    let judge = || judge(configuration, &test_files(configuration, args), &terms, covers);
    let run = match on_a_known_stack(judge) {
        Ok(run) => run,
        Err(why) => {
            render::failure(&why, None);
            return Exit::Failed;
        }
    };
    match args.format {
        Format::Text => tree::print(&run),
        Format::Json => json::print(&run),
        Format::Github => annotations::print(&run, &configuration.base, &shell.environment),
    }
    if let Some(path) = &args.junit
        && let Err(error) = junit::write(path, &run.on_record())
    {
        render::failure(&format!("`{}` cannot be written: {error}", path.display()), None);
        return Exit::Failed;
    }
    let in_workspace = |path: &str| github::in_workspace(&configuration.base, path, &shell.environment);
    if let Err(why) = args.coverage.print(&run, args.format, in_workspace) {
        render::failure(&why, None);
        return Exit::Failed;
    }
    exit(&run, args)
}

fn exit(run: &Run, args: &Args) -> Exit {
    let Some(report) = &run.report else { return Exit::Failed };
    if report.count().is_empty() && !args.allow_empty && report.is_good() {
        let (what, help) = if args.filter.is_empty() {
            ("no test was run", "name files or folders with tests; `--allow-empty` takes none for good")
        } else {
            ("no test matches the filter", "a glob must match the whole name: write `*` for the rest")
        };
        render::failure(what, Some(help));
        return Exit::Problems;
    }
    let covered = args.coverage.is_reached(run);
    if report.is_good() && covered { Exit::Good } else { Exit::Problems }
}

fn test_files(configuration: &Configuration, args: &Args) -> TestFiles {
    let limits = configuration.config.limits.clone();
    match args.paths.as_slice() {
        [] => TestFiles::of_project(&configuration.base, limits),
        paths => TestFiles::new(&configuration.base, paths, limits),
    }
}

/// Reads everything, compiles the policies, and runs the tests under them; `covers` says whether it
/// is of interest what they cover.
fn judge(configuration: &Configuration, files_of_tests: &TestFiles, terms: &Terms, covers: bool) -> Run {
    let limits = &configuration.config.limits;
    let (sources, compiled) = match files(configuration).read() {
        Ok(sources) => {
            let compiled = compile(&sources, limits);
            (sources, compiled)
        }
        Err(findings) => (Sources::default(), Err(findings)),
    };
    let texts = Texts::of(&sources, configuration);
    match compiled {
        Err(findings) => Run { report: None, findings, texts, snapshot: None, coverage: None },
        Ok(Compiled { snapshot, .. }) => {
            let TestTexts { shared, tests, findings } = files_of_tests.read();
            let suite = Suite::read(&shared, &tests);
            let plan = Plan::of(&suite, &snapshot, &configuration.config.issuers, limits);
            let texts = texts.and(&shared).and(&tests);
            let (mut report, coverage) = match run_tests(&plan, terms, covers) {
                Ok(ran) => ran,
                Err(findings) => {
                    return Run { report: None, findings, texts, snapshot: None, coverage: None };
                }
            };
            report.findings.splice(0..0, findings);
            let findings = report.findings.clone();
            Run { report: Some(report), findings, texts, snapshot: Some(Arc::clone(&snapshot)), coverage }
        }
    }
}

fn run_tests(
    plan: &Plan<'_>,
    terms: &Terms,
    covers: bool,
) -> Result<(Report, Option<Coverage>), Vec<Finding>> {
    if !covers {
        return Ok((suite::run(plan, terms), None));
    }
    let tracer = Tracer::of(plan.snapshot())?;
    let (mut report, coverage) = suite::run_with_coverage(plan, terms, &tracer);
    report.findings.extend(coverage.findings.iter().cloned());
    Ok((report, Some(coverage)))
}

/// Policies are evaluated on a thread whose stack carries every legal one.
pub(super) fn on_a_known_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("evaluation".to_owned()).stack_size(EVALUATION_STACK);
        let thread = builder
            .spawn_scoped(scope, work)
            .map_err(|error| format!("no thread to evaluate policies on: {error}"))?;
        thread.join().map_err(|_| "the evaluation stopped in the middle".to_owned())
    })
}
