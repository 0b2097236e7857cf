//! Hosts that were named before, read once.

use std::sync::Arc;

use opentelemetry::StringValue;

use super::{Convention, Side, address::host_port};
use crate::hash_trie::HashTrie;

/// Hosts by the way in which they are written. A server's are its callers' word, so there is room for
/// the real ones, and not for all that may be made up; those of a client are its own choice.
#[derive(Debug)]
pub(super) struct Hosts(HashTrie<Host>);

#[derive(Debug)]
struct Host {
    text: Box<str>,
    name: Arc<str>,
    port: Option<u16>,
}

impl Hosts {
    pub(super) fn of(side: Side) -> Self {
        Self(HashTrie::new(match side {
            Side::Server => MAX_OF_SERVER,
            Side::Client => MAX_OF_CLIENT,
        }))
    }
}

impl Convention {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; `None` where it is none of these.
    pub(super) fn host(&self, text: &str) -> Option<(StringValue, Option<u16>)> {
        let Hosts(known) = &*self.settings().hosts;
        let limit = self.settings().value_limit;
        let is_it = |host: &Host| *host.text == *text;
        // Conventions that share these may cut at another length.
        let is_whole = |host: &&Host| host.name.len() <= limit;
        if let Some(host) = known.get(text, is_it).filter(is_whole) {
            return Some((Arc::clone(&host.name).into(), host.port));
        }
        let read = host_port(text)?;
        let name = Arc::<str>::from(self.cap(read.host));
        if text.len() <= MAX_LENGTH && name.len() == read.host.len() {
            let make = |_| Host { text: text.into(), name: Arc::clone(&name), port: read.port };
            known.get_or_add(text, is_it, make);
        }
        Some((name.into(), read.port))
    }
}

const MAX_OF_SERVER: usize = 64;
const MAX_OF_CLIENT: usize = 1000;

/// A name has at most 253 octets (RFC 1035), a port 5.
const MAX_LENGTH: usize = 260;

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
    }

    #[test]
    fn what_callers_make_up_is_kept_within_bounds() {
        let convention = Convention::server();
        let Hosts(known) = &*convention.settings().hosts;
        let long = format!("a:{}80", "0".repeat(10_000));
        assert_eq!(convention.host(&long), Some(("a".into(), Some(80))));
        assert_eq!(known.len(), 0);
        for i in 0..2 * MAX_OF_SERVER {
            let host = format!("h{i}");
            assert_eq!(convention.host(&host), Some((host.into(), None)));
        }
        assert_eq!(known.len(), MAX_OF_SERVER);
    }
}
