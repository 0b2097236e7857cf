//! `OTEL_METRICS_EXEMPLAR_FILTER`.

use super::{SetupError, environment::Environment};

const FILTER: &str = "OTEL_METRICS_EXEMPLAR_FILTER";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Filter {
    AlwaysOn,
    AlwaysOff,
    TraceBased,
}

const FILTERS: [(&str, Filter); 3] = [
    ("always_on", Filter::AlwaysOn),
    ("always_off", Filter::AlwaysOff),
    ("trace_based", Filter::TraceBased),
];

/// Returns true if exemplars are collected.
pub(crate) fn has_exemplars(environment: &Environment<'_>) -> Result<bool, SetupError> {
    let filter = environment.choice(FILTER, &FILTERS)?.unwrap_or(Filter::TraceBased);
    if filter == Filter::AlwaysOn {
        let sentence = format!("{FILTER} is always_on, but only sampled traces become exemplars");
        environment.fault(SetupError::variable(FILTER, sentence), "it is read as trace_based")?;
    }
    Ok(filter != Filter::AlwaysOff)
}
