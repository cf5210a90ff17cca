//! The hash tables that every decision looks into.
//!
//! Their hash is seeded and fast, and not made to withstand somebody who picks keys to collide and times what
//! comes of it. So they hold what the operator and verified tokens say; what requests say is only looked up, and
//! goes into tables of the standard library's hash.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// By key.
pub(super) type FastMap<K, V> = HashMap<K, V, RandomState>;

/// Each once.
pub(super) type FastSet<T> = HashSet<T, RandomState>;
