//! `url.full`.

use http::request;
use opentelemetry::StringValue;

use crate::convention::{parties::Parties, rules::Rules, url_parts::UrlFragment, values};

/// Returns the URL of a client's request without credentials, as complete as it is known.
pub(super) fn full_url(rules: &Rules, parties: &Parties, head: &request::Parts) -> String {
    let mut url = String::with_capacity(128);
    let authority = head.uri.authority();
    let is_absolute = authority.is_some() || !parties.is_unix_socket;
    if let Some((host, port)) = parties.server.as_ref().filter(|_| is_absolute) {
        if let Some(scheme) = &parties.scheme {
            url.push_str(scheme.as_str());
            url.push(':');
        }
        url.push_str("//");
        match authority {
            Some(authority) => url.push_str(&values::redacted_authority(authority.as_str())),
            None => push_host(&mut url, host.as_str(), *port, parties.scheme.as_ref()),
        }
    }
    url.push_str(head.uri.path());
    let sensitive = &rules.options.sensitive_query_parameters;
    if let Some(query) = head.uri.query() {
        url.push('?');
        url.push_str(&values::redacted_query(query, sensitive));
    }
    if let Some(fragment) = UrlFragment::of(head) {
        // Some fragments are written like a query, with tokens in it.
        url.push('#');
        url.push_str(&values::redacted_query(fragment, sensitive));
    }
    url
}

fn push_host(url: &mut String, host: &str, port: Option<u16>, scheme: Option<&StringValue>) {
    let is_v6 = host.contains(':');
    url.push_str(if is_v6 { "[" } else { "" });
    url.push_str(host);
    url.push_str(if is_v6 { "]" } else { "" });
    let default = match scheme.map(StringValue::as_str) {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    if let Some(port) = port.filter(|port| Some(*port) != default) {
        url.push(':');
        url.push_str(&port.to_string());
    }
}
