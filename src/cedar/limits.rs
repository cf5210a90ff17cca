//! The bounds on texts that are judged before any parser reads them.
//!
//! Cedar's parsers, converters and evaluator recurse without a limit of their own: a stack overflow
//! ends the process, and a `forbid` too deep for the stack is skipped. A text that passes here is
//! parsed, validated and converted on [`COMPILE_STACK`] and evaluated on [`EVALUATION_STACK`]
//! with room to spare; `depth.rs` proves it at the first compile.

use std::ops::Range;

use super::Source;
use super::findings;
use super::lexer::{Kind, Token, tokens};
use crate::model::{Finding, Limits, value};

/// The stack of every thread that parses, validates or converts, in bytes.
pub const COMPILE_STACK: usize = 256 * 1024 * 1024;

/// The stack of every thread that evaluates, in bytes: those of the server, of batches and of tests.
pub const EVALUATION_STACK: usize = 8 * 1024 * 1024;

/// How deep brackets nest. People write five or six.
pub(super) const NESTING: usize = 64;

/// How deep the JSON of stored entities and links nests; `serde_json` itself stops at 128.
const JSON_NESTING: usize = 64;

/// How many namespaces stand in a name of a schema: Cedar's time for it grows faster than its length.
const NAMESPACES: usize = 64;

/// How many `!` or `-` stand in a row: Cedar's own limit.
const NEGATIONS: usize = 4;

/// The `if`s of one policy.
pub(super) const CONDITIONALS: usize = 50;

/// The operators of one policy, accesses to attributes and joined conditions counted: each can be a
/// level of the expression that Cedar walks.
pub(super) const OPERATORS: usize = 400;

/// How often its own size a policy's text may come to when `is … in` and `has a.b` are written out:
/// Cedar repeats the operand, and operands nest.
const EXPANSION: u64 = 4;

/// The findings of one file: who breaks a rule often breaks it everywhere.
const FINDINGS: usize = 8;

/// What is too large, too deep or too long in the text of a policy file: the first offence against
/// each rule in each policy. Nothing: it may be parsed.
pub(super) fn policy_text(source: &Source, limits: &Limits) -> Vec<Finding> {
    if let Some(finding) = file_too_large(source, limits) {
        return vec![finding];
    }
    let mut scan = Scan { source, limits, policy: Policy::default(), findings: Vec::new() };
    for token in tokens(&source.text) {
        scan.read(token);
        if token.is(";") {
            scan.end_policy();
        }
        if scan.findings.len() >= FINDINGS {
            break;
        }
    }
    scan.end_policy();
    scan.findings
}

/// The same for a schema file: its size, and how deep it nests.
pub(super) fn schema_text(source: &Source, limits: &Limits) -> Vec<Finding> {
    if let Some(finding) = file_too_large(source, limits) {
        return vec![finding];
    }
    let (mut depth, mut separators) = (0_usize, 0_usize);
    for token in tokens(&source.text) {
        if token.is("::") || token.is(":") {
            separators += 1;
        } else if token.opens() || token.closes() || [",", ";", "=", "<", ">"].iter().any(|end| token.is(end))
        {
            separators = 0;
        }
        if separators > NAMESPACES {
            let message = format!("a name has more than {NAMESPACES} namespaces");
            return vec![findings::at(source, token.span(), "too-deep", message).help("shorten it")];
        }
        if token.opens() || token.is("<") {
            depth += 1;
            if depth > NESTING {
                return vec![too_deep(source, token.span())];
            }
        } else if token.closes() || token.is(">") {
            depth = depth.saturating_sub(1);
        }
    }
    Vec::new()
}

/// The same for a file of JSON, which may be `most` bytes large.
pub(super) fn json_text(source: &Source, most: usize) -> Vec<Finding> {
    if source.text.len() > most {
        return vec![too_large(source, most)];
    }
    let depth = value::nesting(source.text.as_bytes());
    if depth > JSON_NESTING {
        let message = format!("the file nests {depth} levels deep, {JSON_NESTING} are allowed");
        return vec![Finding::error(&source.path, "too-deep", message)];
    }
    Vec::new()
}

