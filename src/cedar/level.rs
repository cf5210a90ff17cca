//! How deep the conditions of a policy reach into entities (Cedar RFC 76, level validation).

/// How many steps from the request's own entities conditions take: the attributes, tags and ancestors of
/// the principal are one, those of an entity that an attribute names are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// So many at most, and none into entities that the policy names itself.
    Bounded(u32),
    /// Nobody knows.
    Unbounded,
}
