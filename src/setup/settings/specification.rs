//! The variables of the specification, and what becomes of those that have no effect.

use super::{SetupError, Signal, environment::Environment};

/// Warns of variables that have no effect, and of names that are likely misspelled.
pub(crate) fn check_names(environment: &Environment<'_>) -> Result<(), SetupError> {
    for (name, reason) in without_effect() {
        if environment.is_set(&name) {
            let error = SetupError::variable(&name, format!("{name} is set, but has no effect"));
            environment.fault(error, &reason)?;
        }
    }
    let known = known_names();
    let mut unknown = Vec::new();
    for name in environment.names() {
        let is_ours = name.starts_with(PREFIX) && environment.is_set(&name);
        if !is_ours || known.contains(&name) {
            continue;
        }
        match similar(&name, &known) {
            Some(similar) => {
                let sentence = format!("{name} is not a known variable: is {similar} meant?");
                environment.fault(SetupError::variable(&name, sentence), "it is ignored")?;
            }
            None if is_of_others(&name) => {}
            None => unknown.push(name),
        }
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        environment.warn(format!("{names}: not variables of the specification, no effect"));
    }
    Ok(())
}

/// Warns that exporters connect directly, where the environment asks for a proxy.
pub(crate) fn check_proxies(environment: &Environment<'_>) {
    let upper = PROXIES.iter().map(|name| (*name).to_owned());
    let names = upper.clone().chain(upper.map(|name| name.to_ascii_lowercase()));
    let set: Vec<_> = names.filter(|name| environment.is_set(name)).collect();
    if !set.is_empty() {
        let names = set.join(", ");
        environment.warn(format!("{names}: no effect on OTLP, which is exported without a proxy"));
    }
}

/// Returns the known name that differs by at most two letters.
fn similar<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let distance = |known: &str| strsim::osa_distance(name, known);
    let nearest = known.iter().map(|known| (distance(known), known)).min()?;
    (nearest.0 <= 2).then_some(nearest.1)
}

/// Returns true if a name belongs to another language's SDK, or to instrumentation.
fn is_of_others(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    OTHERS.iter().any(|prefix| rest.starts_with(prefix))
}

/// The variables that are set without effect, each with what to do.
fn without_effect() -> impl Iterator<Item = (String, String)> {
    let certificates = of_each_signal(&CERTIFICATES)
        .into_iter()
        .map(|name| (name, "this program is built without the feature `setup-tls`".to_owned()));
    let certificates = certificates.filter(|_| cfg!(not(feature = "setup-tls")));
    let listed = WITHOUT_EFFECT.iter().map(|(name, instead)| ((*name).into(), (*instead).into()));
    certificates.chain(listed)
}

fn known_names() -> Vec<String> {
    let mut names: Vec<String> = READ.iter().map(|name| (*name).to_owned()).collect();
    names.extend(of_each_signal(&[
        "COMPRESSION",
        "ENDPOINT",
        "HEADERS",
        "INSECURE",
        "PROTOCOL",
        "TIMEOUT",
    ]));
    names.extend(of_each_signal(&CERTIFICATES));
    names.extend(without_effect().map(|(name, _)| name));
    names
}

/// Returns the general variable and that of each signal for some settings of OTLP.
fn of_each_signal(settings: &[&str]) -> Vec<String> {
    let prefixes = Signal::ALL.map(|signal| format!("{}_", signal.in_variables()));
    let prefixes = [String::new()].into_iter().chain(prefixes);
    prefixes
        .flat_map(|prefix| {
            settings.iter().map(move |setting| format!("OTEL_EXPORTER_OTLP_{prefix}{setting}"))
        })
        .collect()
}

const CERTIFICATES: [&str; 3] = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"];

const PREFIX: &str = "OTEL_";

const READ: [&str; 27] = [
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    // Not read here, but by `Convention::with_known_methods_from_env`.
    "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGS_EXPORTER",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_PROPAGATORS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

const WITHOUT_EFFECT: [(&str, &str); 18] = [
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT limits spans"),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the SDK does not cut values"),
    ("OTEL_CONFIG_FILE", "configuration files are not supported, other variables are read"),
    ("OTEL_ENTITIES", "entities are not supported, use OTEL_RESOURCE_ATTRIBUTES"),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "configuration files are not supported"),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "histograms have explicit buckets, which `with_boundaries` sets",
    ),
    ("OTEL_EXPORTER_OTLP_METRIC_INSECURE", "use OTEL_EXPORTER_OTLP_METRICS_INSECURE"),
    ("OTEL_EXPORTER_OTLP_SPAN_INSECURE", "use OTEL_EXPORTER_OTLP_TRACES_INSECURE"),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "the program's own server serves the metrics"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "the program's own server serves the metrics"),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "Zipkin is not supported, use OTLP"),
    ("OTEL_EXPORTER_ZIPKIN_PROTOCOL", "Zipkin is not supported, use OTLP"),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "Zipkin is not supported, use OTLP"),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "the SDK does not limit log records"),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the SDK does not limit log records"),
    ("OTEL_LOG_LEVEL", "RUST_LOG sets the level of log lines, the SDK's among them"),
    ("OTEL_SEMCONV_STABILITY_OPT_IN", "the stable conventions are always used"),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the SDK does not cut values"),
];

const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// The specification wants `OTEL_{LANGUAGE}_{FEATURE}` for variables of one language.
const OTHERS: [&str; 14] = [
    "CPP_",
    "DOTNET_",
    "ERLANG_",
    "GO_",
    "INJECTOR_",
    "INSTRUMENTATION_",
    "JAVAAGENT_",
    "JAVA_",
    "JS_",
    "NODE_",
    "PHP_",
    "PYTHON_",
    "RUBY_",
    "SWIFT_",
];
