//! One decision in process: by the snapshot, and by Cedar's authorizer over the whole set of policies, which
//! is given its request and its entities ready-made.
//!
//!     cargo bench --bench decision

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot start says why")]

use std::hint::black_box;
use std::time::Duration;

use cedar_policy::Authorizer;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use palisade::model::{Decision, Timestamp};

/// As the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod fixture;

use fixture::Candidate;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn decision(criterion: &mut Criterion) {
    for (name, candidate) in [("by scope", Candidate::ByScope), ("by condition", Candidate::ByCondition)] {
        let mut group = criterion.benchmark_group(format!("decision {name}"));
        group.measurement_time(Duration::from_secs(3)).sample_size(20);
        for count in [10, 1_000, 100_000] {
            let policies = fixture::policies(count, candidate);
            let snapshot = fixture::snapshot(&policies);
            let (identity, question) = (fixture::identity(1), fixture::question(candidate));
            let evaluate = || snapshot.evaluate(&identity, black_box(&question), NOW).unwrap();
            assert_eq!(evaluate().decision, Decision::Allow);
            group.bench_function(BenchmarkId::new("palisade", count), |bencher| bencher.iter(evaluate));
            drop(snapshot);
            let (request, policies, entities) = fixture::for_cedar(&policies);
            let authorize = || Authorizer::new().is_authorized(black_box(&request), &policies, &entities);
            assert_eq!(authorize().decision(), cedar_policy::Decision::Allow);
            group.bench_function(BenchmarkId::new("authorizer", count), |bencher| bencher.iter(authorize));
        }
        group.finish();
    }
}

fn groups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision by condition, by the groups of the user");
    let snapshot = fixture::snapshot(&fixture::policies(1_000, Candidate::ByCondition));
    for count in [1, 10, 100] {
        let (identity, question) = (fixture::identity(count), fixture::question(Candidate::ByCondition));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| snapshot.evaluate(&identity, black_box(&question), NOW).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, decision, groups);
criterion_main!(benches);
