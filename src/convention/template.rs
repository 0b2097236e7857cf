//! The template of a route or a URL, and the span's name that it makes.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use opentelemetry::StringValue;

use crate::hash_trie::HashTrie;

/// A template as a part of `{method} {template}`, which is the span's name.
#[derive(Debug, Clone)]
pub(super) enum Template {
    /// Made once for the life of the process.
    Shared(&'static Name),
    /// Beyond the bounds of what is shared. Boxed, for few are, so that all others are as long as one
    /// pointer.
    Own(Box<Arc<str>>),
}

/// `{method} {template}`, and where the template begins.
#[derive(Debug)]
pub(super) struct Name {
    text: Box<str>,
    template: usize,
}

impl Template {
    /// A template, of requests of this method.
    pub(super) fn new(method: &str, template: &str) -> Self {
        let own = || Self::Own(Box::new(template.into()));
        if template.len() > MAX_LENGTH || method.len() > MAX_LENGTH {
            return own();
        }
        let is_it = |name: &Name| name.method() == method && name.template() == template;
        let make =
            |_| Name { text: [method, " ", template].concat().into(), template: method.len() + 1 };
        NAMES.get_or_add(&(method, template), is_it, make).map_or_else(own, Self::Shared)
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Shared(name) => name.template(),
            Self::Own(template) => template,
        }
    }

    /// As an attribute.
    pub(super) fn value(&self) -> StringValue {
        match self {
            Self::Shared(name) => name.template().into(),
            Self::Own(template) => Arc::clone(template).into(),
        }
    }

    /// The name of the span of a request of this method, which is the one that it was made with.
    pub(super) fn span_name(&self, method: &str) -> Cow<'static, str> {
        match self {
            Self::Shared(name) => Cow::Borrowed(&name.text),
            Self::Own(template) => Cow::Owned([method, " ", template].concat()),
        }
    }

    /// The one name of this method and template, known by its address; none where it isn't shared.
    pub(super) fn shared(&self) -> Option<&'static Name> {
        match self {
            Self::Shared(name) => Some(name),
            Self::Own(_) => None,
        }
    }
}

impl Name {
    fn template(&self) -> &str {
        &self.text[self.template..]
    }

    fn method(&self) -> &str {
        &self.text[..self.template - 1]
    }
}

/// The names that are shared, by method and template.
///
/// The SDK takes a name that is `'static` or one to own, so these live as long as the process; there
/// is one set of them, and it is bounded.
static NAMES: LazyLock<HashTrie<Name>> = LazyLock::new(|| HashTrie::new(MAX_NAMES));

/// For the ten known methods and `HTTP`, among which callers choose, as many templates as a metric has
/// series by default in the SDK.
const MAX_NAMES: usize = 22_000;

/// What is longer is no template.
const MAX_LENGTH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_once() {
        let (one, two) = (Template::new("GET", "/a/{b}"), Template::new("GET", "/a/{b}"));
        assert_eq!(one.as_str(), "/a/{b}");
        assert_eq!(one.span_name("GET"), "GET /a/{b}");
        assert!(std::ptr::eq(one.shared().unwrap(), two.shared().unwrap()));
        assert_eq!(Template::new("PUT", "/a/{b}").span_name("PUT"), "PUT /a/{b}");
    }

    #[test]
    fn what_is_too_long_is_not_shared() {
        let long = "/a".repeat(MAX_LENGTH);
        let template = Template::new("GET", &long);
        assert!(template.shared().is_none());
        assert_eq!(template.as_str(), long);
        assert_eq!(template.span_name("GET"), format!("GET {long}"));
    }
}
