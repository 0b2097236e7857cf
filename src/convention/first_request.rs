//! The request that a value in the extensions was inserted for.

use std::sync::{Arc, OnceLock};

use http::{Method, Uri, request};

/// Remembers the first request that a value was sent with, across clones of the value.
///
/// A redirect layer clones the extensions of a request before it sends the request, and sends the
/// clone with the next hop. So a clone looks among its ancestors for one that was sent. A value that
/// the program clones for each request was not sent itself, so its clones are independent.
#[derive(Debug, Default)]
pub(super) struct FirstRequest {
    /// Made by the first clone, because a value without clones needs no memory.
    own: OnceLock<Arc<Ancestor>>,
    parent: Option<Arc<Ancestor>>,
}

#[derive(Debug, Default)]
struct Ancestor {
    sent_with: OnceLock<(Method, Uri)>,
    parent: Option<Arc<Self>>,
    generation: u8,
}

impl FirstRequest {
    /// Returns the method and the URI of the first request. Marks `head` as the first one if there was
    /// none before.
    pub(super) fn of<'a>(&'a self, head: &'a request::Parts) -> (&'a Method, &'a Uri) {
        if let Some((method, uri)) = self.sent() {
            return (method, uri);
        }
        if let Some(own) = self.own.get() {
            own.sent_with.get_or_init(|| (head.method.clone(), head.uri.clone()));
        }
        (&head.method, &head.uri)
    }

    fn sent(&self) -> Option<&(Method, Uri)> {
        self.ancestors().find_map(|ancestor| ancestor.sent_with.get())
    }

    fn ancestors(&self) -> impl Iterator<Item = &Arc<Ancestor>> {
        let first = self.own.get().or(self.parent.as_ref());
        std::iter::successors(first, |ancestor| ancestor.parent.as_ref())
    }
}

impl Clone for FirstRequest {
    fn clone(&self) -> Self {
        // The clones of a value that was sent need only its ancestor that was sent.
        let sent = self.ancestors().find(|ancestor| ancestor.sent_with.get().is_some());
        let parent = sent.cloned().unwrap_or_else(|| {
            let own = self.own.get_or_init(|| {
                let parent = self.parent.clone();
                let generation = parent.as_ref().map_or(0, |parent| parent.generation + 1);
                // Dropping a long chain would need a deep stack.
                let parent = parent.filter(|_| generation < MAX_GENERATIONS);
                let generation = generation % MAX_GENERATIONS;
                Arc::new(Ancestor { sent_with: OnceLock::new(), parent, generation })
            });
            Arc::clone(own)
        });
        Self { own: OnceLock::new(), parent: Some(parent) }
    }
}

const MAX_GENERATIONS: u8 = 32;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str) -> request::Parts {
        Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
    }

    fn first(value: &FirstRequest, method: &str, uri: &str) -> String {
        let head = head(method, uri);
        let (method, uri) = value.of(&head);
        format!("{method} {uri}")
    }

    #[test]
    fn clones_know_the_first_request_of_their_ancestors() {
        let value = FirstRequest::default();
        let next = value.clone();
        assert_eq!(first(&value, "POST", "/a"), "POST /a");
        let hop = next.clone();
        assert_eq!(first(&hop, "GET", "/b"), "POST /a");
        let last = hop.clone();
        for clone in [&last, &hop, &next, &value] {
            assert_eq!(first(clone, "GET", "/c"), "POST /a");
        }
    }

    #[test]
    fn clones_of_a_value_that_was_not_sent_are_independent() {
        let constant = FirstRequest::default();
        for uri in ["/a", "/b", "/c"] {
            let value = constant.clone();
            let next = value.clone();
            assert_eq!(first(&value, "GET", uri), format!("GET {uri}"));
            assert_eq!(first(&next, "GET", "/elsewhere"), format!("GET {uri}"));
        }
    }

    #[test]
    fn chains_of_clones_are_bounded() {
        let mut value = FirstRequest::default();
        for _ in 0..100_000 {
            value = value.clone();
        }
        assert!(value.ancestors().count() <= usize::from(MAX_GENERATIONS) + 1);
        assert_eq!(first(&value, "GET", "/a"), "GET /a");
    }
}
