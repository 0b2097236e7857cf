//! The top floor: the guard of running telemetry, its end, and the end of the server before it.

mod flush;
mod graceful;
mod handle;
mod readiness;
mod shutdown;
mod stop_signals;

pub use self::{
    graceful::{GracefulShutdown, ServeError, Served, Stop},
    handle::Telemetry,
    readiness::Readiness,
    shutdown::Undelivered,
};
