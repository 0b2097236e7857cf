//! Observable instruments that share one reading of their source per collection.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter},
};

/// A running observation of a pool, a process or a runtime.
///
/// Dropping it changes nothing: the metrics are reported for as long as the meter provider lives.
/// [`stop`](Self::stop) ends them earlier.
pub struct Observation {
    reading: Arc<dyn Stop>,
}

impl Observation {
    /// Stops reporting, and drops the closure or the handle that was observed.
    ///
    /// It waits for a collection that is reading at this moment. Calling it in the observed closure
    /// itself blocks forever.
    pub fn stop(self) {
        self.reading.stop();
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observation")
    }
}

/// One metric: its descriptor, and how its points follow from a reading.
pub(super) struct Metric<T> {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) description: &'static str,
    pub(super) points: Points<T>,
}

/// A value, and the attribute that tells it from the other values of its metric.
pub(super) type Point<N> = (N, Option<KeyValue>);

/// Returns the one point of a metric, or none without a value.
pub(super) fn single<N>(value: impl Into<Option<N>>) -> Vec<Point<N>> {
    value.into().map(|value| (value, None)).into_iter().collect()
}

/// Converts a number to the type of up-down counters.
pub(super) fn signed(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

type ToPoints<T, N> = fn(&T) -> Vec<Point<N>>;

/// The kind of a metric, with the function from a reading to its points.
pub(super) enum Points<T> {
    Counter(ToPoints<T, u64>),
    #[cfg(any(feature = "process", feature = "tokio"))]
    Seconds(ToPoints<T, f64>),
    UpDownCounter(ToPoints<T, i64>),
    #[cfg(feature = "process")]
    Gauge(ToPoints<T, f64>),
}

/// Registers `metrics`, whose points carry `common` and follow from what `read` returns.
///
/// `read` runs on the thread that collects, once per collection.
pub(super) fn observe<T: Send + 'static>(
    meter: &Meter,
    common: &[KeyValue],
    metrics: Vec<Metric<T>>,
    read: impl FnMut() -> T + Send + 'static,
) -> Observation {
    let reading = Arc::new(Reading::new(read));
    for (instrument, metric) in metrics.into_iter().enumerate() {
        let Metric { name, unit, description, points } = metric;
        let source = Source { reading: Arc::clone(&reading), instrument, common: common.to_vec() };
        match points {
            Points::Counter(points) => {
                let builder = meter.u64_observable_counter(name).with_unit(unit);
                let builder = builder.with_description(description);
                builder.with_callback(move |observer| source.observe(points, observer)).build();
            }
            #[cfg(any(feature = "process", feature = "tokio"))]
            Points::Seconds(points) => {
                let builder = meter.f64_observable_counter(name).with_unit(unit);
                let builder = builder.with_description(description);
                builder.with_callback(move |observer| source.observe(points, observer)).build();
            }
            Points::UpDownCounter(points) => {
                let builder = meter.i64_observable_up_down_counter(name).with_unit(unit);
                let builder = builder.with_description(description);
                builder.with_callback(move |observer| source.observe(points, observer)).build();
            }
            #[cfg(feature = "process")]
            Points::Gauge(points) => {
                let builder = meter.f64_observable_gauge(name).with_unit(unit);
                let builder = builder.with_description(description);
                builder.with_callback(move |observer| source.observe(points, observer)).build();
            }
        }
    }
    Observation { reading }
}

/// The data of one instrument's callback.
struct Source<T> {
    reading: Arc<Reading<T>>,
    instrument: usize,
    common: Vec<KeyValue>,
}

impl<T> Source<T> {
    fn observe<N>(&self, points: ToPoints<T, N>, observer: &dyn AsyncInstrument<N>) {
        let points = self.reading.with(self.instrument, points).unwrap_or_default();
        for (value, attribute) in points {
            let attributes: Vec<_> = self.common.iter().cloned().chain(attribute).collect();
            observer.observe(value, &attributes);
        }
    }
}

/// A value that is read once per collection.
///
/// The API has one callback per instrument and doesn't tell where a collection begins. So a reading
/// is shared until an instrument asks for it a second time, or until it is too old. The age limit
/// is for readers whose views drop some of the instruments.
struct Reading<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// `None` once the observation was stopped.
    read: Option<Box<dyn FnMut() -> T + Send>>,
    last: Option<Last<T>>,
}

struct Last<T> {
    /// `None` where the source panicked.
    value: Option<T>,
    at: Instant,
    /// Instruments that have used the value, one bit each.
    used_by: u64,
}

impl<T> Reading<T> {
    fn new(read: impl FnMut() -> T + Send + 'static) -> Self {
        Self { state: Mutex::new(State { read: Some(Box::new(read)), last: None }) }
    }

    /// Applies `f` to the reading of this collection.
    fn with<R>(&self, instrument: usize, f: impl FnOnce(&T) -> R) -> Option<R> {
        let mut state = self.lock();
        let State { read, last } = &mut *state;
        let read = read.as_mut()?;
        let bit = 1 << instrument;
        let last = match last {
            Some(last) if last.used_by & bit == 0 && last.at.elapsed() < MAX_AGE => last,
            last => {
                // A panic in a callback would poison the SDK's pipeline: no metric at all would be
                // collected any more.
                let value = panic::catch_unwind(AssertUnwindSafe(read)).ok();
                last.insert(Last { value, at: Instant::now(), used_by: 0 })
            }
        };
        last.used_by |= bit;
        last.value.as_ref().map(f)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An observation without the type of its reading.
trait Stop: Send + Sync {
    fn stop(&self);
}

impl<T: Send> Stop for Reading<T> {
    fn stop(&self) {
        let (read, last) = {
            let mut state = self.lock();
            (state.read.take(), state.last.take())
        };
        // Outside of the lock: dropping a pool runs code of others.
        drop((read, last));
    }
}

/// Collections take milliseconds, and readers collect every few seconds at most.
const MAX_AGE: Duration = Duration::from_millis(500);
