//! How worlds come about.

use proptest::prelude::*;

use super::{
    ACTIONS, CONDITIONS, DOCUMENTS, Document, FAILING, FOLDERS, GROUPS, Policy, Question, Scope, Shape,
    USERS, User, World,
};

/// A world with so many questions.
pub(in crate::differential) fn world(questions: usize) -> impl Strategy<Value = World> {
    let below = |count: usize| -> Vec<BoxedStrategy<Vec<usize>>> {
        (0..count)
            .map(|own| match own {
                0 => Just(Vec::new()).boxed(),
                _ => prop::collection::vec(0..own, 0..4).boxed(),
            })
            .collect()
    };
    (
        shape(),
        prop::collection::vec(policy(), 8..18),
        below(GROUPS),
        below(FOLDERS),
        prop::collection::vec(user(), USERS),
        prop::collection::vec(document(), FOLDERS + DOCUMENTS),
        prop::collection::vec(question(), questions),
    )
        .prop_map(|(shape, policies, groups, folders, users, documents, questions)| World {
            shape,
            policies,
            groups,
            folders,
            users,
            documents,
            questions,
        })
}

fn shape() -> impl Strategy<Value = Shape> {
    let groups = prop::sample::subsequence(vec!["all", "reading"], 0..=2);
    (prop::collection::vec(groups, ACTIONS.len()), any::<bool>())
        .prop_map(|(groups_of_actions, documents_in_groups)| Shape { groups_of_actions, documents_in_groups })
}

fn policy() -> impl Strategy<Value = Policy> {
    let scope = || {
        prop_oneof![2 => 0..1_usize, 1 => 1..2_usize, 6 => 2..5_usize, 4 => 5..8_usize]
            .prop_flat_map(|form| (Just(form), 0..GROUPS))
            .prop_map(|(form, entity)| Scope(form, entity))
    };
    let which = prop_oneof![1 => 0..FAILING, 1 => 0..CONDITIONS.len()];
    let condition = (prop::bool::weighted(0.2), which, 0..4_i64);
    (
        prop::bool::weighted(0.3),
        scope(),
        0..8_usize,
        scope(),
        prop_oneof![1 => Just(vec![]), 3 => prop::collection::vec(condition, 1..3)],
        prop::collection::vec((0..GROUPS, 0..FOLDERS), 1..4),
    )
        .prop_map(|(forbids, principal, action, resource, conditions, links)| Policy {
            forbids,
            principal,
            action,
            resource,
            conditions,
            links,
        })
}

fn user() -> impl Strategy<Value = User> {
    (0..5_i64, 0..=USERS, 0..GROUPS, prop::collection::vec(0..GROUPS, 0..3))
        .prop_map(|(level, manager, team, groups)| User { level, manager, team, groups })
}

fn document() -> impl Strategy<Value = Document> {
    (
        0..4_i64,
        0..=USERS,
        prop::option::of(0..DOCUMENTS),
        prop::option::of(0..4_i64),
        prop::collection::vec(0..FOLDERS, 0..4),
    )
        .prop_map(|(size, owner, near, tag, folders)| Document { size, owner, near, tag, folders })
}

fn question() -> impl Strategy<Value = Question> {
    (
        (0..USERS, prop::collection::btree_set(0..GROUPS, 0..4), 0..ACTIONS.len()),
        (0..4_usize, 0..DOCUMENTS, document(), prop::option::of(document())),
        (0..4_i64, 0..=USERS),
    )
        .prop_map(|((user, groups, action), (kind, resource, given, nearby), (count, by))| Question {
            user,
            groups,
            action,
            kind,
            resource,
            given,
            nearby,
            count,
            by,
        })
}
