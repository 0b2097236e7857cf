//! `OTEL_PROPAGATORS`.

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};

use super::{SetupError, variables::Variables};
use crate::propagation::{Baggage, Nothing, TraceContext};

#[derive(Clone, Copy, PartialEq)]
enum Name {
    TraceContext,
    Baggage,
    None,
}

const PROPAGATORS: [(&str, Name); 3] =
    [("tracecontext", Name::TraceContext), ("baggage", Name::Baggage), ("none", Name::None)];

/// A propagator of any kind.
pub(super) type Propagator = Box<dyn TextMapPropagator + Send + Sync>;

/// The propagators that the environment names, if it names any; others are set in code.
pub(super) fn propagator(variables: &Variables) -> Result<Option<Propagator>, SetupError> {
    let Some(names) = variables.choices("OTEL_PROPAGATORS", &PROPAGATORS)? else { return Ok(None) };
    let propagators = names.iter().map(|name| -> Propagator {
        match name {
            Name::TraceContext => Box::new(TraceContext::new()),
            Name::Baggage => Box::new(Baggage::new()),
            Name::None => Box::new(Nothing),
        }
    });
    Ok(Some(Box::new(TextMapCompositePropagator::new(propagators.collect()))))
}
