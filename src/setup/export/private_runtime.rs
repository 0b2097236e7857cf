//! The runtime on which exporters connect and send.

use std::mem;

use opentelemetry::Context;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::setup::settings::SetupError;

/// A runtime with one thread. The program's own runtime may be single-threaded, blocked, or absent.
#[derive(Debug)]
pub(crate) struct PrivateRuntime(Option<Runtime>);

impl PrivateRuntime {
    pub(crate) fn start() -> Result<Self, SetupError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .thread_name("telemetry")
            .enable_all()
            // Exporting spans and log records of the exporters would create more of them,
            // endlessly.
            .on_thread_start(|| mem::forget(Context::enter_telemetry_suppressed_scope()))
            .build()
            .map_err(SetupError::runtime)?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) fn handle(&self) -> Handle {
        self.0.as_ref().expect("the runtime is present until drop").handle().clone()
    }
}

impl Drop for PrivateRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Dropping a runtime inside of another one panics.
            runtime.shutdown_background();
        }
    }
}
