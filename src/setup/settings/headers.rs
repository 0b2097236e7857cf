//! The headers of OTLP requests, by the same rules for gRPC and HTTP.

use http::{HeaderName, HeaderValue};

use super::{Otlp, SetupError, environment::Environment};
use crate::percent;

pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// Reads `OTEL_EXPORTER_OTLP_HEADERS` or that of a signal. Invalid entries are ignored.
pub(crate) fn headers_of(
    environment: &Environment<'_>,
    variable: &str,
) -> Result<Option<Headers>, SetupError> {
    let Some(list) = environment.text(variable)? else { return Ok(None) };
    let mut headers = Headers::new();
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    for (at, entry) in entries.enumerate() {
        let Some((name, value)) = parse(entry) else {
            let expected =
                "name=value pairs separated by commas, with percent-encoded ASCII values";
            let instead = format!("entry {} is ignored", at + 1);
            environment.fault(SetupError::hidden_value(variable, expected), &instead)?;
            continue;
        };
        if is_reserved(&name) {
            let sentence =
                format!("{variable} sets the header {name}, which belongs to the exporter");
            environment.fault(SetupError::variable(variable, sentence), "it is ignored")?;
            continue;
        }
        headers.push((name, value));
    }
    Ok(Some(headers))
}

/// Checks the headers that were set in code.
pub(crate) fn headers_in_code(otlp: &Otlp) -> Result<Headers, SetupError> {
    let headers = otlp.headers.iter();
    headers
        .map(|(name, value)| {
            let Some((name, value)) = header(name, value) else {
                let reason =
                    format!("{name:?} is not the name of a header, or its value not ASCII");
                return Err(SetupError::setting("Otlp::with_header", reason));
            };
            if is_reserved(&name) {
                let reason = format!("the header {name} belongs to the exporter");
                return Err(SetupError::setting("Otlp::with_header", reason));
            }
            Ok((name, value))
        })
        .collect()
}

/// A percent sign that begins no escape stays, because keys of backends contain some.
fn parse(entry: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = entry.split_once('=')?;
    let value = percent::octets(value.trim().as_bytes()).collect();
    header(name.trim(), &String::from_utf8(value).ok()?)
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}

/// Returns true if the exporter or the protocol sets this header. A second value would break
/// requests.
fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str()) || name.as_str().starts_with("grpc-")
}

const RESERVED: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
