//! Saturation of a service: how many wait for it, how long, and how many are turned away.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use opentelemetry::{
    KeyValue, StringValue,
    metrics::{Counter, Histogram, Meter, MeterProvider, UpDownCounter},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    SaturationFuture, rejection,
    resource_names::{
        ERROR_TYPE, SERVICE_NAME, SERVICE_REJECTED, SERVICE_WAIT_DURATION, SERVICE_WAITING,
    },
};
use crate::providers::LazyInstruments;

/// Measures how long callers wait until a service is ready, and how many it rejects.
///
/// Put it directly outside of what limits: tower's `ConcurrencyLimit`, `RateLimit`, `Buffer` or
/// `LoadShed`. Requests are of any type.
///
/// # Example
///
/// ```
/// use tower::{ServiceBuilder, limit::ConcurrencyLimitLayer, service_fn};
/// use tower_telemetry::resources::SaturationLayer;
///
/// let service = ServiceBuilder::new()
///     .layer(SaturationLayer::new("checkout"))
///     .layer(ConcurrencyLimitLayer::new(100))
///     .service(service_fn(|n: u32| async move { Ok::<_, std::io::Error>(n) }));
/// ```
///
/// # What is emitted
///
/// | instrument | kind | unit | |
/// |---|---|---|---|
/// | `tower.service.waiting` | up-down counter | `{request}` | callers that wait at this moment |
/// | `tower.service.wait.duration` | histogram | `s` | time until the service was ready; 0 if it was at once |
/// | `tower.service.rejected` | counter | `{request}` | callers that were turned away |
///
/// There are no conventions for tower, so the names are those of this crate. Each has the attribute
/// `tower.service.name`; the last two have `error.type`:
///
/// | what happened | duration | rejected |
/// |---|---|---|
/// | the service became ready | one, without `error.type` | – |
/// | the caller went away while waiting | one, `cancelled` | – |
/// | `poll_ready` failed | one, with the kind of the error | one, of the same kind |
/// | the call failed, as `LoadShed` does and a `Buffer` that is closed | – | one: `overloaded`, `closed` |
///
/// The kinds are `overloaded` (`LoadShed`), `closed` (`Buffer`), else the name of the error's type,
/// or `_OTHER` if it is boxed. The last row and the two kinds need the feature `tower`. Only the
/// error itself is looked at, not its sources: a rejection of a service further inside isn't one of
/// this service, unless its error is returned as it is.
///
/// While `poll_ready` is pending, one caller is counted for each clone of the service. A service
/// that is shared by a queue, such as a [`Buffer`](https://docs.rs/tower/latest/tower/buffer)
/// outside of this layer, waits as one caller.
///
/// # Cardinality
///
/// One series for each name and kind. Names are yours.
#[derive(Clone)]
pub struct SaturationLayer {
    shared: Arc<Shared>,
}

impl SaturationLayer {
    /// Creates a layer for a service of this name, the value of `tower.service.name`.
    pub fn new(name: impl Into<StringValue>) -> Self {
        let name = KeyValue::new(SERVICE_NAME, Arc::<str>::from(name.into().as_str()));
        Self {
            shared: Arc::new(Shared {
                name,
                instruments: LazyInstruments::of_global(Instruments::new),
            }),
        }
    }

    /// Uses this provider instead of the global one, which is looked up at the first request.
    ///
    /// A global provider without any state, as a type of your own that forwards to a `static`, is
    /// taken for none: give it here.
    #[must_use]
    pub fn with_meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + ?Sized,
    {
        let instruments = LazyInstruments::of(provider, Instruments::new);
        let shared = Shared { name: self.shared.name.clone(), instruments };
        Self { shared: Arc::new(shared) }
    }
}

impl<S> Layer<S> for SaturationLayer {
    type Service = Saturation<S>;

    fn layer(&self, inner: S) -> Saturation<S> {
        Saturation { inner, shared: Arc::clone(&self.shared), state: State::Idle }
    }
}

impl fmt::Debug for SaturationLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaturationLayer").field("name", &self.shared.name.value).finish()
    }
}

/// The service of a [`SaturationLayer`].
pub struct Saturation<S> {
    inner: S,
    shared: Arc<Shared>,
    state: State,
}

