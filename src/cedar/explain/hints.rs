//! What people need most who wonder about a decision: why it came out that way, and what to do.

use cedar_policy::{EntityTypeName, EntityUid};
use serde::Serialize;

use super::Circumstances;
use super::failed_part::{Absent, FailedPart, Part};
use super::near_misses::NearMiss;
use crate::cedar::lexer::{Kind, Token, tokens, unescape};
use crate::cedar::schema::Schema;
use crate::cedar::uid::Uid;
use crate::model::{Kind as Speaker, Origin, Question};

/// How many names a sentence holds.
const NAMES: usize = 8;

/// A probable cause, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// Which one.
    pub code: HintCode,
    /// In a sentence, for people.
    pub message: String,
}

/// The causes that are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HintCode {
    /// A policy asks for a group, and the token names none.
    NoGroups,
    /// A group of the token is known under another case.
    GroupCase,
    /// The action is for resources of other types.
    ResourceType,
    /// A condition asks for something that the request does not have.
    AttributeNotSent,
}

/// The causes that show in the near misses of a request.
pub(super) fn of_near_misses(around: &Circumstances<'_>, near_misses: &[NearMiss]) -> Vec<Hint> {
    let mut hints = Vec::new();
    let asking: Vec<_> = near_misses.iter().flat_map(|miss| around.groups_asked(miss)).collect();
    hints.extend(around.no_groups(&asking));
    hints.extend(around.group_case(&asking));
    // To send it would help where nothing else stood in the way; one policy speaks for all that ask.
    let mut told: Vec<&Absent> = Vec::new();
    for miss in near_misses {
        let [part] = &miss.failed[..] else { continue };
        for absent in part.seen.iter().filter_map(|seen| seen.absent.as_ref()) {
            if !told.contains(&absent) {
                told.push(absent);
                hints.push(around.not_sent(miss, absent));
            }
        }
    }
    hints
}

/// What can be asked instead of a question that cannot.
pub(in crate::cedar) fn of_refusal(schema: &Schema, question: &Question) -> Vec<Hint> {
    let (Ok(action), Ok(resource)) =
        (schema.action(&question.action), schema.entity_type(&question.resource.type_name))
    else {
        return Vec::new();
    };
    if action.resources.contains(&resource.name) {
        return Vec::new();
    }
    let mut there: Vec<_> = schema
        .actions()
        .filter(|action| action.resources.contains(&resource.name))
        .map(|action| action.uid.id().unescaped().to_owned())
        .collect();
    there.sort_unstable();
    let instead = if there.is_empty() {
        format!("no action applies to a `{}`", resource.name)
    } else {
        format!("the actions on a `{}` are {}", resource.name, listed(&there))
    };
    let of_action: Vec<_> = action.resources.iter().map(ToString::to_string).collect();
    let message = match of_action.as_slice() {
        [] => format!("`{}` is a group of actions: ask about one of them; {instead}", action.name),
        names => {
            format!("ask about a resource of type {}, or about another action: {instead}", listed(names))
        }
    };
    vec![Hint { code: HintCode::ResourceType, message }]
}

/// A group that a policy asks for.
struct Asked<'a> {
    policy: &'a str,
    /// The id of the group's entity.
    group: String,
}

