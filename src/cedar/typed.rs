//! Values that conform to the schema, before they are the engine's: judging a request needs no more,
//! and most requests are decided without a look at them.

use cedar_policy::RestrictedExpression;

use super::extension;
use super::schema::Extension;
use super::uid::Uid;

/// A value that was judged against its type. Only [`super::check::Checker`] makes them.
#[derive(Debug, Clone)]
pub(super) enum Typed<'a> {
    Bool(bool),
    Long(i64),
    String(&'a str),
    Set(Vec<Self>),
    Record(Members<'a>),
    Entity(Uid<'a>),
    Extension(Extension, &'a str),
}

/// Attributes, tags or context members by name, each name once.
pub(super) type Members<'a> = Vec<(&'a str, Typed<'a>)>;

/// The same as the engine takes them.
pub(super) type Expressions = Vec<(String, RestrictedExpression)>;

impl Typed<'_> {
    /// The value as the engine takes it.
    ///
    /// # Errors
    /// The engine's words; never for a value that was judged.
    pub(super) fn expression(&self) -> Result<RestrictedExpression, String> {
        Ok(match self {
            Self::Bool(value) => RestrictedExpression::new_bool(*value),
            Self::Long(value) => RestrictedExpression::new_long(*value),
            Self::String(value) => RestrictedExpression::new_string((*value).to_owned()),
            Self::Set(values) => {
                let elements: Result<Vec<_>, _> = values.iter().map(Self::expression).collect();
                RestrictedExpression::new_set(elements?)
            }
            Self::Record(members) => {
                RestrictedExpression::new_record(expressions(members)?).map_err(|error| error.to_string())?
            }
            Self::Entity(uid) => RestrictedExpression::new_entity_uid(uid.owned()),
            Self::Extension(kind, text) => extension::expression(*kind, text),
        })
    }
}

/// Members as the engine takes them.
///
/// # Errors
/// See [`Typed::expression`].
pub(super) fn expressions(members: &Members<'_>) -> Result<Expressions, String> {
    members.iter().map(|(name, value)| Ok(((*name).to_owned(), value.expression()?))).collect()
}
