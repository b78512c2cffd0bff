//! A map with a bound, for results that are expensive to compute again.
//!
//! A full cache is emptied as a whole: simple, and rare while the bound exceeds what is in use.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Mutex;

use crate::lock::lock;

/// At most `max_entries` values, by key.
pub struct BoundedCache<K, V> {
    entries: Mutex<HashMap<K, V>>,
    max_entries: usize,
    keep: fn(&V) -> bool,
}

impl<K: Eq + Hash, V: Clone> BoundedCache<K, V> {
    pub fn new(max_entries: usize) -> Self {
        Self::keeping(max_entries, |_| false)
    }

    /// Empties a full cache of the other entries first, and of those that `keep` accepts only if
    /// it is still full.
    pub fn keeping(max_entries: usize, keep: fn(&V) -> bool) -> Self {
        Self {
            entries: Mutex::default(),
            max_entries,
            keep,
        }
    }

    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        lock(&self.entries).get(key).cloned()
    }

    pub fn insert(&self, key: K, value: V) {
        let mut entries = lock(&self.entries);
        if entries.len() >= self.max_entries {
            entries.retain(|_, value| (self.keep)(value));
        }
        if entries.len() >= self.max_entries {
            entries.clear();
        }
        entries.insert(key, value);
    }
}

/// Without the entries: they may be secrets.
impl<K, V> fmt::Debug for BoundedCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedCache")
            .field("max_entries", &self.max_entries)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_drops_everything_but_what_it_keeps() {
        let cache = BoundedCache::keeping(3, |value: &bool| *value);
        for key in 0..3 {
            cache.insert(key, key == 0);
        }
        cache.insert(3, true);
        assert_eq!(
            [0, 1, 2, 3].map(|key| cache.get(&key)),
            [Some(true), None, None, Some(true)]
        );
        cache.insert(4, true);
        cache.insert(5, true);
        assert_eq!(
            [0, 3, 4, 5].map(|key| cache.get(&key)),
            [None, None, None, Some(true)]
        );
    }
}
