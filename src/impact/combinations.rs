//! What the fixtures of both sides could be asked about: every principal, action and resource that
//! go together. Too many are thinned out evenly, never cut off at an end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::asking::{Asker, Side};
use super::comparison::{Comparison, Key};
use crate::cedar::entity_parts;
use crate::model::{Identity, RefusalCode};

/// Every combination, by number.
#[derive(Debug)]
pub(super) struct Combinations {
    blocks: Vec<Block>,
}

/// Principals of one type and resources of one type: the same actions apply to all of them.
#[derive(Debug)]
struct Block {
    askers: Arc<[usize]>,
    things: Arc<[usize]>,
    /// The actions, each with what it is told.
    asks: Vec<(Arc<str>, usize)>,
}

/// The types of a principal under both sides; nothing under one that makes none of its token.
type PrincipalTypes = (Option<String>, Option<String>);

impl Combinations {
    /// The combinations of everything that a comparison knows by now.
    pub(super) fn of(comparison: &Comparison<'_>, untold: usize) -> Self {
        let Comparison { old, new, askers, things, told, .. } = comparison;
        let mut by_type: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, entity) in things.all().iter().enumerate() {
            by_type.entry(&entity.type_name).or_default().push(number);
        }
        let mut classes: BTreeMap<PrincipalTypes, Vec<usize>> = BTreeMap::new();
        for (number, asker) in askers.iter().enumerate() {
            let any_type = by_type.keys().next().copied().unwrap_or_default();
            classes.entry(types(asker, (old, new), any_type)).or_default().push(number);
        }
        let mut blocks = Vec::new();
        let by_type: Vec<_> = by_type.into_iter().map(|(name, all)| (name, Arc::from(all))).collect();
        for members in classes.into_values() {
            let Some(first) = members.first().and_then(|first| askers.get(*first)) else { continue };
            let members: Arc<[usize]> = members.into();
            for (resource_type, things) in &by_type {
                let asks = first.applicable(old, new, resource_type).into_iter().flat_map(|action| {
                    let told = told.get(&action).cloned().unwrap_or_else(|| BTreeSet::from([untold]));
                    told.into_iter().map(move |circumstances| (Arc::clone(&action), circumstances))
                });
                let (askers, things) = (Arc::clone(&members), Arc::clone(things));
                blocks.push(Block { askers, things, asks: asks.collect() });
            }
        }
        Self { blocks }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.blocks.iter().map(Block::count).fold(0, usize::saturating_add)
    }

    /// At most so many of them. Steps of the golden ratio, made coprime to the count, meet each at
    /// most once and leave no part out, whatever the sizes of the blocks.
    pub(super) fn spread(&self, most: usize) -> impl Iterator<Item = Key> {
        let count = self.count();
        let step = if count <= most { 1 } else { golden_step(count) };
        let mut next = 0;
        (0..count.min(most)).filter_map(move |_| {
            let key = self.nth(next);
            next = usize::try_from((wide(next) + wide(step)) % wide(count).max(1)).unwrap_or_default();
            key
        })
    }

    fn nth(&self, mut number: usize) -> Option<Key> {
        for block in &self.blocks {
            let count = block.count();
            if number < count {
                return block.nth(number);
            }
            number -= count;
        }
        None
    }
}

impl Block {
    fn count(&self) -> usize {
        self.askers.len().saturating_mul(self.things.len()).saturating_mul(self.asks.len())
    }

    fn nth(&self, number: usize) -> Option<Key> {
        let (rest, ask) = (number / self.asks.len(), number % self.asks.len());
        let (asker, thing) = (rest / self.things.len(), rest % self.things.len());
        let (action, circumstances) = self.asks.get(ask)?;
        Some((*self.askers.get(asker)?, Arc::clone(action), *self.things.get(thing)?, *circumstances))
    }
}

fn types(asker: &Asker, (old, new): (&Side<'_>, &Side<'_>), any_type: &str) -> PrincipalTypes {
    let of = |side: &Side<'_>, identity: Option<&Identity>| {
        let identity = identity?;
        let refused = side.snapshot.applicable_actions(identity, any_type).err();
        if refused.is_some_and(|refusal| refusal.code == RefusalCode::InvalidToken) {
            return None;
        }
        entity_parts(&side.snapshot.principal_uid(identity)).map(|(name, _)| name.to_owned())
    };
    (of(old, asker.old.as_ref().ok()), of(new, asker.new.as_ref().ok()))
}

/// The number nearest above 0.618 of a count that has no divisor in common with it.
fn golden_step(count: usize) -> usize {
    let start = usize::try_from(wide(count) * 618_034 / 1_000_000).unwrap_or_default();
    (start.max(1)..count).find(|step| divisor(*step, count) == 1).unwrap_or(1)
}

/// Wide enough for a sum of two.
fn wide(number: usize) -> u128 {
    u128::try_from(number).unwrap_or(u128::MAX / 2)
}

/// The greatest common divisor.
fn divisor(left: usize, right: usize) -> usize {
    if right == 0 { left } else { divisor(right, left % right) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn block(askers: std::ops::Range<usize>, things: usize, asks: usize) -> Block {
        let asks = (0..asks).map(|ask| (Arc::from(format!("a{ask}")), 0)).collect();
        Block { askers: askers.collect(), things: (0..things).collect(), asks }
    }

    #[test]
    fn few_combinations_are_all_met_once() {
        let combinations =
            Combinations { blocks: vec![block(0..2, 3, 4), block(2..3, 5, 0), block(3..4, 1, 2)] };
        assert_eq!(combinations.count(), 26);
        let met: HashSet<_> = combinations.spread(100).collect();
        assert_eq!(met.len(), 26);
    }

    #[test]
    fn of_many_no_principal_action_or_resource_is_left_out() {
        let combinations = Combinations { blocks: vec![block(0..100, 10, 10), block(100..150, 20, 10)] };
        let met: Vec<_> = combinations.spread(1_000).collect();
        assert_eq!(met.iter().collect::<HashSet<_>>().len(), 1_000);
        let met_by = |part: fn(&Key) -> String| met.iter().map(part).collect::<HashSet<_>>().len();
        assert_eq!(met_by(|key| key.0.to_string()), 150);
        assert_eq!(met_by(|key| key.1.to_string()), 10);
        assert_eq!(met_by(|key| key.2.to_string()), 20);
    }
}
