//! The public handle: all reservoirs of a meter provider.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::reservoir::Reservoir;

/// Exemplars: for each bucket of a histogram, a sampled trace that was measured in it.
///
/// An exemplar leads from a metric to a trace: from the slow requests of a graph to one of them.
///
/// [`Telemetry`](crate::Telemetry) collects exemplars by itself, and sends or shows them. Use a
/// handle for a meter provider of your own. The layers that record with the provider fill it, and the reader of the
/// provider shows what is in it. Clones are handles of the same exemplars.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "prometheus")] {
/// use tower_telemetry::{
///     Exemplars, TelemetryLayer, opentelemetry_sdk::metrics::SdkMeterProvider, pull::PullReader,
/// };
///
/// let exemplars = Exemplars::new();
/// let reader = PullReader::builder().with_exemplars(&exemplars).build();
/// let metrics = reader.service();
/// let provider = SdkMeterProvider::builder().with_reader(reader).build();
///
/// let layer = TelemetryLayer::server()
///     .with_meter_provider(&provider)
///     .with_exemplars(&exemplars);
/// # }
/// ```
///
/// # What is collected
///
/// | instrument | recorded by |
/// |---|---|
/// | `http.{server,client}.request.duration`, `http.{server,client}.{request,response}.body.size` | [`MetricsLayer`](crate::MetricsLayer), [`TelemetryLayer`](crate::TelemetryLayer) |
/// | `rpc.{server,client}.call.duration` | the same |
/// | `db.client.operation.duration` | [`Database`](crate::database::Database) |
///
/// A measurement is offered if the span of the exchange is sampled. With a `MetricsLayer` alone, that
/// is the span that was current when the request began. The latest measurement of each bucket is kept,
/// at most one a second until it is exported. It is shown for ten minutes.
///
/// # What is exported
///
/// An exemplar has the trace id, the span id, the value and its time. It is shown on a data point if it
/// was measured within the point's time, in the bucket of its value. Attributes that a view has dropped
/// are its `filtered_attributes`. Series beyond the SDK's cardinality limit have none; if a view also drops
/// attributes, the whole metric has none once there are such series. A view may rename
/// the instrument or change its description; if it does both, the metric has no exemplars.
///
/// # Memory
///
/// A series takes memory once it has a sampled measurement: 48 bytes for each bucket, which is 720 bytes
/// for the duration. At most 32 buckets of a series and 10 000 series of a handle have exemplars.
///
/// # One handle for each meter provider
///
/// If the layers of two providers share a handle, a series of one provider may show an exemplar of the
/// other.
#[derive(Clone, Default)]
pub struct Exemplars {
    reservoirs: Arc<Mutex<Reservoirs>>,
}

/// Weak, so that the exemplars of a layer go with the layer.
#[derive(Default)]
struct Reservoirs {
    all: Vec<Weak<Reservoir>>,
    /// The length at which those of dropped layers are removed.
    sweep_at: usize,
}

impl Exemplars {
    /// Creates a handle without exemplars.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns true if the other one is a clone of this handle.
    #[cfg(all(test, feature = "setup"))]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.reservoirs, &other.reservoirs)
    }

    /// Adds a reservoir, unless there are too many.
    pub(super) fn register(&self, make: impl FnOnce() -> Reservoir) -> Option<Arc<Reservoir>> {
        let mut reservoirs = self.reservoirs.lock().unwrap_or_else(PoisonError::into_inner);
        reservoirs.has_room().then(|| {
            let reservoir = Arc::new(make());
            reservoirs.all.push(Arc::downgrade(&reservoir));
            reservoir
        })
    }

    /// Returns the reservoirs of all layers that still exist.
    #[cfg(any(feature = "setup", test))]
    pub(super) fn reservoirs(&self) -> Vec<Arc<Reservoir>> {
        let reservoirs = self.reservoirs.lock().unwrap_or_else(PoisonError::into_inner);
        reservoirs.all.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Reservoirs {
    fn has_room(&mut self) -> bool {
        if self.all.len() >= self.sweep_at {
            self.all.retain(|reservoir| reservoir.strong_count() > 0);
            self.sweep_at = (2 * self.all.len()).clamp(MIN_SWEEP, MAX_RESERVOIRS);
        }
        self.all.len() < MAX_RESERVOIRS
    }
}

impl fmt::Debug for Exemplars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exemplars").finish_non_exhaustive()
    }
}

const MIN_SWEEP: usize = 64;

/// Five instruments at the SDK's default limit of series.
const MAX_RESERVOIRS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        convention::{Side, instruments},
        exemplars::InstrumentExemplars,
    };

    #[test]
    fn reservoirs_are_limited_and_go_with_their_layer() {
        let exemplars = Exemplars::new();
        let duration = instruments::duration(Side::Server);
        let instrument = InstrumentExemplars::new(&exemplars, duration, &[1.0]);
        let reservoir = || instrument.reservoir(&Arc::default());
        let kept: Vec<_> = (0..MAX_RESERVOIRS + 10).filter_map(|_| reservoir()).collect();
        assert_eq!(kept.len(), MAX_RESERVOIRS);
        drop(kept);
        for _ in 0..3 * MAX_RESERVOIRS {
            assert!(reservoir().is_some(), "those of a dropped layer make room");
        }
        assert!(exemplars.reservoirs().is_empty());
        let remembered = exemplars.reservoirs.lock().unwrap().all.len();
        assert!(remembered <= MIN_SWEEP, "{remembered} dropped reservoirs are remembered");
    }
}
