//! Hosts that were named before, read once.

use std::sync::Arc;

use opentelemetry::StringValue;

use super::{Convention, address::host_port};
use crate::hash_trie::HashTrie;

/// Hosts by the way in which they are written. They are the caller's word, so there is room for the
/// real ones, and not for all that may be made up.
#[derive(Debug)]
pub(super) struct Hosts(HashTrie<Host>);

#[derive(Debug)]
struct Host {
    text: Box<str>,
    name: Arc<str>,
    port: Option<u16>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self(HashTrie::new(MAX_HOSTS))
    }
}

impl Convention {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; `None` where it is none of these.
    pub(super) fn host(&self, text: &str) -> Option<(StringValue, Option<u16>)> {
        let Hosts(known) = &*self.settings().hosts;
        let is_it = |host: &Host| *host.text == *text;
        // Conventions that share these may cut at another length.
        let is_whole = |host: &&Host| host.name.len() <= self.settings().value_limit;
        if let Some(host) = known.get(text, is_it).filter(is_whole) {
            return Some((Arc::clone(&host.name).into(), host.port));
        }
        let read = host_port(text)?;
        let name = Arc::<str>::from(self.cap(read.host));
        if name.len() == read.host.len() {
            let make = |_| Host { text: text.into(), name: Arc::clone(&name), port: read.port };
            known.get_or_add(text, is_it, make);
        }
        Some((name.into(), read.port))
    }
}

const MAX_HOSTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_is_as_if_read_anew() {
        let whole = Convention::server();
        let cut = whole.clone().with_value_limit(4);
        let read = |convention: &Convention, text: &str| {
            convention.host(text).map(|(name, port)| (name.as_str().to_owned(), port))
        };
        for _ in 0..2 {
            assert_eq!(read(&cut, "example.com:80"), Some(("exam".into(), Some(80))));
            assert_eq!(read(&whole, "example.com:80"), Some(("example.com".into(), Some(80))));
            assert_eq!(read(&whole, "example.com"), Some(("example.com".into(), None)));
            assert_eq!(read(&whole, "example.com:"), Some(("example.com".into(), None)));
            assert_eq!(read(&whole, "a b"), None);
        }
        for i in 0..2 * MAX_HOSTS {
            let host = format!("h{i}");
            assert_eq!(read(&whole, &host), Some((host.clone(), None)));
        }
    }
}
