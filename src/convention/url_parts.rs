//! Parts of a URL that an `http::Uri` does not have: `url.template` and the fragment.

use std::sync::Arc;

use http::{Uri, request};

use super::first_request::FirstRequest;

/// The template of a URL that a client requests, such as `/users/{id}`: `url.template`.
///
/// Insert it into the request's extensions. It becomes a part of the span's name, and an attribute of
/// span and metrics. It is never guessed from the path.
///
/// # Example
///
/// ```
/// use http::Request;
/// use tower_telemetry::UrlTemplate;
///
/// let request = Request::get("https://api.example.com/users/7")
///     .extension(UrlTemplate::new("/users/{id}"))
///     .body(String::new());
/// ```
///
/// # Redirects
///
/// A redirect layer outside of the telemetry layer sends a clone of the extensions with the next hop.
/// The template counts there only if the host and the path are the same. A template that you clone for
/// each of your requests is not bound to one of them.
///
/// # Cardinality
///
/// The template is a metric label. Use templates from a closed set.
#[derive(Debug, Clone)]
pub struct UrlTemplate {
    text: Arc<str>,
    first: FirstRequest,
}

impl UrlTemplate {
    /// Creates a template.
    pub fn new(template: impl Into<Arc<str>>) -> Self {
        Self { text: template.into(), first: FirstRequest::default() }
    }

    /// Returns the template of the URL of this request.
    pub(super) fn of(head: &request::Parts) -> Option<&str> {
        let template = head.extensions.get::<Self>()?;
        is_same_path(template.first.of(head).1, &head.uri).then_some(&*template.text)
    }
}

/// Compares the texts.
impl PartialEq for UrlTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UrlTemplate {}

/// The fragment of a URL, which is not sent and which an `http::Uri` loses.
#[derive(Debug, Clone)]
pub(crate) struct UrlFragment {
    text: Arc<str>,
    first: FirstRequest,
}

impl UrlFragment {
    #[cfg(feature = "reqwest")]
    pub(crate) fn new(fragment: &str) -> Self {
        Self { text: fragment.into(), first: FirstRequest::default() }
    }

    /// Returns the fragment of the URL of this request.
    pub(crate) fn of(head: &request::Parts) -> Option<&str> {
        let fragment = head.extensions.get::<Self>()?;
        is_same_path(fragment.first.of(head).1, &head.uri).then_some(&*fragment.text)
    }
}

fn is_same_path(one: &Uri, other: &Uri) -> bool {
    one.path() == other.path() && one.authority() == other.authority()
}
