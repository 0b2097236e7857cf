//! Traces that are complete, operations and percentiles, made from the SDK's data for a person.

mod observed_operation;
mod open_traces;
mod percentile;
mod red_row;
mod series;
#[cfg(any(feature = "testing", feature = "viewer"))]
mod shared_reader;

#[cfg(feature = "viewer")]
pub(crate) use self::open_traces::MOST_ITEMS;
#[cfg(any(feature = "testing", feature = "viewer"))]
pub(crate) use self::shared_reader::SharedReader;
pub(crate) use self::{
    observed_operation::Operation,
    open_traces::{Ended, OpenTraces, Trace, is_failed},
    percentile::Buckets,
    red_row::RedRow,
    series::{Point, visit},
};
