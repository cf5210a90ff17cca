//! Questions about one principal at one time, one after another: what neighbours have in common is judged once.

use std::sync::Arc;

use super::Snapshot;
use super::case::Case;
use super::principal::Principal;
use super::setting::Setting;
use crate::model::{EntityName, Evaluation, Question, Refusal, Timestamp};

/// Answers the questions about one principal under one snapshot. The same question gets the same evaluation,
/// whatever was asked before it.
#[derive(Debug)]
pub struct Hearing<'a> {
    snapshot: &'a Snapshot,
    principal: &'a Principal,
    now: Timestamp,
    /// Of the last question.
    setting: Option<Setting<'a>>,
    /// What the last question came to.
    last: Option<Arc<Evaluation>>,
}

impl<'a> Hearing<'a> {
    /// The principal is one of that snapshot.
    pub const fn new(snapshot: &'a Snapshot, principal: &'a Principal, now: Timestamp) -> Self {
        Self { snapshot, principal, now, setting: None, last: None }
    }

    /// Judges one question. Where it comes to the same as the one before it, it is the same evaluation.
    ///
    /// # Errors
    /// The question cannot be asked under this schema.
    pub fn evaluate(&mut self, question: &'a Question) -> Result<Arc<Evaluation>, Refusal> {
        let setting = match &mut self.setting {
            Some(setting) if setting.is_of(question) => setting,
            last => last.insert(Setting::of(self.snapshot, self.principal, question)?),
        };
        let case = Case::judge(setting, question)?;
        let evaluated = self.snapshot.decide(&case, self.now)?;
        let evaluation = match &self.last {
            Some(last) if evaluated == **last => last,
            _ => self.last.insert(Arc::new(evaluated.owned())),
        };
        Ok(Arc::clone(evaluation))
    }

    /// The full names of a question's action and of its resource, where the last question had the same setting.
    pub fn names_of<'q>(&'q self, question: &'q Question) -> Option<(&'q Arc<str>, EntityName<'q>)> {
        let setting = self.setting.as_ref().filter(|setting| setting.is_of(question))?;
        let resource = setting.resource_type.declared.name_of(&question.resource.id).ok()?;
        Some((&setting.action.name, resource))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cedar::{Source, Sources, compile};
    use crate::model::{Batch, Decision, Identity, Limits, RefusalCode};

    #[test]
    fn what_was_asked_before_changes_no_evaluation() {
        let file = |text: &str| vec![Source { path: "f".into(), name: "f".into(), text: text.into() }];
        let schema = "entity Group; entity User in [Group]; entity Doc; entity Note;
            action read, edit appliesTo
                { principal: User, resource: [Doc, Note, User], context: { calm?: Bool } };
            action sort appliesTo { principal: User, resource: Doc };";
        let policies = "permit (principal, action == Action::\"read\", resource is Doc);
            permit (principal, action == Action::\"edit\", resource) when { context has calm && context.calm };";
        let sources = Sources { policies: file(policies), schema: file(schema), ..Sources::default() };
        let snapshot = compile(&sources, &Limits::default()).unwrap().snapshot;
        let me = Identity::of_user("me", &[]);
        let asks = |action: &str, of_type: &str, more: &str| {
            format!(
                r#"{{"action": "{action}", "resource": {{"type": "{of_type}", "id": "x", "attributes": {{}}}}{more}}}"#
            )
        };
        let (calm, wild) = (r#", "context": {"calm": true}"#, r#", "context": {"calm": false}"#);
        let in_one_context = [
            (asks("edit", "Doc", ""), true),
            (asks("read", "Doc", ""), true),
            (asks("read", "Note", ""), false),
            (asks("read", "User", ""), false),
            (asks("read", "Doc", ""), true),
            (asks("sort", "Doc", ""), false),
            (asks("edit", "Note", ""), true),
            (asks("edit", "No such", ""), false),
            (asks("no such", "Note", ""), false),
            (asks("edit", "Note", ""), true),
        ];
        let in_their_own = [
            (asks("edit", "Doc", wild), false),
            (asks("edit", "Doc", calm), true),
            (asks("edit", "Doc", ""), false),
        ];
        let batch = |asked: &[(String, bool)], more: &str| {
            let asked: Vec<_> = asked.iter().map(|(asked, _)| asked.as_str()).collect();
            let json = format!(r#"{{"requests": [{}]{more}}}"#, asked.join(","));
            Batch::parse(json.as_bytes(), &Limits::default()).unwrap().items
        };
        let items = batch(&in_one_context, calm).into_iter().chain(batch(&in_their_own, ""));
        let items: Vec<_> = items.map(|item| item.question.unwrap()).collect();

        let now = Timestamp::from_millis(0);
        let principal = snapshot.principal(&me).unwrap();
        let mut hearing = Hearing::new(&snapshot, &principal, now);
        let mut together = Vec::new();
        for question in &items {
            together.push(hearing.evaluate(question).map(Arc::unwrap_or_clone));
            if let Some((action, resource)) = hearing.names_of(question) {
                assert_eq!(**action, format!("Action::\"{}\"", question.action));
                assert_eq!(resource.to_string(), format!("{}::\"x\"", question.resource.type_name));
            }
        }
        let alone: Vec<_> = items.iter().map(|question| snapshot.evaluate(&me, question, now)).collect();
        assert_eq!(together, alone);
        let may = together
            .iter()
            .map(|judged| judged.as_ref().is_ok_and(|judged| judged.decision == Decision::Allow));
        let expected = in_one_context.iter().chain(&in_their_own).map(|(_, may)| *may);
        assert!(may.eq(expected), "{together:?}");
        assert_eq!(together[3].as_ref().map_err(|refusal| refusal.code), Err(RefusalCode::ForgedIdentity));
    }
}
