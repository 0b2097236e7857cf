//! The resource: which service and instance the telemetry describes.

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{IdGenerator, RandomIdGenerator},
};

use super::{SetupError, TelemetryBuilder, environment::Environment};
use crate::percent;

const SERVICE_NAME: &str = "service.name";
const SERVICE_INSTANCE_ID: &str = "service.instance.id";
pub(crate) const DEPLOYMENT_ENVIRONMENT_NAME: &str = "deployment.environment.name";

/// Merges the attributes of the environment, those of the code, and defaults, in this order of
/// precedence.
///
/// The SDK's own detectors are not used: they do not decode values, and prefer `service.name` among
/// the attributes to `OTEL_SERVICE_NAME`. Both are against the specification.
pub(crate) fn resource(
    environment: &Environment<'_>,
    in_code: &TelemetryBuilder,
) -> Result<Resource, SetupError> {
    let attributes = environment.read(ATTRIBUTES, EXPECTED, parse)?.unwrap_or_default();
    let name = environment.text("OTEL_SERVICE_NAME")?;
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new(SERVICE_NAME, format!("{UNKNOWN_SERVICE}{}", program())),
            KeyValue::new(SERVICE_INSTANCE_ID, random_uuid()),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(in_code.attributes.iter().cloned())
        .with_attributes(attributes)
        .with_attributes(name.map(|name| KeyValue::new(SERVICE_NAME, name)));
    let schema_urls = in_code.schema_urls.iter().cloned();
    let resource = schema_urls.fold(resource, |resource, url| resource.with_schema_url([], url));
    Ok(resource.build())
}

/// Returns the attributes of a resource without the specification's name for a service that has
/// none: it must not override a name.
pub(super) fn known(resource: &Resource) -> impl Iterator<Item = KeyValue> {
    let is_known = |key: &Key, value: &Value| {
        key.as_str() != SERVICE_NAME || !value.as_str().starts_with(UNKNOWN_SERVICE)
    };
    let known = resource.iter().filter(move |(key, value)| is_known(key, value));
    known.map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
}

/// Returns the attributes, or `None` if any of them is invalid: the specification wants the whole
/// value discarded then.
fn parse(list: &str) -> Option<Vec<KeyValue>> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (key, value) = entry.split_once('=')?;
            let key = decode(key.trim())?;
            (!key.is_empty()).then_some(KeyValue::new(key, decode(value.trim())?))
        })
        .collect()
}

/// Returns the text without percent-encoding, or `None` if an escape or its octets are invalid, or
/// an equals sign is not encoded.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut percent_signs = (0..bytes.len()).filter(|at| bytes[*at] == b'%');
    let is_valid = percent_signs.all(|at| percent::escape(&bytes[at..]).is_some());
    if !is_valid || text.contains('=') {
        return None;
    }
    String::from_utf8(percent::octets(bytes).collect()).ok()
}

const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const EXPECTED: &str = "key=value pairs separated by commas, with commas, equals signs and percent \
                        signs inside of them percent-encoded";

/// Returns a colon and the name of the program, or nothing.
fn program() -> String {
    let program = std::env::args_os().next();
    let program = program.as_deref().map(std::path::Path::new).and_then(|path| path.file_stem());
    program.and_then(|name| name.to_str()).map(|name| format!(":{name}")).unwrap_or_default()
}

/// The specification's name for a service without one, followed by that of the program.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Returns a random UUID (RFC 9562, version 4), which the conventions recommend for an instance.
fn random_uuid() -> String {
    let mut bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let [a, b, c, d, e] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    format!("{a}-{b}-{c}-{d}-{e}")
}
