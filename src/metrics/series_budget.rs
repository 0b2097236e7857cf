//! Limits the series that callers can create.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{convention::series_key::Group, hash_trie::HashTrie};

/// Decides which series are recorded with all their labels.
///
/// A caller chooses the method, the HTTP version and whether to cancel. The product of these with all
/// routes exceeds the SDK's limit of series, and then every new series would become the SDK's overflow,
/// honest ones included. The same is true of hosts that redirects choose.
///
/// Therefore series are admitted by groups: the routes of a server, the hosts of a client. Each group has
/// a guaranteed number of series that no other group can take, and all share a pool. A series that is not
/// admitted is recorded with fewer labels.
#[derive(Debug)]
pub(super) struct SeriesBudget {
    groups: HashTrie<Account>,
    /// Admitted series beyond the guaranteed ones.
    pooled: AtomicUsize,
    limit: usize,
}

#[derive(Debug)]
struct Account {
    group: Group<Box<str>>,
    admitted: AtomicUsize,
}

impl SeriesBudget {
    /// Creates a budget for a metric with this limit of series.
    pub(super) fn new(limit: usize) -> Self {
        Self { groups: HashTrie::new(limit / 4), pooled: AtomicUsize::new(0), limit }
    }

    /// Returns true if a new series of a group is recorded with all its labels, and counts it.
    pub(super) fn admit(&self, group: &Group<&str>) -> bool {
        let is_it = |account: &Account| account.group.is(group);
        let make = |_| Account { group: group.into_owned(), admitted: AtomicUsize::new(0) };
        let is_known = self.groups.get(group, is_it).is_some();
        // Hosts that the program did not name itself may be a part of the groups only.
        if group.is_untrusted() && !is_known && self.groups.len() >= self.limit / 20 {
            return false;
        }
        let Some(account) = self.groups.get_or_insert(group, is_it, make) else { return false };
        // With the default limit of 2000, a route has 9 series and a host 2. Then 100 routes, with the
        // pool of 300 and the reduced series of each, stay below the limit.
        let guaranteed = match group {
            Group::Route(_) => self.limit * 45 / 10_000,
            Group::Host { .. } => self.limit / 1000,
        };
        take(&account.admitted, guaranteed.max(1)) || take(&self.pooled, self.limit * 15 / 100)
    }
}

/// Counts one more, unless the limit is reached.
fn take(count: &AtomicUsize, limit: usize) -> bool {
    let next = |count| (count < limit).then_some(count + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}
