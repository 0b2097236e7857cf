//! Who the telemetry is of.

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{IdGenerator, RandomIdGenerator},
};

use super::{
    SetupError,
    variables::{self, Variables},
};

const SERVICE_NAME: &str = "service.name";
const SERVICE_INSTANCE_ID: &str = "service.instance.id";
pub(crate) const DEPLOYMENT_ENVIRONMENT_NAME: &str = "deployment.environment.name";

/// What the environment says, before what the code says, before what can be known here.
///
/// The SDK's own detectors don't decode values, and let `service.name` among the attributes win over
/// `OTEL_SERVICE_NAME`; both against the specification.
pub(crate) fn resource(
    variables: &Variables,
    in_code: &[KeyValue],
) -> Result<Resource, SetupError> {
    let attributes = variables
        .read(
            "OTEL_RESOURCE_ATTRIBUTES",
            "key=value pairs separated by commas, the values percent-encoded",
            variables::pairs,
        )?
        .unwrap_or_default();
    let attributes = attributes.into_iter().map(|(key, value)| KeyValue::new(key, value));
    let name = variables.text("OTEL_SERVICE_NAME");
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new(SERVICE_NAME, unknown_service()),
            KeyValue::new(SERVICE_INSTANCE_ID, random_uuid()),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(in_code.iter().cloned())
        .with_attributes(attributes)
        .with_attributes(name.map(|name| KeyValue::new(SERVICE_NAME, name)))
        .build();
    Ok(resource)
}

/// The specification's name of a service that has none.
fn unknown_service() -> String {
    let program = std::env::args_os().next();
    let program = program.as_deref().map(std::path::Path::new).and_then(|path| path.file_stem());
    match program.and_then(|name| name.to_str()) {
        Some(name) => format!("unknown_service:{name}"),
        None => "unknown_service".to_owned(),
    }
}

/// A random UUID (RFC 9562, version 4), which the conventions recommend for an instance.
fn random_uuid() -> String {
    let mut bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let [a, b, c, d, e] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    format!("{a}-{b}-{c}-{d}-{e}")
}
