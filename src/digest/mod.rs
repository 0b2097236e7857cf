//! What a person looks at, made from the SDK's data: traces that are complete, operations, and percentiles.

mod open_traces;
mod operation;
mod percentile;
mod series;
#[cfg(any(feature = "testing", feature = "viewer"))]
mod shared_reader;

#[cfg(any(feature = "testing", feature = "viewer"))]
pub(crate) use self::shared_reader::SharedReader;
pub(crate) use self::{
    open_traces::{Ended, OpenTraces, Trace, is_failed},
    operation::Operation,
    percentile::Buckets,
    series::{Point, visit},
};