fn file_too_large(source: &Source, limits: &Limits) -> Option<Finding> {
    (source.text.len() > limits.file).then(|| too_large(source, limits.file))
}

fn too_large(source: &Source, most: usize) -> Finding {
    let message = format!("the file has {} bytes, {most} are allowed", source.text.len());
    Finding::error(&source.path, "file-too-large", message)
        .help("split it into several files, or raise the limit in `[limits]` of palisade.toml")
}

fn too_deep(source: &Source, span: Range<usize>) -> Finding {
    findings::at(source, span, "too-deep", format!("brackets nest more than {NESTING} levels deep"))
        .help("take the inner part apart into several policies or clauses")
}

/// A walk over the tokens of a policy file.
#[derive(Debug)]
struct Scan<'source> {
    source: &'source Source,
    limits: &'source Limits,
    policy: Policy<'source>,
    findings: Vec<Finding>,
}

/// What the policy under the walk has come to so far.
#[derive(Debug, Default)]
struct Policy<'text> {
    start: Option<usize>,
    end: usize,
    outermost: Group,
    groups: Vec<Group>,
    operators: usize,
    conditionals: usize,
    negations: usize,
    before: Option<Token<'text>>,
    /// The codes of what was found in it.
    found: Vec<&'static str>,
}

/// What stands between two brackets, in tokens, everything written out.
#[derive(Debug, Default, Clone, Copy)]
struct Group {
    all: u64,
    /// Since the last `&&`, `||`, comma or the like.
    operand: u64,
    /// What the `is` or `has` that was just read may repeat.
    repeated: Repeated,
}

/// An operand that Cedar writes more than once.
#[derive(Debug, Default, Clone, Copy)]
enum Repeated {
    #[default]
    Nothing,
    /// Left of an `is`: once more for an `in`.
    ByIn(u64),
    /// Left of a `has`: once more for each dot behind it.
    ByDots(u64),
}

impl<'source> Scan<'source> {
    fn read(&mut self, token: Token<'source>) {
        let policy = &mut self.policy;
        policy.start.get_or_insert(token.start);
        policy.end = token.span().end;
        policy.count(&token);
        let (depth, operators) = (policy.groups.len(), policy.operators);
        let (conditionals, negations) = (policy.conditionals, policy.negations);
        policy.before = Some(token);
        let at = token.span();
        if depth > NESTING {
            self.report("too-deep", |source| too_deep(source, at.clone()));
        }
        if operators > OPERATORS {
            self.report("too-many-operators", |source| {
                let message = format!("the policy has more than {OPERATORS} operators");
                findings::at(source, at.clone(), "too-many-operators", message)
                    .help("write it as several policies, or compare with a set: `[…].contains(…)`")
            });
        }
        if conditionals > CONDITIONALS {
            self.report("too-many-conditionals", |source| {
                let message = format!("the policy has more than {CONDITIONALS} `if`");
                findings::at(source, at.clone(), "too-many-conditionals", message)
                    .help("write it as several policies")
            });
        }
        if negations > NEGATIONS {
            self.report("too-many-negations", |source| {
                let message = format!("more than {NEGATIONS} `{}` in a row", token.text);
                findings::at(source, at.clone(), "too-many-negations", message)
                    .help("an even number of them changes nothing")
            });
        }
    }