impl Circumstances<'_> {
    /// The groups that the failed parts of a policy want the principal to be in.
    fn groups_asked<'m>(&self, miss: &'m NearMiss) -> Vec<Asked<'m>> {
        let Some(group_type) = self.snapshot.plans.group_type(self.identity) else { return Vec::new() };
        let wanting = miss.failed.iter().filter(|part| matches!(part.part, Part::Principal | Part::When));
        let groups = wanting.flat_map(|part| groups_in(part, group_type));
        groups.map(|group| Asked { policy: &miss.policy.id, group }).collect()
    }

    fn no_groups(&self, asked: &[Asked<'_>]) -> Option<Hint> {
        let Asked { policy, group } = asked.first()?;
        if !self.identity.groups.is_empty() || self.identity.kind == Speaker::Machine {
            return None;
        }
        let (what, help) = match self.identity.origin {
            Origin::Given => ("no groups were given".to_owned(), ""),
            Origin::Token | Origin::Claims => (
                format!("the {} token carries no groups", self.token_use()),
                ": if the user belongs there, add them in the user pool; tokens issued after that carry it",
            ),
        };
        let message = format!("{what}, and `{policy}` asks for `{group}`{help}");
        Some(Hint { code: HintCode::NoGroups, message })
    }

    fn group_case(&self, asked: &[Asked<'_>]) -> Vec<Hint> {
        let mut carried: Vec<_> = self.principal.token_groups.iter().collect();
        carried.sort_unstable();
        let hint = |carried: &str, known: &str, who: &str| Hint {
            code: HintCode::GroupCase,
            message: format!(
                "the token carries the group `{carried}`, and {who} `{known}`: the case of letters counts, \
                 so write both alike"
            ),
        };
        let mut hints = Vec::new();
        for uid in carried {
            let id = uid.id().unescaped();
            let alike = |known: &str| known != id && known.to_lowercase() == id.to_lowercase();
            if let Some(asked) = asked.iter().find(|asked| alike(&asked.group)) {
                hints.push(hint(id, &asked.group, &format!("`{}` asks for", asked.policy)));
            } else if let Some(stored) = spellings(id).into_iter().find(|spelling| {
                alike(spelling) && self.snapshot.store.contains(Uid::new(uid.type_name(), spelling))
            }) {
                hints.push(hint(id, &stored, "the stored entities hold"));
            }
        }
        hints
    }

    fn not_sent(&self, miss: &NearMiss, absent: &Absent) -> Hint {
        let Absent { holder, name } = absent;
        let is_stored =
            |uid: Option<&EntityUid>| uid.is_some_and(|uid| self.snapshot.store.contains(uid.into()));
        let what_to_do = match holder.as_str() {
            "principal" => match self.snapshot.plans.claim(self.identity, name) {
                Some(claim) => format!("the {} token does not carry the claim {claim}", self.token_use()),
                None => "map a claim to it in `[issuers.attributes]`, or store it".to_owned(),
            },
            "resource" if is_stored(self.scene.request.resource()) => {
                "the resource is stored, so write it there".to_owned()
            }
            "resource" => "send it in `resource.attributes`".to_owned(),
            "context" => "send it in `context`".to_owned(),
            _ => "describe that entity in `entities`, or store it".to_owned(),
        };
        let message =
            format!("`{holder}` has no `{name}`, which `{}` asks for: {what_to_do}", miss.policy.id);
        Hint { code: HintCode::AttributeNotSent, message }
    }

    const fn token_use(&self) -> &'static str {
        self.identity.token_use.as_str()
    }
}

/// The ids of groups in the text of a part: entities of their type, and strings where the part
/// reads the attribute `groups`.
fn groups_in(part: &FailedPart, group_type: &EntityTypeName) -> Vec<String> {
    let reads_groups = part.seen.iter().any(|seen| seen.expression == "principal.groups");
    let tokens: Vec<_> = tokens(&part.text).collect();
    let is_group = |before: &[Token<'_>]| match before {
        [.., name, separator] if separator.is("::") => name.is_word(group_type.basename()),
        _ => reads_groups,
    };
    let strings = tokens
        .iter()
        .enumerate()
        .filter(|(at, token)| token.kind == Kind::String && is_group(tokens.get(..*at).unwrap_or_default()));
    strings.filter_map(|(_, token)| unescape(token.text)).collect()
}

/// The same name as people write it otherwise.
fn spellings(name: &str) -> [String; 3] {
    let mut rest = name.chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    [name.to_lowercase(), name.to_uppercase(), first + rest.as_str()]
}

fn listed(names: &[String]) -> String {
    let mut quoted: Vec<_> = names.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
    if names.len() > NAMES {
        quoted.push(format!("{} more", names.len() - NAMES));
    }
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}
