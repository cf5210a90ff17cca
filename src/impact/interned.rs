//! Values by number, equal ones under the same.

use std::collections::HashMap;
use std::hash::Hash;

#[derive(Debug)]
pub(super) struct Interned<T> {
    all: Vec<T>,
    numbers: HashMap<T, usize>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { all: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Hash + Eq + Clone> Interned<T> {
    /// The number of a value: that of an equal one, or the next.
    pub(super) fn number(&mut self, value: T) -> usize {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = self.all.len();
        self.all.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.all.get(number)
    }

    pub(super) fn all(&self) -> &[T] {
        &self.all
    }
}
