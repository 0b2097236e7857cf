//! Tests the behaviour of the layers through the public API.

mod support;

mod api;
mod attributes;
#[cfg(feature = "bound-instruments")]
mod bound;
mod cardinality;
#[cfg(all(feature = "hyper", feature = "reqwest-middleware", feature = "rustls"))]
mod clients;
mod composed;
mod context;
mod ends;
mod first_byte;
mod golden;
#[path = "../golden_file/mod.rs"]
mod golden_file;
#[cfg(feature = "tonic")]
mod grpc;
mod hooks;
mod input;
#[cfg(feature = "axum")]
mod map_body;
mod nest;
mod once;
mod propagation;
mod random_flag;
#[cfg(all(feature = "axum", feature = "tonic"))]
mod read_bytes;
mod read_labels;
#[cfg(feature = "axum")]
mod route;
mod series;
mod setup_floors;
#[cfg(feature = "axum")]
mod sockets;
mod tidy;
mod tracing;
mod types;
