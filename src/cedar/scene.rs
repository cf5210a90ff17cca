//! What the engine is given where conditions must be evaluated: the request, and of all entities those
//! that the conditions can get at.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};

use super::case::Case;
use super::clauses::{EVERYTHING, Looks};
use super::extension;
use super::index::Guard;
use super::level::Level;
use super::schema::Extension;
use super::typed::expressions;
use super::uid::Uid;
use crate::model::{Refusal, Timestamp};

/// As many entities are added to the principal's own rather than all made together.
const FEW: usize = 4;

/// What conditions are judged against: a request in the engine's form.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) request: Request,
    pub(super) entities: Entities,
}

/// What some conditions need of a scene.
#[derive(Debug)]
pub(super) struct Needs<'a> {
    looks_into: Looks,
    level: Level,
    /// Named by the policies themselves, and looked into.
    literals: Vec<&'a EntityUid>,
}

impl<'a> Needs<'a> {
    /// What all of these together need.
    pub(super) fn of(guards: impl IntoIterator<Item = &'a Guard>) -> Self {
        let mut needs = Self { looks_into: Looks::default(), level: Level::Bounded(0), literals: Vec::new() };
        for guard in guards {
            needs.looks_into = needs.looks_into.and(guard.clauses.looks_into);
            needs.level = needs.level.max(guard.level);
            needs.literals.extend(&guard.literals);
        }
        needs
    }

    /// Whatever a request leads to, and these.
    pub(super) fn everything(literals: impl IntoIterator<Item = &'a EntityUid>) -> Self {
        Self { looks_into: EVERYTHING, level: Level::Unbounded, literals: literals.into_iter().collect() }
    }
}

impl Case<'_> {
    /// The request with the entities that are needed.
    pub(super) fn scene(&self, needs: &Needs<'_>, now: Timestamp) -> Result<Scene, Refusal> {
        let context = if needs.looks_into.context { self.context_at(now)? } else { Context::empty() };
        let (principal, action) = (self.principal.uid.clone(), self.action.uid.clone());
        let request = Request::new(principal, action, self.resource.owned(), context, None)
            .map_err(|error| Refusal::mismatch(error.to_string()))?;
        Ok(Scene { request, entities: self.entities(needs)? })
    }

    /// The same, for whatever may be asked of it.
    pub(super) fn whole_scene(&self, now: Timestamp) -> Result<Scene, Refusal> {
        let guards = self.snapshot.index.policies().iter().filter_map(|policy| policy.guard.as_deref());
        self.scene(&Needs::everything(guards.flat_map(|guard| &guard.literals)), now)
    }

    /// The context with the time of the request, where the schema declares it.
    fn context_at(&self, now: Timestamp) -> Result<Context, Refusal> {
        let mut given = expressions(self.context).map_err(Refusal::mismatch)?;
        if self.action.wants_now() {
            given.push(("now".to_owned(), self.snapshot.last_now.at(now)));
        }
        Context::from_pairs(given).map_err(|error| Refusal::mismatch(error.to_string()))
    }

    fn entities(&self, needs: &Needs<'_>) -> Result<Entities, Refusal> {
        let mut gathered = Walk::gather(self, needs).map_err(Refusal::mismatch)?;
        let principal = match needs.looks_into {
            Looks { principal: false, .. } => Entities::empty(),
            Looks { ancestors: false, .. } => self.principal.without_ancestors.clone(),
            _ => self.principal.alone.clone(),
        };
        let entities = if gathered.len() <= FEW {
            // Making a principal with its groups takes longer than all the rest.
            if gathered.is_empty() { Ok(principal) } else { principal.add_entities(gathered, None) }
        } else {
            // But to mend a closure takes longer than to make one, and far longer in deep hierarchies.
            gathered.extend(principal.iter().cloned());
            Entities::from_entities(gathered, None)
        };
        entities.map_err(|error| Refusal::malformed(error.to_string()))
    }
}

/// A walk from what conditions look into, one step for each level.
struct Walk<'a> {
    case: &'a Case<'a>,
    ancestors: bool,
    reached: HashSet<Uid<'a>>,
    /// What is among the entities already.
    given: HashSet<Uid<'a>>,
    entities: Vec<Entity>,
}

impl<'a> Walk<'a> {
    /// Every entity that is needed, but for the principal where that is looked into.
    fn gather(case: &'a Case<'a>, needs: &Needs<'a>) -> Result<Vec<Entity>, String> {
        let looks = needs.looks_into;
        let mut walk = Self {
            case,
            ancestors: looks.ancestors,
            reached: HashSet::default(),
            given: HashSet::default(),
            entities: Vec::new(),
        };
        let steps = match needs.level {
            Level::Bounded(steps) => steps,
            Level::Unbounded => u32::MAX,
        };
        let mut next = Vec::new();
        if looks.principal {
            let principal = Uid::from(&case.principal.uid);
            walk.reached.insert(principal);
            walk.given.insert(principal);
            next.extend(case.mentioned_by(principal).iter());
        }
        let mut at: Vec<_> = needs.literals.iter().copied().map(Uid::from).collect();
        at.extend(looks.resource.then_some(case.resource));
        at.extend(looks.action.then_some(Uid::from(&case.action.uid)));
        if looks.context {
            at.extend(case.setting.in_context.iter().copied());
        }
        for left in (0..steps).rev() {
            for uid in at.drain(..) {
                if walk.reached.insert(uid) {
                    walk.give(uid)?;
                    // The last step sees attributes, and nothing of what they mention.
                    next.extend(case.mentioned_by(uid).iter().filter(|_| left > 0));
                }
            }
            std::mem::swap(&mut at, &mut next);
            if at.is_empty() {
                break;
            }
        }
        Ok(walk.entities)
    }

    /// Takes an entity and, for the engine to find its ancestors, those that stand in something themselves.
    fn give(&mut self, uid: Uid<'a>) -> Result<(), String> {
        if !self.ancestors {
            self.entities.extend(self.case.entity(uid, false)?);
            return Ok(());
        }
        let mut open = vec![uid];
        while let Some(uid) = open.pop() {
            if self.given.insert(uid) {
                self.entities.extend(self.case.entity(uid, true)?);
                let parents = self.case.parents(uid).iter();
                open.extend(parents.filter(|parent| self.case.stands_in_something(*parent)));
            }
        }
        Ok(())
    }
}

/// The last point in time in Cedar's form. Making one runs Cedar's parser, and the requests of one
/// millisecond share it.
#[derive(Debug, Default)]
pub(super) struct LastNow(Mutex<Option<(Timestamp, RestrictedExpression)>>);

impl LastNow {
    fn at(&self, now: Timestamp) -> RestrictedExpression {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((time, expression)) if *time == now => expression.clone(),
            Some(_) | None => {
                let expression = extension::expression(Extension::Datetime, &now.to_string());
                *last = Some((now, expression.clone()));
                expression
            }
        }
    }
}
