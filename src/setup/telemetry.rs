//! The guard of what was set up.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use opentelemetry_sdk::{
    logs::SdkLoggerProvider, metrics::SdkMeterProvider, trace::SdkTracerProvider,
};
use tokio::sync::watch;

use super::{SetupError, TelemetryBuilder, Undelivered, assembly::Parts, notice, shutdown};

/// Telemetry that is set up, and ends with this value.
///
/// Keep it until the program has nothing more to record: until the server has drained. [`shutdown`]
/// delivers what is under way and reports what was not delivered; dropping it does the same within
/// five seconds, and warns of what was not.
///
/// [`shutdown`]: Self::shutdown
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped"]
pub struct Telemetry {
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    loggers: SdkLoggerProvider,
    #[cfg(feature = "prometheus")]
    prometheus: crate::prometheus::MetricsService,
    state: Mutex<State>,
    outcome: watch::Sender<Option<Result<(), Undelivered>>>,
}

#[derive(Debug)]
enum State {
    Running(Box<Parts>),
    /// On a thread of its own, which may wait where no task may.
    Ending(JoinHandle<()>),
    Ended,
}

impl Telemetry {
    /// Sets up what the environment asks for.
    ///
    /// # Errors
    ///
    /// See [`TelemetryBuilder::build`].
    pub fn from_env() -> Result<Self, SetupError> {
        Self::builder().build()
    }

    /// Sets up what the environment asks for, and the code where the environment says nothing.
    pub fn builder() -> TelemetryBuilder {
        TelemetryBuilder::new()
    }

    pub(super) fn new(parts: Parts) -> Self {
        Self {
            tracers: parts.tracers.clone(),
            meters: parts.meters.clone(),
            loggers: parts.loggers.clone(),
            #[cfg(feature = "prometheus")]
            prometheus: parts.prometheus.clone(),
            state: Mutex::new(State::Running(Box::new(parts))),
            outcome: watch::Sender::new(None),
        }
    }

    /// The provider of tracers; it is the global one too, unless
    /// [`without_globals`](TelemetryBuilder::without_globals) said no.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.tracers
    }

    /// The provider of meters; it is the global one too.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.meters
    }

    /// The provider of loggers, for a bridge such as [`logs::bridge`](crate::logs::bridge).
    pub fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.loggers
    }

    /// The service that answers `GET /metrics`.
    ///
    /// It answers 404 where neither
    /// [`with_prometheus`](TelemetryBuilder::with_prometheus) nor `OTEL_METRICS_EXPORTER=prometheus`
    /// asked for it.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(&self) -> crate::prometheus::MetricsService {
        self.prometheus.clone()
    }

    /// Delivers what is under way, and ends.
    ///
    /// All three signals share the deadline. What is recorded from now on is lost, so this comes
    /// last: after the server has drained. It may be called again, and from several places; all get
    /// the outcome of the first.
    ///
    /// # Errors
    ///
    /// Tells what was recorded since the start and did not arrive.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), Undelivered> {
        self.end(deadline);
        let mut outcome = self.outcome.subscribe();
        let outcome = outcome.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Ok(()))
    }

    /// Begins the end, once.
    fn end(&self, deadline: Duration) {
        let mut state = self.state();
        match mem::replace(&mut *state, State::Ended) {
            State::Running(parts) => {
                let outcome = self.outcome.clone();
                let finish = move || {
                    outcome.send_replace(Some(shutdown::finish(*parts, deadline)));
                };
                let thread = thread::Builder::new().name("telemetry-shutdown".to_owned());
                *state = State::Ending(thread.spawn(finish).expect("a thread can be started"));
            }
            begun => *state = begun,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let is_heard = !matches!(*self.state(), State::Running(_));
        self.end(DEADLINE_OF_DROP);
        let state = mem::replace(&mut *self.state(), State::Ended);
        if let State::Ending(thread) = state {
            let _ = thread.join();
        }
        if is_heard {
            return;
        }
        if let Some(Err(undelivered)) = &*self.outcome.borrow() {
            notice::warn(&undelivered.to_string());
        }
    }
}

const DEADLINE_OF_DROP: Duration = Duration::from_secs(5);
