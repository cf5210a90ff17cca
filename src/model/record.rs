//! The members of a JSON object by name: few, nearly always, and made for every request.

use std::slice;

use compact_str::CompactString;
use serde::{Serialize, Serializer};

use super::Value;

/// Members by name, each once, sorted. In a list, because few in a list are made, searched and freed sooner
/// than few in a tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Record(Vec<(CompactString, Value)>);

impl Record {
    /// No members.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These members.
    ///
    /// # Errors
    /// The name that is given twice.
    pub fn of(mut members: Vec<(CompactString, Value)>) -> Result<Self, CompactString> {
        // As most programs write them.
        if members.is_sorted_by(|left, right| left.0 < right.0) {
            return Ok(Self(members));
        }
        members.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        let twice = members.array_windows().find(|[left, right]| left.0 == right.0);
        match twice.map(|[(name, _), _]| name.clone()) {
            Some(name) => Err(name),
            None => Ok(Self(members)),
        }
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).ok().and_then(|position| self.0.get(position)).map(|(_, value)| value)
    }

    /// Whether there is a member of that name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    /// Adds a member, or puts it in place of the one of that name, and gives that.
    pub fn insert(&mut self, name: CompactString, value: Value) -> Option<Value> {
        match self.position(&name) {
            Ok(position) => self.0.get_mut(position).map(|(_, before)| std::mem::replace(before, value)),
            Err(position) => {
                self.0.insert(position, (name, value));
                None
            }
        }
    }

    /// Takes out the member of that name.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.position(name).ok().map(|position| self.0.remove(position).1)
    }

    /// Keeps the members that are wanted.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&CompactString) -> bool) {
        self.0.retain(|(name, _)| is_wanted(name));
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it takes in memory, in bytes, with all that is in it.
    pub fn size(&self) -> usize {
        self.iter().map(|(name, value)| size_of::<(CompactString, Value)>() + name.len() + value.size()).sum()
    }

    /// The members, by name.
    pub fn iter(&self) -> Members<'_> {
        self.into_iter()
    }

    /// The names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The values, by name.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|(_, value)| value)
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

/// The members of a record.
pub type Members<'a> = std::iter::Map<
    slice::Iter<'a, (CompactString, Value)>,
    fn(&'a (CompactString, Value)) -> (&'a CompactString, &'a Value),
>;

impl<'a> IntoIterator for &'a Record {
    type Item = (&'a CompactString, &'a Value);
    type IntoIter = Members<'a>;

    fn into_iter(self) -> Members<'a> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl IntoIterator for Record {
    type Item = (CompactString, Value);
    type IntoIter = std::vec::IntoIter<(CompactString, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

/// Of two members of one name the last stands.
impl<N: Into<CompactString>> Extend<(N, Value)> for Record {
    fn extend<I: IntoIterator<Item = (N, Value)>>(&mut self, members: I) {
        for (name, value) in members {
            self.insert(name.into(), value);
        }
    }
}

impl<N: Into<CompactString>> FromIterator<(N, Value)> for Record {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(members: I) -> Self {
        let mut record = Self::new();
        record.extend(members);
        record
    }
}

impl<N: Into<CompactString>, const COUNT: usize> From<[(N, Value); COUNT]> for Record {
    fn from(members: [(N, Value); COUNT]) -> Self {
        members.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_and_each_is_there_once() {
        let long = |number: i64| Value::Long(number);
        let record = Record::of(vec![("b".into(), long(2)), ("a".into(), long(1))]).unwrap();
        assert_eq!(record, Record::from([("a", long(1)), ("b", long(2))]));
        assert_eq!(Record::of(vec![("a".into(), long(1)), ("a".into(), long(1))]), Err("a".into()));
        assert_eq!((record.get("b"), record.get("c")), (Some(&long(2)), None));
        let mut edited = record.clone();
        assert_eq!(
            (edited.insert("aa".into(), long(3)), edited.insert("a".into(), long(4))),
            (None, Some(long(1)))
        );
        assert_eq!(edited.keys().collect::<Vec<_>>(), ["a", "aa", "b"]);
        assert_eq!((edited.remove("aa"), edited.remove("aa")), (Some(long(3)), None));
        assert_eq!(edited.len(), record.len());
    }
}
