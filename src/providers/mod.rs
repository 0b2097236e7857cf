//! Global providers that are installed late, or replaced, and those that are given.

mod latest;
mod meters;
mod retry;
mod tracers;

#[cfg(feature = "sqlx")]
pub(crate) use self::meters::global_meter_provider;
pub(crate) use self::{
    meters::{LazyInstruments, global_meter},
    retry::Retry,
    tracers::{Started, Tracers},
};
