//! `OTEL_PROPAGATORS`.

use std::fmt;

use opentelemetry::{
    global,
    propagation::{TextMapCompositePropagator, TextMapPropagator},
};

use super::{SetupError, environment::Environment};
use crate::propagation::{B3, Baggage, GlobalW3c, NoPropagation, TraceContext};

#[derive(Clone, Copy, PartialEq)]
enum Name {
    TraceContext,
    Baggage,
    B3,
    B3Multi,
    None,
}

const PROPAGATORS: &[(&str, Name)] = &[
    ("tracecontext", Name::TraceContext),
    ("baggage", Name::Baggage),
    ("b3", Name::B3),
    ("b3multi", Name::B3Multi),
    ("none", Name::None),
];

/// Returns the advice for a propagator of the specification that is not supported.
fn advice(name: &str) -> Option<&'static str> {
    let advice = [
        ("jaeger", "Jaeger's header is deprecated: use tracecontext, which its clients know"),
        ("ottrace", "OpenTracing's headers are deprecated: use tracecontext"),
        ("xray", "Give the XrayPropagator of opentelemetry-aws to `with_propagator`"),
    ];
    let known = advice.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, advice)| *advice)
}

/// Carries context between processes.
pub(crate) enum Propagator {
    /// A type of its own, because layers that find it installed inject and extract themselves.
    W3c,
    Other(Box<dyn TextMapPropagator + Send + Sync>),
}

impl Propagator {
    /// Returns the propagators that the environment names.
    pub(crate) fn named(environment: &Environment<'_>) -> Result<Option<Self>, SetupError> {
        let names =
            environment.list_with_advice("OTEL_PROPAGATORS", PROPAGATORS, Name::None, advice)?;
        let Some(names) = names else { return Ok(None) };
        let is_named = |name| names.contains(&name);
        if names.len() == 2 && is_named(Name::TraceContext) && is_named(Name::Baggage) {
            return Ok(Some(Self::W3c));
        }
        let propagators = names.iter().map(|name| -> Box<dyn TextMapPropagator + Send + Sync> {
            match name {
                Name::TraceContext => Box::new(TraceContext::new()),
                Name::Baggage => Box::new(Baggage::new()),
                Name::B3 => Box::new(B3::single()),
                Name::B3Multi => Box::new(B3::multi()),
                Name::None => Box::new(NoPropagation),
            }
        });
        let composite = TextMapCompositePropagator::new(propagators.collect());
        Ok(Some(Self::Other(Box::new(composite))))
    }

    /// Installs it as the global propagator.
    pub(crate) fn install(self) {
        match self {
            Self::W3c => global::set_text_map_propagator(GlobalW3c::default()),
            Self::Other(propagator) => {
                let composite = TextMapCompositePropagator::new(vec![propagator]);
                global::set_text_map_propagator(composite);
            }
        }
    }
}

impl fmt::Debug for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::W3c => f.write_str("W3c"),
            Self::Other(propagator) => f.debug_list().entries(propagator.fields()).finish(),
        }
    }
}
