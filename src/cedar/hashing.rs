//! The hash tables that every decision looks into.
//!
//! Their hash is seeded and fast, and not made to withstand somebody who picks keys to collide and times what
//! comes of it. So what requests may put into one is bounded: 256 entities with 100 parents each.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// By key.
pub(super) type FastMap<K, V> = HashMap<K, V, RandomState>;

/// Each once.
pub(super) type FastSet<T> = HashSet<T, RandomState>;
