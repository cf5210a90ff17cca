//! Makes so many decisions and ends: for counting instructions.
//!
//!     cargo run --release --example decisions -- scope|condition POLICIES DECISIONS

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot start says why")]

use std::hint::black_box;

use palisade::model::Timestamp;

/// As the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../benches/fixture/mod.rs"]
#[expect(dead_code, reason = "the benchmark of decisions uses the rest")]
mod fixture;

use fixture::Candidate;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [candidate, policies, decisions] = &arguments[..] else {
        panic!("usage: decisions scope|condition POLICIES DECISIONS")
    };
    let candidate = if candidate == "condition" { Candidate::ByCondition } else { Candidate::ByScope };
    let snapshot = fixture::snapshot(&fixture::policies(policies.parse().unwrap(), candidate));
    let (identity, question) = (fixture::identity(1), fixture::question(candidate));
    for _ in 0..decisions.parse().unwrap() {
        let evaluation = snapshot.evaluate(&identity, &question, Timestamp::from_millis(0)).unwrap();
        black_box(evaluation);
    }
}
