//! A cache of parsed hosts.

use std::sync::Arc;

use opentelemetry::StringValue;

use super::address::host_port;
use crate::{convention::values::truncated, hash_trie::HashTrie};

/// A bounded cache from a host as it is written to its name and port.
///
/// The texts come from callers on a server, so it caches only as many as a service really has.
#[derive(Debug)]
pub(crate) struct Hosts {
    cache: HashTrie<Host>,
    /// The length at which names are truncated.
    value_limit: usize,
}

#[derive(Debug)]
struct Host {
    text: Box<str>,
    name: Arc<str>,
    port: Option<u16>,
}

impl Hosts {
    pub(crate) fn new(capacity: usize, value_limit: usize) -> Self {
        Self { cache: HashTrie::new(capacity), value_limit }
    }

    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`.
    pub(crate) fn parse(&self, text: &str) -> Option<(StringValue, Option<u16>)> {
        let is_it = |host: &Host| *host.text == *text;
        if let Some(host) = self.cache.get(text, is_it) {
            return Some((Arc::clone(&host.name).into(), host.port));
        }
        let parsed = host_port(text)?;
        let name = Arc::<str>::from(truncated(parsed.host, self.value_limit));
        if text.len() <= MAX_LENGTH {
            let make = |_| Host { text: text.into(), name: Arc::clone(&name), port: parsed.port };
            self.cache.get_or_insert(text, is_it, make);
        }
        Some((name.into(), parsed.port))
    }
}

/// A name has at most 253 octets (RFC 1035), a port 5.
const MAX_LENGTH: usize = 260;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_hosts_equal_parsed_hosts() {
        let (whole, short) = (Hosts::new(64, 1024), Hosts::new(64, 4));
        let parse = |hosts: &Hosts, text: &str| {
            hosts.parse(text).map(|(name, port)| (name.as_str().to_owned(), port))
        };
        for _ in 0..2 {
            assert_eq!(parse(&short, "example.com:80"), Some(("exam".into(), Some(80))));
            assert_eq!(parse(&whole, "example.com:80"), Some(("example.com".into(), Some(80))));
            assert_eq!(parse(&whole, "example.com"), Some(("example.com".into(), None)));
            assert_eq!(parse(&whole, "example.com:"), Some(("example.com".into(), None)));
            assert_eq!(parse(&whole, "a b"), None);
        }
    }

    #[test]
    fn the_cache_is_bounded() {
        let hosts = Hosts::new(64, 1024);
        let long = format!("a:{}80", "0".repeat(10_000));
        assert_eq!(hosts.parse(&long), Some(("a".into(), Some(80))));
        assert_eq!(hosts.cache.len(), 0);
        for i in 0..200 {
            let host = format!("h{i}");
            assert_eq!(hosts.parse(&host), Some((host.into(), None)));
        }
        assert_eq!(hosts.cache.len(), 64);
    }
}
