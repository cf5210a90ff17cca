//! How far a compilation is: written by those who compile, read by whoever shows it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What is being done just now, shared between the two.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Option<Stage>>);

/// A part of the work, and how much of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Which part.
    pub work: Work,
    /// How much of it is done.
    pub done: usize,
    /// How much there is.
    pub all: usize,
}

/// The parts that can take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Files of policies and of links are parsed and validated.
    Policies,
    /// Files of stored entities are read and checked.
    Entities,
    /// Policies are filed by their scopes.
    Index,
    /// What compiles is linted.
    Lint,
}

impl Progress {
    /// What is being done; nothing before the beginning and after the end.
    pub fn stage(&self) -> Option<Stage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, work: Work, all: usize) {
        self.set(Some(Stage { work, done: 0, all }));
    }

    pub(super) fn one_more(&self) {
        if let Some(stage) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            stage.done += 1;
        }
    }

    pub(super) fn end(&self) {
        self.set(None);
    }

    fn set(&self, stage: Option<Stage>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}

/// `compiling policies: 120 of 1000 files`.
impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, done, all } = self;
        match work {
            Work::Policies => write!(formatter, "compiling policies: {done} of {all} files"),
            Work::Entities => write!(formatter, "reading stored entities: {done} of {all} files"),
            Work::Index => write!(formatter, "filing {all} policies by their scopes"),
            Work::Lint => write!(formatter, "linting {all} policies"),
        }
    }
}
