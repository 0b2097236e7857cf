//! `OTEL_PROPAGATORS`.

use std::fmt;

use opentelemetry::{
    global,
    propagation::{TextMapCompositePropagator, TextMapPropagator},
};

use super::{SetupError, environment::Environment};
use crate::propagation::{Baggage, GlobalW3c, NoPropagation, TraceContext};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    TraceContext,
    Baggage,
    None,
}

const PROPAGATORS: [(&str, Name); 3] =
    [("tracecontext", Name::TraceContext), ("baggage", Name::Baggage), ("none", Name::None)];

/// Carries context between processes.
pub(crate) enum Propagator {
    /// A type of its own, because layers that find it installed inject and extract themselves.
    W3c,
    Other(Box<dyn TextMapPropagator + Send + Sync>),
}

impl Propagator {
    /// Returns the propagators that the environment names.
    pub(crate) fn named(environment: &Environment<'_>) -> Result<Option<Self>, SetupError> {
        let names = environment.list("OTEL_PROPAGATORS", &PROPAGATORS, Name::None)?;
        let Some(mut names) = names else { return Ok(None) };
        names.sort();
        if names == [Name::TraceContext, Name::Baggage] {
            return Ok(Some(Self::W3c));
        }
        let propagators = names.iter().map(|name| -> Box<dyn TextMapPropagator + Send + Sync> {
            match name {
                Name::TraceContext => Box::new(TraceContext::new()),
                Name::Baggage => Box::new(Baggage::new()),
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
