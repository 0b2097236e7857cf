//! A set that many threads read for each request, and that now and then grows.

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

/// A bounded set that only ever grows.
///
/// The hash of a key, two bits at a time, leads from node to node, to its own or to where that would be.
/// A node never moves and never goes, so readers take no lock and write nothing, and writers wait for
/// each other at one place alone.
///
/// Keys of one set hash alike whatever their type, as `str` and `String` do, and `is_it` is true for the
/// value of the key alone.
///
/// Callers may choose what is in it, and its hasher is a fast one: the limit is what bounds the harm of
/// keys that collide.
pub(crate) struct HashTrie<T> {
    root: Place<T>,
    len: AtomicUsize,
    limit: usize,
    hasher: RandomState,
}

/// Where a node is, or will be.
type Place<T> = OnceLock<Box<Node<T>>>;

struct Node<T> {
    hash: u64,
    value: T,
    children: [Place<T>; 4],
}

impl<T> HashTrie<T> {
    /// An empty set, with room for so many.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            root: OnceLock::new(),
            len: AtomicUsize::new(0),
            limit,
            hasher: RandomState::default(),
        }
    }

    /// The value of this key, if it has been added.
    pub(crate) fn get<K>(&self, key: &K, is_it: impl Fn(&T) -> bool) -> Option<&T>
    where
        K: Hash + ?Sized,
    {
        self.find(self.hasher.hash_one(key), is_it).ok()
    }

    /// The value of this key; if it isn't there it is made, from how many came before it, or a few more
    /// where threads add at once. None where there is no room for it, or others are just taking the last.
    pub(crate) fn get_or_add<K>(
        &self,
        key: &K,
        is_it: impl Fn(&T) -> bool,
        make: impl FnOnce(usize) -> T,
    ) -> Option<&T>
    where
        K: Hash + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        match self.find(hash, &is_it) {
            Ok(value) => Some(value),
            Err(_) => self.add(hash, is_it, make),
        }
    }

    /// The value, or the place where it is missing.
    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Result<&T, &Place<T>> {
        let (mut place, mut path) = (&self.root, hash);
        while let Some(node) = place.get() {
            if node.hash == hash && is_it(&node.value) {
                return Ok(&node.value);
            }
            (place, path) = (&node.children[(path >> 62) as usize], path << 2);
        }
        Err(place)
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    #[cold]
    fn add(
        &self,
        hash: u64,
        is_it: impl Fn(&T) -> bool,
        make: impl FnOnce(usize) -> T,
    ) -> Option<&T> {
        let reserve = |len| (len < self.limit).then_some(len + 1);
        let number = self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).ok()?;
        let mut node = Box::new(Node { hash, value: make(number), children: Default::default() });
        loop {
            let place = match self.find(hash, &is_it) {
                Ok(value) => {
                    // Another thread was faster.
                    self.len.fetch_sub(1, Ordering::Relaxed);
                    return Some(value);
                }
                Err(place) => place,
            };
            match place.set(node) {
                Ok(()) => return place.get().map(|node| &node.value),
                Err(refused) => node = refused,
            }
        }
    }
}

/// Node by node, for keys that collide are a long way down.
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

    fn add(trie: &HashTrie<String>, key: &str) -> Option<*const String> {
        trie.get_or_add(key, |known| known == key, |_| key.to_owned()).map(ptr::from_ref)
    }

    #[test]
    fn it_is_bounded_and_nothing_in_it_moves() {
        let trie = HashTrie::new(50);
        let keys: Vec<_> = (0..100).map(|i| i.to_string()).collect();
        let added: Vec<_> = keys.iter().map(|key| add(&trie, key)).collect();
        for (i, (key, added)) in keys.iter().zip(added).enumerate() {
            assert_eq!(added.is_some(), i < 50);
            assert_eq!(trie.get(key, |known| known == key).map(ptr::from_ref), added);
            assert_eq!(add(&trie, key), added);
        }
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        struct Alike;
        impl Hash for Alike {
            fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
        }
        let trie = HashTrie::new(2000);
        for round in 0..2 {
            for i in 0..2000 {
                let value = trie.get_or_add(&Alike, |known| *known == i, |_| i + round);
                assert_eq!(value, Some(&i));
            }
        }
        // With a stack that is less deep than the trie.
        let drops = thread::Builder::new().stack_size(32 * 1024).spawn(move || drop(trie));
        drops.unwrap().join().unwrap();
    }

    #[test]
    fn of_two_who_add_alike_one_is_faster() {
        let trie = HashTrie::new(8);
        // Each is past its own look before the other has added.
        let both_have_looked = Barrier::new(2);
        let add = || {
            let make = |_| both_have_looked.wait().is_leader();
            trie.get_or_add("key", |_| true, make).map(|value| ptr::from_ref(value) as usize)
        };
        let (one, two) = thread::scope(|scope| {
            let other = scope.spawn(add);
            (add(), other.join().unwrap())
        });
        assert!(one.is_some());
        assert_eq!(one, two);
        assert_eq!(trie.len(), 1);
    }

    #[test]
    fn threads_that_add_much_find_alike() {
        let (threads, keys) = (4, 200);
        // With room for all who try at a time.
        let trie = HashTrie::new(keys + threads);
        let start = Barrier::new(threads);
        let found: Vec<Vec<_>> = thread::scope(|scope| {
            let find_all = || {
                start.wait();
                (0..keys).map(|i| add(&trie, &i.to_string()).unwrap() as usize).collect()
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(find_all)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.iter().all(|addresses| *addresses == found[0]));
        assert_eq!(trie.len(), keys);
    }
}
