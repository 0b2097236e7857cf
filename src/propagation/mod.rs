//! Context propagation: extracts the caller's context, and injects the current one.

mod b3;
mod baggage;
mod carrier;
mod global_w3c;
#[cfg(feature = "setup")]
mod no_propagation;
mod propagation_layer;
mod propagation_observer;
mod trace_context;
mod w3c;

pub(crate) use self::global_w3c::GlobalW3c;
#[cfg(feature = "setup")]
pub(crate) use self::no_propagation::NoPropagation;
#[cfg(feature = "reqwest")]
pub(crate) use self::propagation_observer::DestinationLimit;
pub use self::{
    b3::B3,
    baggage::Baggage,
    carrier::{HeaderExtractor, HeaderInjector},
    propagation_layer::PropagationLayer,
    propagation_observer::PropagationObserver,
    trace_context::TraceContext,
    w3c::W3c,
};
