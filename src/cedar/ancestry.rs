//! What an entity stands in, near and far, and how many generations that may be: judged before
//! Cedar computes the closure, which takes time and memory for every generation (a chain of
//! 10,000 takes 55 s and 10 GB).

use std::collections::{HashMap, HashSet};

use super::uid::{Uid, Uids};

/// The first of the entities that has more than `limit` generations of ancestors, as one that
/// stands in itself has. `parents` knows the near ones.
pub(super) fn first_too_deep<'a>(
    uids: impl IntoIterator<Item = Uid<'a>>,
    parents: impl Fn(Uid<'a>) -> Uids<'a>,
    limit: usize,
) -> Option<Uid<'a>> {
    let mut depths = HashMap::default();
    uids.into_iter().find(|uid| depth(*uid, &parents, limit, &mut depths).is_none())
}

/// Everything that an entity with these parents stands in. `parents` knows the others' near ones.
pub(super) fn ancestors<'a>(near: Uids<'a>, parents: impl Fn(Uid<'a>) -> Uids<'a>) -> HashSet<Uid<'a>> {
    let mut found = HashSet::default();
    let mut open: Vec<_> = near.iter().collect();
    while let Some(uid) = open.pop() {
        if found.insert(uid) {
            open.extend(parents(uid).iter());
        }
    }
    found
}

/// Recurses no deeper than `left`; none where the generations are more.
fn depth<'a>(
    uid: Uid<'a>,
    parents: &impl Fn(Uid<'a>) -> Uids<'a>,
    left: usize,
    depths: &mut HashMap<Uid<'a>, usize>,
) -> Option<usize> {
    let mut deepest = 0;
    if let Some(known) = depths.get(&uid) {
        deepest = *known;
    } else {
        for parent in parents(uid).iter() {
            deepest = deepest.max(depth(parent, parents, left.checked_sub(1)?, depths)? + 1);
        }
        depths.insert(uid, deepest);
    }
    (deepest <= left).then_some(deepest)
}
