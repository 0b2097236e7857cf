//! Utilisation and saturation: the process, its runtime, connection pools, and limits.
//!
//! Request metrics tell that a service is slow; these tell why.
//!
//! - [`observe_pool`] and [`PoolTimes`]: any connection pool.
//! - [`SaturationLayer`]: limits and queues of tower.
//! - [`ServerConnectionsLayer`]: connections of a server.
//! - `ClientConnections`: connections of a client of hyper-util (feature `hyper`).
//! - [`ConnectionAttemptsLayer`]: attempts to connect, for reqwest and any other connector.
//! - `process`: CPU time, memory, threads, files (feature `process`).
//! - `runtime`: a tokio runtime (feature `tokio`).
//!
//! [`docs/resources.md`](https://docs.rs/crate/tower-telemetry/latest/source/docs/resources.md) lists
//! every metric, when it is absent, and its cost.
//!
//! Pools, process and runtime are read by the thread that collects metrics, once per collection.
//! They add nothing to a request.

#[cfg(feature = "hyper")]
mod client_connections;
mod collection;
mod connection_attempts;
#[cfg(feature = "hyper")]
mod counted_connector;
#[cfg(feature = "hyper")]
mod counted_requests;
mod pool;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "process")]
mod process_sample;
mod rejection;
mod resource_names;
#[cfg(feature = "tokio")]
mod runtime;
#[cfg(all(feature = "tokio", tokio_unstable))]
mod runtime_unstable;
mod saturation;
mod server_connections;
#[cfg(all(feature = "tokio", feature = "tonic"))]
mod server_io;

#[cfg(feature = "process")]
pub use self::process::process;
#[cfg(feature = "sqlx")]
pub(crate) use self::resource_names::POOL_NAME;
#[cfg(feature = "tokio")]
pub use self::runtime::runtime;
#[cfg(all(feature = "tokio", feature = "tonic"))]
pub use self::server_io::ServerIo;
#[cfg(feature = "hyper")]
pub use self::{
    client_connections::ClientConnections,
    counted_connector::{Connecting, CountedConnector, CountedIo},
    counted_requests::{CountedBody, CountedRequest, CountedRequests},
};
pub use self::{
    collection::Observation,
    connection_attempts::{ConnectionAttempt, ConnectionAttempts, ConnectionAttemptsLayer},
    pool::{PoolState, PoolTimes, observe_pool},
    rejection::SaturationFuture,
    saturation::{Saturation, SaturationLayer},
    server_connections::{
        OpenConnection, ServerConnection, ServerConnectionFuture, ServerConnections,
        ServerConnectionsLayer,
    },
};
