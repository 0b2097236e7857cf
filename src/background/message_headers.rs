//! Contexts in the headers of messages.

use std::collections::HashMap;

use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
};

/// Returns the current context as headers: `traceparent` and what else the global propagator writes.
///
/// It is empty without a context or a global propagator.
pub fn context_headers() -> Vec<(String, String)> {
    let mut pairs = Pairs(Vec::new());
    global::get_text_map_propagator(|propagator| propagator.inject(&mut pairs));
    pairs.0
}

/// Returns the context that headers have. A header whose value is not UTF-8 is ignored.
pub(super) fn context_of<K, V>(headers: impl IntoIterator<Item = (K, V)>) -> Context
where
    K: AsRef<str>,
    V: AsRef<[u8]>,
{
    let fields: Vec<String> = global::get_text_map_propagator(|propagator| {
        propagator.fields().map(str::to_owned).collect()
    });
    let mut found = Found(HashMap::new());
    for (name, value) in headers {
        let field = fields.iter().find(|field| field.eq_ignore_ascii_case(name.as_ref()));
        // The specification doesn't say which of several equal headers counts. The first one does.
        if let Some(field) = field
            && let Ok(value) = str::from_utf8(value.as_ref())
        {
            found.0.entry(field.clone()).or_insert_with(|| value.to_owned());
        }
    }
    let none = Context::new();
    global::get_text_map_propagator(|propagator| propagator.extract_with_context(&none, &found))
}

struct Pairs(Vec<(String, String)>);

impl Injector for Pairs {
    fn set(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }
}

/// The headers that the propagator reads.
struct Found(HashMap<String, String>);

impl Extractor for Found {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}
