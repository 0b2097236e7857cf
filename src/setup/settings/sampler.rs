//! `OTEL_TRACES_SAMPLER`.

use opentelemetry_sdk::trace::Sampler;

use super::{SetupError, variables::Variables};

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

#[derive(Clone, Copy)]
enum Root {
    AlwaysOn,
    AlwaysOff,
    Ratio,
}

/// The root's decision, and whether a parent's goes before it.
const SAMPLERS: [(&str, (Root, bool)); 6] = [
    ("always_on", (Root::AlwaysOn, false)),
    ("always_off", (Root::AlwaysOff, false)),
    ("traceidratio", (Root::Ratio, false)),
    ("parentbased_always_on", (Root::AlwaysOn, true)),
    ("parentbased_always_off", (Root::AlwaysOff, true)),
    ("parentbased_traceidratio", (Root::Ratio, true)),
];

/// The sampler that the environment names, if it names one.
pub(crate) fn sampler(variables: &Variables) -> Result<Option<Sampler>, SetupError> {
    let Some((root, parent_based)) = variables.choice(SAMPLER, &SAMPLERS)? else {
        return Ok(None);
    };
    let root = match root {
        Root::AlwaysOn => Sampler::AlwaysOn,
        Root::AlwaysOff => Sampler::AlwaysOff,
        Root::Ratio => Sampler::TraceIdRatioBased(ratio(variables)?),
    };
    Ok(Some(if parent_based { Sampler::ParentBased(Box::new(root)) } else { root }))
}

/// The specification's default is 1.
fn ratio(variables: &Variables) -> Result<f64, SetupError> {
    let read = |value: &str| value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    Ok(variables.read(ARGUMENT, "a number from 0 to 1", read)?.unwrap_or(1.0))
}
