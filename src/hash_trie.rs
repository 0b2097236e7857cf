//! A bounded, append-only hash map for caches that every request reads and few requests write.

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

/// A bounded hash map that is read without locks.
///
/// It is a tree with four children per node. Two bits of the key's hash select the child at each
/// level. Nodes are never moved or removed: reads are lock-free, and writers contend only for the
/// slot that they fill.
///
/// A value contains its key. The caller passes `is_match`, which must return true only for the
/// value of the key that is looked up. Keys of different types may be mixed if equal keys have
/// equal hashes, as with `str` and `String`.
///
/// The hasher is fast and not resistant to chosen collisions. `limit` bounds the length of a path
/// even if clients choose the keys.
pub(crate) struct HashTrie<T> {
    root: Slot<T>,
    len: AtomicUsize,
    limit: usize,
    hasher: RandomState,
}

/// A node, or an empty slot for one.
type Slot<T> = OnceLock<Box<Node<T>>>;

struct Node<T> {
    hash: u64,
    value: T,
    children: [Slot<T>; 4],
}

impl<T> HashTrie<T> {
    /// Creates an empty map that holds at most `limit` values.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            root: OnceLock::new(),
            len: AtomicUsize::new(0),
            limit,
            hasher: RandomState::default(),
        }
    }

    /// Returns the value of `key`, if it is present.
    #[inline]
    pub(crate) fn get<K>(&self, key: &K, is_match: impl Fn(&T) -> bool) -> Option<&T>
    where
        K: Hash + ?Sized,
    {
        self.find(self.hasher.hash_one(key), is_match).ok()
    }

    /// Returns the value of `key`, inserting `make(n)` if it is absent. `n` is the number of
    /// earlier values, and may be too high while other threads insert.
    ///
    /// Returns `None` if the map is full, or if concurrent inserts have reserved the last free
    /// slots.
    #[inline]
    pub(crate) fn get_or_insert<K>(
        &self,
        key: &K,
        is_match: impl Fn(&T) -> bool,
        make: impl FnOnce(usize) -> T,
    ) -> Option<&T>
    where
        K: Hash + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        match self.find(hash, &is_match) {
            Ok(value) => Some(value),
            Err(_) => self.insert(hash, is_match, make),
        }
    }

    /// Returns the value, or the empty slot where it belongs.
    #[inline]
    fn find(&self, hash: u64, is_match: impl Fn(&T) -> bool) -> Result<&T, &Slot<T>> {
        let (mut slot, mut path) = (&self.root, hash);
        while let Some(node) = slot.get() {
            if node.hash == hash && is_match(&node.value) {
                return Ok(&node.value);
            }
            (slot, path) = (&node.children[(path >> 62) as usize], path << 2);
        }
        Err(slot)
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    #[cold]
    fn insert(
        &self,
        hash: u64,
        is_match: impl Fn(&T) -> bool,
        make: impl FnOnce(usize) -> T,
    ) -> Option<&T> {
        let reserve = |len| (len < self.limit).then_some(len + 1);
        let number = self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).ok()?;
        let mut node = Box::new(Node { hash, value: make(number), children: Default::default() });
        loop {
            let slot = match self.find(hash, &is_match) {
                Ok(value) => {
                    // Another thread inserted the same key first.
                    self.len.fetch_sub(1, Ordering::Relaxed);
                    return Some(value);
                }
                Err(slot) => slot,
            };
            match slot.set(node) {
                Ok(()) => return slot.get().map(|node| &node.value),
                Err(rejected) => node = rejected,
            }
        }
    }
}

/// Drops the nodes in a loop. Recursion could overflow the stack, because keys with equal hashes
/// form a long path.
impl<T> Drop for HashTrie<T> {
    fn drop(&mut self) {
        let mut nodes: Vec<_> = self.root.take().into_iter().collect();
        while let Some(mut node) = nodes.pop() {
            nodes.extend(node.children.iter_mut().filter_map(OnceLock::take));
        }
    }
}

impl<T> fmt::Debug for HashTrie<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashTrie").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{ptr, sync::Barrier, thread};

    use super::*;

    fn insert(trie: &HashTrie<String>, key: &str) -> Option<*const String> {
        trie.get_or_insert(key, |known| known == key, |_| key.to_owned()).map(ptr::from_ref)
    }

    #[test]
    fn inserts_stop_at_the_limit_and_values_never_move() {
        let trie = HashTrie::new(50);
        let keys: Vec<_> = (0..100).map(|i| i.to_string()).collect();
        let inserted: Vec<_> = keys.iter().map(|key| insert(&trie, key)).collect();
        for (i, (key, inserted)) in keys.iter().zip(inserted).enumerate() {
            assert_eq!(inserted.is_some(), i < 50);
            assert_eq!(trie.get(key, |known| known == key).map(ptr::from_ref), inserted);
            assert_eq!(insert(&trie, key), inserted);
        }
    }

    #[test]
    fn keys_with_equal_hashes_are_distinct() {
        struct SameHash;
        impl Hash for SameHash {
            fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
        }
        let trie = HashTrie::new(2000);
        for round in 0..2 {
            for i in 0..2000 {
                let value = trie.get_or_insert(&SameHash, |known| *known == i, |_| i + round);
                assert_eq!(value, Some(&i));
            }
        }
        // The stack is too small for a recursive drop.
        let drops = thread::Builder::new().stack_size(32 * 1024).spawn(move || drop(trie));
        drops.unwrap().join().unwrap();
    }

    #[test]
    fn concurrent_inserts_of_one_key_agree() {
        let trie = HashTrie::new(8);
        // Both threads find the key missing before either of them inserts it.
        let both_missed = Barrier::new(2);
        let insert = || {
            let make = |_| both_missed.wait().is_leader();
            trie.get_or_insert("key", |_| true, make).map(|value| ptr::from_ref(value) as usize)
        };
        let (one, two) = thread::scope(|scope| {
            let other = scope.spawn(insert);
            (insert(), other.join().unwrap())
        });
        assert!(one.is_some());
        assert_eq!(one, two);
        assert_eq!(trie.len(), 1);
    }

    #[test]
    fn concurrent_inserts_agree() {
        let (threads, keys) = (4, 200);
        // Leaves room for the slots that concurrent inserts of one key reserve.
        let trie = HashTrie::new(keys + threads);
        let start = Barrier::new(threads);
        let found: Vec<Vec<_>> = thread::scope(|scope| {
            let find_all = || {
                start.wait();
                (0..keys).map(|i| insert(&trie, &i.to_string()).unwrap() as usize).collect()
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(find_all)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.iter().all(|addresses| *addresses == found[0]));
        assert_eq!(trie.len(), keys);
    }
}
