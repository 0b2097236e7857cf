//! Parses the endpoint of a destination.

use http::{Uri, uri::Scheme};

use super::{OtlpProtocol, Signal};

/// An endpoint as it was written, and where.
pub(crate) struct Endpoint {
    pub(crate) text: String,
    pub(crate) origin: Origin,
    /// `http/protobuf` adds the path of the signal.
    pub(crate) is_base: bool,
}

#[derive(Debug)]
pub(crate) enum Origin {
    Variable(String),
    Code,
    Default,
}

/// A valid endpoint.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) uri: Uri,
    /// The ending that was removed from a base, because it is the path of one signal.
    pub(crate) removed: Option<String>,
    /// A path or a query is written, but gRPC uses its own.
    pub(crate) has_unused_path: bool,
    /// The endpoint of a signal has no path, and none is added.
    pub(crate) lacks_path: bool,
}

impl Endpoint {
    /// Returns the port, if the text ends its authority with one.
    pub(crate) fn port(&self) -> Option<u16> {
        let authority = authority_of(&self.text);
        authority.rsplit_once(':')?.1.parse().ok()
    }

    /// Returns the URL, or the accepted values. `scheme` is for a text without one.
    pub(crate) fn parse(
        &self,
        signal: Signal,
        protocol: OtlpProtocol,
        scheme: Option<&str>,
    ) -> Result<Parsed, &'static str> {
        let text = match scheme {
            Some(scheme) if !self.text.contains("://") => format!("{scheme}://{}", self.text),
            _ => self.text.clone(),
        };
        let uri = parse(&text)?;
        let is_http = protocol != OtlpProtocol::Grpc;
        let path = uri.path().trim_end_matches('/');
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let suffix = Signal::ALL.map(path_of).into_iter().find(|suffix| path.ends_with(suffix));
        let removed = suffix.filter(|_| self.is_base);
        let base = removed.as_deref().map_or(path, |suffix| &path[..path.len() - suffix.len()]);
        let has_path = !base.is_empty() || !query.is_empty();
        let has_unused_path = has_path && !is_http;
        let lacks_path = is_http && !self.is_base && path.is_empty();
        if !(is_http && self.is_base) {
            return Ok(Parsed { uri, removed, has_unused_path, lacks_path });
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let scheme = uri.scheme_str().unwrap_or_default();
        let url = format!("{scheme}://{authority}{base}{}{query}", path_of(signal));
        let uri = url.parse().map_err(|_| A_URL)?;
        Ok(Parsed { uri, removed, has_unused_path, lacks_path })
    }

    /// Returns the text without path and query, which may hold a key; `None` if it holds
    /// credentials.
    pub(crate) fn shown(&self) -> Option<String> {
        let (scheme, _) = self.text.split_once("://").unwrap_or_default();
        let authority = authority_of(&self.text);
        let shown = match scheme {
            "" => authority.to_owned(),
            scheme => format!("{scheme}://{authority}"),
        };
        let rest = if shown.len() < self.text.len() { "/…" } else { "" };
        (!self.text.contains('@')).then(|| format!("{shown}{rest}"))
    }
}

fn path_of(signal: Signal) -> String {
    format!("/v1/{signal}")
}

/// Returns the part between the scheme, if there is one, and the path.
fn authority_of(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn parse(text: &str) -> Result<Uri, &'static str> {
    if text.contains('#') {
        return Err("a URL without a fragment (`#`)");
    }
    // `http::Uri` takes quotes in a path, where they are left over from a shell or an env file.
    let uri: Uri = text.parse().ok().filter(|_| !text.contains('"')).ok_or(A_URL)?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(A_URL);
    };
    if ![Scheme::HTTP, Scheme::HTTPS].contains(scheme) || authority.host().is_empty() {
        return Err(A_URL);
    }
    if authority.as_str().contains('@') {
        return Err("a URL without credentials, which belong in OTEL_EXPORTER_OTLP_HEADERS");
    }
    // `http::Uri` takes any text for a port, and sends to port 80 then.
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Err("a URL with a port from 1 to 65535, or without one");
    }
    if *scheme == Scheme::HTTPS && cfg!(not(feature = "setup-tls")) {
        return Err(
            "an http:// URL, because this program is built without the feature `setup-tls`",
        );
    }
    Ok(uri)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok_and(|port| port != 0)
}

const A_URL: &str = "a URL such as http://host:4318 or https://host:4318";
