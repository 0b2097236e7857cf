//! The batching of spans and log records: `OTEL_BSP_*`, `OTEL_BLRP_*`.

use std::time::Duration;

use super::{SetupError, environment::Environment};

/// The settings of a batching processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) delay: Duration,
    pub(crate) queue_size: usize,
    pub(crate) batch_size: usize,
    /// The time for which a batch is retried before it is dropped; `None` if it has no limit.
    pub(crate) timeout: Option<Duration>,
}

impl Batch {
    pub(crate) fn spans(environment: &Environment<'_>) -> Result<Self, SetupError> {
        Self::read(environment, "BSP", Duration::from_secs(5))
    }

    pub(crate) fn log_records(environment: &Environment<'_>) -> Result<Self, SetupError> {
        Self::read(environment, "BLRP", Duration::from_secs(1))
    }

    fn read(
        environment: &Environment<'_>,
        processor: &str,
        default_delay: Duration,
    ) -> Result<Self, SetupError> {
        let name = |setting: &str| format!("OTEL_{processor}_{setting}");
        let queue_size =
            environment.capacity(&name("MAX_QUEUE_SIZE"))?.unwrap_or(DEFAULT_QUEUE_SIZE);
        let size_name = name("MAX_EXPORT_BATCH_SIZE");
        let expected = format!("a whole number from 1 to {queue_size}, the size of the queue");
        let batch_size = environment.read(&size_name, &expected, |value| {
            value.parse().ok().filter(|size| (1..=queue_size).contains(size))
        })?;
        let delay = environment.duration(&name("SCHEDULE_DELAY"), 0)?.unwrap_or(default_delay);
        Ok(Self {
            delay: delay.max(SHORTEST_DELAY),
            queue_size,
            batch_size: batch_size.unwrap_or(512).min(queue_size),
            timeout: environment.timeout(&name("EXPORT_TIMEOUT"))?,
        })
    }
}

/// A shorter delay would only wake the exporting task more often.
const SHORTEST_DELAY: Duration = Duration::from_millis(1);

/// Four times the specification's 2048, which a service with some thousand requests per second fills
/// within the delay of a batch.
const DEFAULT_QUEUE_SIZE: usize = 8192;