/// The state of a caller between two calls.
enum State {
    /// Nobody has asked whether the service is ready.
    Idle,
    Waiting(Wait),
    /// The wait was recorded, and the call has not come yet.
    Ready,
}

impl<S> Saturation<S> {
    /// Returns the service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the service inside, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<S, Request> Service<Request> for Saturation<S>
where
    S: Service<Request>,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = SaturationFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let polled = self.inner.poll_ready(cx);
        if polled.is_pending() {
            if !matches!(self.state, State::Waiting(_)) {
                self.state = State::Waiting(Wait::begin(Arc::clone(&self.shared)));
            }
            return Poll::Pending;
        }
        let result = ready!(polled);
        let next = if result.is_ok() { State::Ready } else { State::Idle };
        let kind = result.as_ref().err().map(rejection::kind_or_type);
        match std::mem::replace(&mut self.state, next) {
            // Asked once more before its call.
            State::Ready if kind.is_none() => return Poll::Ready(result),
            State::Waiting(wait) => wait.end(kind.clone()),
            State::Idle | State::Ready => self.shared.record_wait(Duration::ZERO, kind.clone()),
        }
        if let Some(kind) = kind {
            self.shared.count_rejected(kind);
        }
        Poll::Ready(result)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.state = State::Idle;
        SaturationFuture::new(self.inner.call(request), Arc::clone(&self.shared))
    }
}

/// A clone starts without a wait.
impl<S: Clone> Clone for Saturation<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared), state: State::Idle }
    }
}

impl<S: fmt::Debug> fmt::Debug for Saturation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saturation").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// A caller that waits. If it is dropped, the caller went away.
struct Wait {
    shared: Arc<Shared>,
    since: Instant,
    /// True if it was counted when it began, and has not ended.
    is_counted: bool,
}

impl Wait {
    fn begin(shared: Arc<Shared>) -> Self {
        let is_counted = shared.count_waiting(1);
        Self { shared, since: Instant::now(), is_counted }
    }

    fn end(mut self, kind: Option<StringValue>) {
        self.record(kind);
    }

    fn record(&mut self, kind: Option<StringValue>) {
        if std::mem::take(&mut self.is_counted) {
            self.shared.count_waiting(-1);
            self.shared.record_wait(self.since.elapsed(), kind);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.record(Some("cancelled".into()));
    }
}

/// The state that all services of a layer share.
pub(super) struct Shared {
    name: KeyValue,
    instruments: LazyInstruments<Instruments>,
}

struct Instruments {
    waiting: UpDownCounter<i64>,
    wait: Histogram<f64>,
    rejected: Counter<u64>,
}

impl Shared {
    /// Returns whether there is somebody to count for.
    fn count_waiting(&self, n: i64) -> bool {
        let Some(instruments) = self.instruments.get() else { return false };
        instruments.waiting.add(n, std::slice::from_ref(&self.name));
        true
    }

    fn record_wait(&self, time: Duration, kind: Option<StringValue>) {
        let Some(instruments) = self.instruments.get() else { return };
        let seconds = time.as_secs_f64();
        match kind {
            None => instruments.wait.record(seconds, std::slice::from_ref(&self.name)),
            Some(kind) => instruments.wait.record(seconds, &self.attributes(kind)),
        }
    }

    pub(super) fn count_rejected(&self, kind: StringValue) {
        let Some(instruments) = self.instruments.get() else { return };
        instruments.rejected.add(1, &self.attributes(kind));
    }

    fn attributes(&self, kind: StringValue) -> [KeyValue; 2] {
        [self.name.clone(), KeyValue::new(ERROR_TYPE, kind)]
    }
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        Self {
            waiting: meter
                .i64_up_down_counter(SERVICE_WAITING)
                .with_unit("{request}")
                .with_description("Callers that wait until the service is ready.")
                .build(),
            wait: meter
                .f64_histogram(SERVICE_WAIT_DURATION)
                .with_unit("s")
                .with_description("Time until the service was ready.")
                .with_boundaries(BOUNDARIES.to_vec())
                .build(),
            rejected: meter
                .u64_counter(SERVICE_REJECTED)
                .with_unit("{request}")
                .with_description("Callers that were turned away.")
                .build(),
        }
    }
}

/// Seconds.
pub(super) const BOUNDARIES: [f64; 12] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
