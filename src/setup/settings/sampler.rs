//! `OTEL_TRACES_SAMPLER`.

use opentelemetry_sdk::trace::Sampler;

use super::{SetupError, environment::Environment};

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

#[derive(Clone, Copy)]
enum Root {
    AlwaysOn,
    AlwaysOff,
    Ratio,
}

/// The decision for traces without a parent, and whether a parent's decision takes precedence.
const SAMPLERS: [(&str, (Root, bool)); 6] = [
    ("always_on", (Root::AlwaysOn, false)),
    ("always_off", (Root::AlwaysOff, false)),
    ("traceidratio", (Root::Ratio, false)),
    ("parentbased_always_on", (Root::AlwaysOn, true)),
    ("parentbased_always_off", (Root::AlwaysOff, true)),
    ("parentbased_traceidratio", (Root::Ratio, true)),
];

/// Returns the sampler that the environment names.
pub(crate) fn sampler(environment: &Environment<'_>) -> Result<Option<Sampler>, SetupError> {
    let Some((root, is_parent_based)) = environment.choice(SAMPLER, &SAMPLERS)? else {
        if environment.is_set(ARGUMENT) && !environment.is_set(SAMPLER) {
            unused(environment, format!("{ARGUMENT} is set without {SAMPLER}"))?;
        }
        return Ok(None);
    };
    let root = match root {
        Root::Ratio => Sampler::TraceIdRatioBased(ratio(environment)?),
        Root::AlwaysOn | Root::AlwaysOff if environment.is_set(ARGUMENT) => {
            unused(environment, format!("{ARGUMENT} is set, but the sampler takes no argument"))?;
            always(root)
        }
        Root::AlwaysOn | Root::AlwaysOff => always(root),
    };
    Ok(Some(if is_parent_based { Sampler::ParentBased(Box::new(root)) } else { root }))
}

fn always(root: Root) -> Sampler {
    if matches!(root, Root::AlwaysOff) { Sampler::AlwaysOff } else { Sampler::AlwaysOn }
}

fn unused(environment: &Environment<'_>, sentence: String) -> Result<(), SetupError> {
    environment.fault(SetupError::variable(ARGUMENT, sentence), "it is ignored")
}

/// The specification's default is 1.
fn ratio(environment: &Environment<'_>) -> Result<f64, SetupError> {
    let parse = |value: &str| value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    let ratio = environment.read(ARGUMENT, "a number from 0 to 1", parse)?;
    Ok(ratio.unwrap_or(1.0))
}
