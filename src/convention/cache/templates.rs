//! Templates of routes and URLs, with the span names that are made from them.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use opentelemetry::StringValue;

use crate::hash_trie::HashTrie;

/// A template of a route or a URL, as a part of the span name `{method} {template}`.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    /// Cached for the life of the process.
    Shared(&'static SpanName),
    /// Too long to be cached, or the cache is full. Boxed, so that a template has the size of one
    /// pointer.
    Own(Box<Arc<str>>),
}

/// `{method} {template}`, with the offset of the template.
#[derive(Debug)]
pub(crate) struct SpanName {
    text: Box<str>,
    template: usize,
}

impl Template {
    /// Returns the template of requests with this method.
    pub(crate) fn new(method: &str, template: &str) -> Self {
        let own = || Self::Own(Box::new(template.into()));
        if template.len() > MAX_LENGTH || method.len() > MAX_LENGTH {
            return own();
        }
        let is_it = |name: &SpanName| name.method() == method && name.template() == template;
        let make = |_| SpanName {
            text: [method, " ", template].concat().into(),
            template: method.len() + 1,
        };
        NAMES.get_or_insert(&(method, template), is_it, make).map_or_else(own, Self::Shared)
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Shared(name) => name.template(),
            Self::Own(template) => template,
        }
    }

    /// Returns the template as an attribute value.
    pub(crate) fn value(&self) -> StringValue {
        match self {
            Self::Shared(name) => name.template().into(),
            Self::Own(template) => Arc::clone(template).into(),
        }
    }

    /// Returns the span name of a request with the method that the template was created with.
    pub(crate) fn span_name(&self, method: &str) -> Cow<'static, str> {
        match self {
            Self::Shared(name) => Cow::Borrowed(&name.text),
            Self::Own(template) => Cow::Owned([method, " ", template].concat()),
        }
    }

    /// Returns the cached name of this method and template. Its address identifies it.
    pub(crate) fn shared(&self) -> Option<&'static SpanName> {
        match self {
            Self::Shared(name) => Some(name),
            Self::Own(_) => None,
        }
    }
}

impl SpanName {
    pub(crate) fn template(&self) -> &str {
        &self.text[self.template..]
    }

    fn method(&self) -> &str {
        &self.text[..self.template - 1]
    }
}

/// The cached names, by method and template.
///
/// The SDK takes a `Cow<'static, str>` as the name of a span, so a name that is not allocated for each
/// span has to live as long as the process. Therefore there is one bounded cache per process.
static NAMES: LazyLock<HashTrie<SpanName>> = LazyLock::new(|| HashTrie::new(MAX_NAMES));

/// The SDK's default limit of series per metric, for each of the ten known methods and `HTTP`, because
/// callers choose the method.
const MAX_NAMES: usize = 22_000;

/// Longer texts are not templates.
const MAX_LENGTH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cached() {
        let (one, two) = (Template::new("GET", "/a/{b}"), Template::new("GET", "/a/{b}"));
        assert_eq!(one.as_str(), "/a/{b}");
        assert_eq!(one.span_name("GET"), "GET /a/{b}");
        assert!(std::ptr::eq(one.shared().unwrap(), two.shared().unwrap()));
        assert_eq!(Template::new("PUT", "/a/{b}").span_name("PUT"), "PUT /a/{b}");
    }

    #[test]
    fn long_templates_are_not_cached() {
        let long = "/a".repeat(MAX_LENGTH);
        let template = Template::new("GET", &long);
        assert!(template.shared().is_none());
        assert_eq!(template.as_str(), long);
        assert_eq!(template.span_name("GET"), format!("GET {long}"));
    }
}
