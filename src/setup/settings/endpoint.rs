//! Endpoints: which one holds, and whether it is a URL.

use http::{Uri, uri::Scheme};

use super::{Otlp, OtlpProtocol, SetupError, destination::Names, variables::Variables};

pub(crate) fn endpoint(
    names: &Names,
    variables: &Variables,
    protocol: OtlpProtocol,
    own: &Otlp,
    general: &Otlp,
) -> Result<Uri, SetupError> {
    let insecure = match protocol {
        OtlpProtocol::Grpc => names.first("INSECURE", |name| {
            variables.choice(name, &[("true", true), ("false", false)])
        })?,
        OtlpProtocol::HttpProtobuf => None,
    };
    let scheme_of_none = match protocol {
        OtlpProtocol::Grpc if insecure == Some(true) => Some("http"),
        OtlpProtocol::Grpc => Some("https"),
        OtlpProtocol::HttpProtobuf => None,
    };
    let under = |base: &str| match protocol {
        OtlpProtocol::HttpProtobuf => format!("{}{}", base.trim_end_matches('/'), names.path()),
        OtlpProtocol::Grpc => base.to_owned(),
    };
    let as_it_is = |url: &str| url.to_owned();
    let candidates = [
        (Some(names.own("ENDPOINT")), None, true),
        (Some(Names::general("ENDPOINT")), None, false),
        (None, own.endpoint.as_deref(), true),
        (None, general.endpoint.as_deref(), false),
    ];
    for (variable, in_code, is_own) in candidates {
        let value = match &variable {
            Some(name) => variables.text(name),
            None => in_code.map(str::to_owned),
        };
        let Some(value) = value else { continue };
        let url = if is_own { as_it_is(&value) } else { under(&value) };
        return parse(&url, scheme_of_none).map_err(|reason| match variable {
            // A URL that may hold credentials is shown nowhere.
            Some(name) if value.contains(['@', '?']) => SetupError::secret_variable(&name, reason),
            Some(name) => SetupError::variable(&name, &value, reason),
            None => SetupError::setting("Otlp::with_endpoint", reason),
        });
    }
    let port = match protocol {
        OtlpProtocol::Grpc => 4317,
        OtlpProtocol::HttpProtobuf => 4318,
    };
    let url = under(&format!("http://localhost:{port}"));
    parse(&url, scheme_of_none)
        .map_err(|reason| SetupError::setting("the default endpoint", reason))
}

/// The URL, or what is allowed.
fn parse(url: &str, scheme_of_none: Option<&str>) -> Result<Uri, &'static str> {
    let uri: Option<Uri> = match scheme_of_none {
        Some(scheme) if !url.contains("://") => format!("{scheme}://{url}").parse().ok(),
        _ => url.parse().ok(),
    };
    let uri = uri.filter(|uri| {
        let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        is_http && uri.host().is_some_and(|host| !host.is_empty())
    });
    let Some(uri) = uri else { return Err("a URL like http://host:port or https://host:port") };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a URL without credentials; those belong into OTEL_EXPORTER_OTLP_HEADERS");
    }
    if uri.scheme() == Some(&Scheme::HTTPS) && cfg!(not(feature = "setup-tls")) {
        return Err("an http:// URL, for this program is built without the feature `setup-tls`");
    }
    Ok(uri)
}
