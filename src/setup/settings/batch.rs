//! How spans and log records are batched.

use std::time::Duration;

use super::{SetupError, variables::Variables};

/// The settings of a batching processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) delay: Duration,
    pub(crate) queue: usize,
    pub(crate) size: usize,
    /// How long a batch is tried before it is given up.
    pub(crate) patience: Duration,
}

impl Batch {
    /// `OTEL_BSP_*`.
    pub(crate) fn spans(variables: &Variables) -> Result<Self, SetupError> {
        Self::read(variables, "BSP", Duration::from_secs(5))
    }

    /// `OTEL_BLRP_*`.
    pub(crate) fn log_records(variables: &Variables) -> Result<Self, SetupError> {
        Self::read(variables, "BLRP", Duration::from_secs(1))
    }

    fn read(
        variables: &Variables,
        processor: &str,
        default_delay: Duration,
    ) -> Result<Self, SetupError> {
        let name = |setting: &str| format!("OTEL_{processor}_{setting}");
        let queue = variables.count(&name("MAX_QUEUE_SIZE"))?.unwrap_or(2048);
        let size_name = name("MAX_EXPORT_BATCH_SIZE");
        let size = variables.count(&size_name)?;
        if let Some(size) = size.filter(|size| *size > queue) {
            let allowed = format!("a number from 1 to the queue's size, {queue}");
            return Err(SetupError::variable(&size_name, &size.to_string(), allowed));
        }
        Ok(Self {
            delay: variables.millis(&name("SCHEDULE_DELAY"))?.unwrap_or(default_delay),
            queue,
            size: size.unwrap_or(512).min(queue),
            patience: variables.millis(&name("EXPORT_TIMEOUT"))?.unwrap_or(DEFAULT_PATIENCE),
        })
    }
}

/// Longer than the specification's 30 seconds, so that a receiver that is restarted or moved to
/// another machine, which takes as long, costs nothing.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);
