//! The one integration binary: the library and the program as their users meet them.

#![expect(
    clippy::disallowed_methods,
    clippy::string_slice,
    clippy::pedantic,
    clippy::wildcard_enum_match_arm,
    reason = "tests stand in for the world: they write files, read clocks and take texts apart"
)]

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod authorize;
#[cfg(test)]
mod authorizer_bundle;
#[cfg(test)]
mod bundle;
#[cfg(test)]
mod bundle_age;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod cli_bundle;
#[cfg(test)]
mod cli_check;
#[cfg(test)]
mod cli_coverage;
#[cfg(test)]
mod cli_decide;
#[cfg(test)]
mod cli_diff;
#[cfg(test)]
mod cli_init;
#[cfg(test)]
mod cli_test;
#[cfg(test)]
mod cli_token;
#[cfg(test)]
mod cli_workflow;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod evaluation;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod image;
#[cfg(test)]
mod lambda_authorizer;
#[cfg(test)]
mod lambda_extension;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod lint_docs;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod page;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod shelf;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tokens;
