//! reqwest: the redirects that it follows internally.

use std::sync::Once;

use http::Request;
use reqwest::{Response, Url, redirect::Policy};

use crate::propagation::DestinationLimit;

/// Returns a policy by which reqwest follows a redirect only if `accepts` returns true for its URL, and
/// at most ten redirects in a row (feature `reqwest`).
///
/// reqwest sends all hops with the headers of the first one, `traceparent` and `baggage` included. Use
/// this policy with the rule of
/// [`with_destinations`](crate::observe::ObserveLayer::with_destinations), so that they don't reach
/// other destinations. A redirect to one of those is not an error: reqwest returns it as the response.
///
/// # Example
///
/// ```
/// use tower_telemetry::{TelemetryLayer, integrations::{ReqwestClient, redirects_to}};
/// # let _ = rustls::crypto::ring::default_provider().install_default();
///
/// let is_ours = |host: Option<&str>| host.is_some_and(|host| host.ends_with(".internal"));
/// let policy = redirects_to(move |url| is_ours(url.host_str()));
/// let inner = reqwest::Client::builder().redirect(policy).build()?;
/// let layer = TelemetryLayer::client().with_destinations(move |head| is_ours(head.uri.host()));
/// let client = ReqwestClient::with_layer(inner, layer);
/// # Ok::<_, reqwest::Error>(())
/// ```
pub fn redirects_to<F>(accepts: F) -> Policy
where
    F: Fn(&Url) -> bool + Send + Sync + 'static,
{
    Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if accepts(attempt.url()) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// The limit of reqwest's default policy.
const MAX_REDIRECTS: usize = 10;

/// Checks where a request with a limit on its destinations has gone.
pub(super) struct RedirectCheck(Option<(DestinationLimit, Url)>);

impl RedirectCheck {
    /// Creates the check of a request to `url`. Without a limit it does nothing.
    pub(super) fn new(limit: Option<DestinationLimit>, url: &Url) -> Self {
        Self(limit.map(|limit| (limit, url.clone())))
    }

    /// Warns, once in a process, of a redirect to a destination that the limit excludes.
    pub(super) fn warn_of(&self, response: &Response) {
        static WARNED: Once = Once::new();

        let Some((limit, asked)) = &self.0 else { return };
        if response.url() == asked {
            return;
        }
        let Ok(hop) = Request::get(response.url().as_str()).body(()) else { return };
        if !limit.accepts(&hop.into_parts().0) {
            WARNED.call_once(|| log::warn!("{WARNING}"));
        }
    }
}

const WARNING: &str = "reqwest has followed a redirect, with `traceparent` or `baggage`, to a \
    destination that `with_destinations` excludes: limit its redirects with `redirects_to`";
