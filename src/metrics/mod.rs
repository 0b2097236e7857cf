//! RED metrics: rate, errors and duration of exchanges, and how many are active.

mod cached_series;
mod call_series;
mod metrics_layer;
mod own_instruments;
mod recorder;
mod series_budget;
mod series_cache;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use http::request;
use opentelemetry::{Key, metrics::Meter};

pub use self::metrics_layer::MetricsLayer;
use self::recorder::{Measurements, Recorder};
use crate::{
    convention::rules::Rules,
    end::End,
    exemplars::{Exemplars, Sampled},
    observe::{Claim, Contains, Exchange, Observer},
    providers::{Retry, global_meter},
};

/// The observer of a [`MetricsLayer`].
///
/// Its options are methods of [`ObserveLayer`](crate::observe::ObserveLayer).
#[derive(Default)]
pub struct MetricsObserver {
    options: MetricsOptions,
    recorder: OnceLock<Recorder>,
    /// When to look for a global provider.
    retry: Retry,
}

#[derive(Clone)]
struct MetricsOptions {
    meter: Option<Meter>,
    has_body_sizes: bool,
    exemplars: Option<Exemplars>,
    counts_request_bodies: bool,
    times_first_byte: bool,
    dropped: Vec<Key>,
    binds: bool,
    duration_boundaries: Vec<f64>,
    body_size_boundaries: Vec<f64>,
    series_limit: usize,
}

impl MetricsObserver {
    /// Returns the recorder, if there is a provider.
    #[inline]
    fn recorder(&self, rules: &Arc<Rules>) -> Option<&Recorder> {
        self.recorder.get().or_else(|| self.find_recorder(rules))
    }

    fn find_recorder(&self, rules: &Arc<Rules>) -> Option<&Recorder> {
        let meter = match &self.options.meter {
            Some(meter) => meter.clone(),
            None if self.retry.skips() => return None,
            None => {
                let meter = global_meter();
                self.retry.answered(meter.is_none());
                meter?
            }
        };
        Some(self.recorder.get_or_init(|| Recorder::new(&self.options, rules, &meter)))
    }
}

impl Clone for MetricsObserver {
    /// Clones the options. The clone makes instruments of its own.
    fn clone(&self) -> Self {
        Self { options: self.options.clone(), ..Self::default() }
    }
}

impl Default for MetricsOptions {
    fn default() -> Self {
        Self {
            meter: None,
            has_body_sizes: false,
            exemplars: None,
            counts_request_bodies: false,
            times_first_byte: false,
            dropped: Vec::new(),
            binds: false,
            duration_boundaries: DURATION_BOUNDARIES.to_vec(),
            body_size_boundaries: BODY_SIZE_BOUNDARIES.to_vec(),
            series_limit: DEFAULT_SERIES_LIMIT,
        }
    }
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsObserver")
            .field("has_body_sizes", &self.options.has_body_sizes)
            .finish_non_exhaustive()
    }
}

impl Contains<Self> for MetricsObserver {
    fn observer_mut(&mut self) -> &mut Self {
        self
    }
}

/// The state of a [`MetricsObserver`]: an exchange that is counted as active.
#[derive(Debug)]
pub struct MetricsState {
    /// The count among the active requests. `None` for a gRPC call.
    active: Option<Active>,
}

/// The count of an exchange among the active requests.
#[derive(Debug, Clone, Copy)]
struct Active {
    is_reduced: bool,
}

impl Observer for MetricsObserver {
    type State = MetricsState;

    fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut request::Parts,
    ) -> Option<MetricsState> {
        if !exchange.is_recorded() {
            exchange.claim(Claim::Metrics);
            return None;
        }
        // No provider here: leave the signal to an inner layer that has one.
        let recorder = self.recorder(exchange.rules())?;
        if !exchange.claim(Claim::Metrics) {
            return None;
        }
        if self.options.counts_request_bodies {
            exchange.count_request_body(head);
        } else if self.options.has_body_sizes {
            exchange.read_body_size(head);
        }
        if recorder.has_exemplars() {
            exchange.remember_sampled_context();
        }
        if self.options.times_first_byte {
            exchange.measure_first_byte();
        }
        exchange.read_request(head);
        let active = recorder.begin(exchange.rules(), exchange.facts()?);
        Some(MetricsState { active })
    }

    fn on_end(&self, exchange: &Exchange, _: &End<'_>, state: MetricsState) {
        let (rules, Some(facts)) = (exchange.rules(), exchange.facts()) else { return };
        let Some(recorder) = self.recorder(rules) else { return };
        if let Some(active) = state.active {
            recorder.end(rules, facts, active);
        }
        let measured = Measurements {
            seconds: exchange.elapsed().as_secs_f64(),
            response_size: exchange.response_body_size(),
            sampled: if recorder.has_exemplars() { sampled(exchange) } else { None },
            first_byte: exchange.time_to_first_byte().map(|time| time.as_secs_f64()),
        };
        recorder.record(rules, facts, &measured);
    }
}

/// Returns the span of an exchange that has ended, if it is sampled.
#[inline]
fn sampled(exchange: &Exchange) -> Option<Sampled> {
    exchange.with_span(|span| Sampled::of(span.span_context(), || exchange.ended_at()))?
}

/// The SDK's default limit of series per metric.
const DEFAULT_SERIES_LIMIT: usize = 2000;

/// Seconds (semantic conventions, `http.server.request.duration`).
const DURATION_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Bytes: zero, then powers of four up to one gibibyte. The semantic conventions advise none, and the
/// SDK's default boundaries end at 10 000.
const BODY_SIZE_BOUNDARIES: [f64; 13] = [
    0.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262144.0,
    1048576.0,
    4194304.0,
    16777216.0,
    67108864.0,
    268435456.0,
    1073741824.0,
];
