//! A view of traces, metrics and log lines in the browser, without a service beside the program.
//!
//! ```
//! use axum::Router;
//! use tower_telemetry::Telemetry;
//!
//! # fn main() -> Result<(), tower_telemetry::setup::SetupError> {
//! # let none = |name: &str| name.ends_with("EXPORTER").then(|| "none".to_owned());
//! let telemetry = Telemetry::builder()
//! #   .with_variables(none)
//!     .with_viewer()
//!     .build()?;
//! let app: Router = Router::new().route_service("/telemetry", telemetry.viewer());
//! # Ok(())
//! # }
//! ```
//!
//! The pages show rate, errors and duration by operation, with the distribution of its latency. Each bucket leads to
//! a trace, a trace leads to its log lines, and a line leads to its trace. They also show the latest traces, live
//! log lines, and the metrics about resources.
//!
//! # Who is answered
//!
//! Telemetry may contain what is not for everybody. So the service answers only peers on the loopback interface,
//! and refuses the others with `403` and the reason. It knows the peer from axum's `ConnectInfo<SocketAddr>`
//! (feature `axum`):
//!
//! ```text
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
//! ```
//!
//! It also refuses requests that a proxy has forwarded (`Forwarded`, `Via`, `X-Forwarded-*`, `X-Real-Ip`, `X-Envoy-*`),
//! requests whose `Host` is no name of the loopback interface, because a page of another site may let its name point
//! there, and requests that another site's page makes (`Sec-Fetch-Site`), but for a link to the page.
//! [`ViewerService::for_all_peers`] answers everybody.
//!
//! A proxy on the same machine that adds none of these headers is taken for a caller on this machine: nginx adds none
//! unless it is configured to. Don't forward the route there.
//!
//! # Limits
//!
//! Everything is in memory, and gone with the process. The viewer holds:
//!
//! | | at most |
//! |---|---|
//! | traces | 2000 and 32 MiB; a quarter of them may be errors, and a quarter the slowest of their operation |
//! | a trace for each bucket of each operation | 200 operations, 8 MiB |
//! | log lines | 5000 and 8 MiB, and those of the traces |
//! | spans and lines of one trace | 200, of which 150 are lines; and its last span |
//! | traces that have not ended | 1000, without a limit in bytes. Later ones are counted and not shown |
//!
//! The oldest are dropped first: ordinary traces before errors and slow ones. Only sampled traces are shown. The trace
//! that a bucket leads to is the latest one that is held and lies in the bucket; it need not be the exemplar of the
//! metric. A bucket without such a trace leads nowhere.
//!
//! # Cost
//!
//! At 10,000 requests a second, of one span each, a request takes 9 to 10 µs more of CPU time, with the page
//! open or not, and the process 7 MiB more memory (`tests/browser/tests/load.rs`, on two cores). A page asks once a
//! second.
//!
//! Without [`with_viewer`](crate::setup::TelemetryBuilder::with_viewer) nothing is held, and the service answers `404`.

mod assets;
mod line_ring;
mod measured_operations;
mod pages;
mod peers;
mod processors;
mod retention;
mod sdk_json;
mod store;
mod stored_trace;
mod viewer_service;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use opentelemetry_sdk::Resource;

pub use self::viewer_service::ViewerService;
use self::{line_ring::Lines, store::Store};
use crate::digest::SharedReader;

/// The telemetry of one [`Telemetry`](crate::Telemetry), in memory.
///
/// It is a processor of spans and log records, and the owner of a metric reader.
#[derive(Debug, Clone)]
pub(crate) struct Viewer(Arc<State>);

#[derive(Debug)]
struct State {
    resource: Resource,
    started: SystemTime,
    store: Mutex<Store>,
    lines: Mutex<Lines>,
    reader: SharedReader,
}

impl Viewer {
    pub(crate) fn new(resource: Resource) -> Self {
        Self(Arc::new(State {
            resource,
            started: SystemTime::now(),
            store: Mutex::default(),
            lines: Mutex::default(),
            reader: SharedReader::default(),
        }))
    }

    /// Returns the reader for the meter provider.
    pub(crate) fn reader(&self) -> SharedReader {
        self.0.reader.clone()
    }

    pub(crate) fn service(&self) -> ViewerService {
        ViewerService::of(self.clone())
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