    /// What can only be said of a whole policy; then the next begins.
    fn end_policy(&mut self) {
        let Some(start) = self.policy.start else { return };
        let (size, most) = (self.policy.end - start, self.limits.policy);
        if size > most {
            self.report("policy-too-large", |source| {
                let message = format!("the policy has {size} bytes, {most} are allowed");
                findings::at(source, start..start, "policy-too-large", message)
                    .help("write it as several policies, or raise the limit in `[limits]` of palisade.toml")
            });
        }
        let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_mul(EXPANSION);
        if self.policy.written_out() > most {
            self.report("policy-expands", |source| {
                let message = format!("written out, the policy has more than {most} words");
                findings::at(source, start..start, "policy-expands", message)
                    .help("Cedar repeats what stands left of `is … in`: do not nest it there")
            });
        }
        self.policy = Policy::default();
    }

    /// The first offence against a rule speaks for all of them in its policy; only that one is
    /// looked up in the text.
    fn report(&mut self, code: &'static str, finding: impl FnOnce(&Source) -> Finding) {
        if !self.policy.found.contains(&code) && self.findings.len() < FINDINGS {
            self.policy.found.push(code);
            self.findings.push(finding(self.source));
        }
    }
}

impl Policy<'_> {
    fn count(&mut self, token: &Token<'_>) {
        self.count_operators(token);
        self.count_expansion(token);
        if token.opens() {
            self.groups.push(Group::default());
        } else if token.closes()
            && let Some(inner) = self.groups.pop()
        {
            self.innermost().add(inner.all);
        }
    }

    fn count_operators(&mut self, token: &Token<'_>) {
        let after_dot = self.before.is_some_and(|before| before.is("."));
        let negates = token.is("!") || token.is("-");
        let repeats = negates && self.before.is_some_and(|before| before.text == token.text);
        self.negations =
            if repeats { self.negations + 1 } else { usize::from(negates && !self.after_operand()) };
        self.conditionals += usize::from(token.is_word("if") && !after_dot);
        self.operators += match token.text {
            "&&" | "||" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "+" | "-" | "*" | "/" | "%" | "!" | "." => {
                1
            }
            "[" | "(" if self.after_operand() => 1,
            "has" | "like" | "is" | "in" | "if" if !after_dot => 1,
            // Cedar joins conditions with `&&`, and negates those of `unless`.
            "when" if self.groups.is_empty() => 1,
            "unless" if self.groups.is_empty() => 2,
            _ => 0,
        };
    }

    fn count_expansion(&mut self, token: &Token<'_>) {
        let after_dot = self.before.is_some_and(|before| before.is("."));
        let group = self.innermost();
        match token.text {
            "&&" | "||" | "," | ":" | "if" | "then" | "else" if !after_dot => {
                (group.operand, group.repeated) = (0, Repeated::Nothing);
            }
            "is" if !after_dot => group.repeated = Repeated::ByIn(group.operand),
            "has" if !after_dot => group.repeated = Repeated::ByDots(group.operand),
            "in" if !after_dot => {
                if let Repeated::ByIn(operand) = group.repeated {
                    group.add(operand);
                }
            }
            "." => {
                if let Repeated::ByDots(operand) = group.repeated {
                    group.add(operand);
                }
            }
            _ => {}
        }
        group.add(1);
    }

    fn innermost(&mut self) -> &mut Group {
        self.groups.last_mut().unwrap_or(&mut self.outermost)
    }

    /// Whether what was read last can be accessed, called or subtracted from.
    fn after_operand(&self) -> bool {
        self.before.is_some_and(|before| match before.kind {
            Kind::Word => !matches!(before.text, "if" | "then" | "else" | "in" | "has" | "like" | "is"),
            Kind::String | Kind::Integer | Kind::Slot => true,
            Kind::Symbol => before.closes(),
            Kind::Space | Kind::Comment | Kind::Unknown => false,
        })
    }

    /// In tokens, groups that nobody closed included.
    fn written_out(&self) -> u64 {
        self.groups.iter().fold(self.outermost.all, |all, group| all.saturating_add(group.all))
    }
}

impl Group {
    fn add(&mut self, tokens: u64) {
        self.all = self.all.saturating_add(tokens);
        self.operand = self.operand.saturating_add(tokens);
    }
}
