//! The template of a route or a URL, and the span's name that it makes.

use std::{
    borrow::Cow,
    hash::BuildHasher,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwap;
use hashbrown::{DefaultHashBuilder, HashTable};
use opentelemetry::StringValue;

/// A template as a part of `{method} {template}`, which is the span's name.
#[derive(Debug, Clone)]
pub(super) enum Template {
    /// Made once for the life of the process.
    Shared(Name),
    /// Beyond the bounds of what is shared.
    Own(Arc<str>),
}

/// `{method} {template}`, and where the template begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    text: &'static str,
    template: usize,
}

impl Template {
    /// A template, of requests of this method.
    pub(super) fn new(method: &str, template: &str) -> Self {
        match NAMES.get_or_add(method, template) {
            Some(name) => Self::Shared(name),
            None => Self::Own(template.into()),
        }
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
            Self::Shared(name) => Cow::Borrowed(name.text),
            Self::Own(template) => Cow::Owned([method, " ", template].concat()),
        }
    }
}

impl Name {
    fn template(self) -> &'static str {
        &self.text[self.template..]
    }

    fn method(self) -> &'static str {
        &self.text[..self.template - 1]
    }
}

/// The names that are shared, by method and template.
///
/// The SDK takes a name that is `'static` or one to own, so these live as long as the process; there
/// is one set of them, and it is bounded. Reading takes no lock.
struct Names {
    names: ArcSwap<HashTable<Name>>,
    hasher: DefaultHashBuilder,
}

static NAMES: LazyLock<Names> = LazyLock::new(Names::new);

impl Names {
    fn new() -> Self {
        Self { names: ArcSwap::default(), hasher: DefaultHashBuilder::default() }
    }

    fn get_or_add(&self, method: &str, template: &str) -> Option<Name> {
        let names = self.names.load();
        if let Some(name) = self.get(&names, method, template) {
            return Some(name);
        }
        if names.len() >= MAX_NAMES || template.len() > MAX_LENGTH || method.len() > MAX_LENGTH {
            return None;
        }
        drop(names);
        let mut added = None;
        self.names.rcu(|names| {
            let mut names = HashTable::clone(names);
            let known = self.get(&names, method, template);
            if known.is_none() && names.len() < MAX_NAMES {
                // Once, also where another thread came first and this runs again.
                let name = *added.get_or_insert_with(|| Name {
                    text: Box::leak([method, " ", template].concat().into_boxed_str()),
                    template: method.len() + 1,
                });
                let hash = |name: &Name| self.hash(name.method(), name.template());
                names.insert_unique(hash(&name), name, hash);
            }
            names
        });
        self.get(&self.names.load(), method, template)
    }

    fn get(&self, names: &HashTable<Name>, method: &str, template: &str) -> Option<Name> {
        let is_it = |name: &Name| name.method() == method && name.template() == template;
        names.find(self.hash(method, template), is_it).copied()
    }

    fn hash(&self, method: &str, template: &str) -> u64 {
        self.hasher.hash_one((method, template))
    }
}

/// Twice as many as a metric has series by default in the SDK: a service with more has no use of
/// them.
const MAX_NAMES: usize = 4000;

/// What is longer is no template.
const MAX_LENGTH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_once() {
        let (one, two) = (Template::new("GET", "/a/{b}"), Template::new("GET", "/a/{b}"));
        assert_eq!(one.as_str(), "/a/{b}");
        let (Cow::Borrowed(one), Cow::Borrowed(two)) = (one.span_name("GET"), two.span_name("GET"))
        else {
            panic!("the name is shared");
        };
        assert_eq!(one, "GET /a/{b}");
        assert!(std::ptr::eq(one, two));
        assert_eq!(Template::new("PUT", "/a/{b}").span_name("PUT"), "PUT /a/{b}");
    }

    #[test]
    fn what_is_too_long_is_not_shared() {
        let long = "/a".repeat(MAX_LENGTH);
        let template = Template::new("GET", &long);
        assert!(matches!(template, Template::Own(_)));
        assert_eq!(template.as_str(), long);
        assert_eq!(template.span_name("GET"), format!("GET {long}"));
    }

    #[test]
    fn they_are_bounded() {
        let names = Names::new();
        for i in 0..MAX_NAMES + 50 {
            assert_eq!(names.get_or_add("GET", &i.to_string()).is_some(), i < MAX_NAMES);
        }
        assert_eq!(names.names.load().len(), MAX_NAMES);
        assert_eq!(names.get_or_add("GET", "7").map(|name| name.text), Some("GET 7"));
        assert!(names.get_or_add("PUT", "7").is_none());
    }
}
