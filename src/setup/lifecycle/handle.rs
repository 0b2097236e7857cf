//! The guard of what was set up.

use std::{
    mem,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    logs::SdkLoggerProvider, metrics::SdkMeterProvider, trace::SdkTracerProvider,
};
use tokio::sync::watch;

use super::{Undelivered, shutdown};
use crate::setup::{
    export::{Parts, assemble, warn},
    settings::{SetupError, TelemetryBuilder},
};

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
    /// Whether somebody has been given the outcome.
    is_told: AtomicBool,
}

#[derive(Debug)]
enum State {
    Running(Box<Parts>),
    Ending(Ending),
    Ended,
}

/// The end is on a thread of its own, which may wait where no task may.
#[derive(Debug)]
struct Ending {
    thread: Option<JoinHandle<()>>,
    abandon: watch::Sender<bool>,
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

    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            tracers: parts.tracers.clone(),
            meters: parts.meters.clone(),
            loggers: parts.loggers.clone(),
            #[cfg(feature = "prometheus")]
            prometheus: parts.prometheus.clone(),
            state: Mutex::new(State::Running(Box::new(parts))),
            outcome: watch::Sender::new(None),
            is_told: AtomicBool::new(false),
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

    /// The provider of loggers, for a bridge such as `logs::bridge`.
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
        self.is_told.store(true, Ordering::Relaxed);
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Ok(()))
    }

    /// Waits for telemetry no longer.
    pub(crate) fn give_up(&self) {
        if let State::Ending(ending) = &*self.state() {
            ending.abandon.send_replace(true);
        }
    }

    /// Begins the end, once.
    fn end(&self, deadline: Duration) {
        let mut state = self.state();
        match mem::replace(&mut *state, State::Ended) {
            State::Running(parts) => {
                let abandon = parts.abandon.clone();
                let outcome = self.outcome.clone();
                let parts = Arc::new(Mutex::new(Some(parts)));
                let shared = Arc::clone(&parts);
                let thread = thread::Builder::new().name("telemetry-shutdown".to_owned());
                let thread = thread.spawn(move || finish(&shared, deadline, &outcome)).ok();
                if thread.is_none() {
                    // No thread can be had: then it is this one that waits.
                    finish(&parts, deadline, &self.outcome);
                }
                *state = State::Ending(Ending { thread, abandon });
            }
            begun => *state = begun,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TelemetryBuilder {
    /// Sets it all up.
    ///
    /// It may be called from any thread, within any runtime or none.
    ///
    /// # Errors
    ///
    /// If a variable or a setting can't be meant, if a feature is missing for what is asked for, or
    /// if a subscriber is installed already and `with_log_lines` wants to install one.
    pub fn build(self) -> Result<Telemetry, SetupError> {
        assemble(self).map(Telemetry::new)
    }
}

/// Whoever waits for the outcome gets one, whatever happens here.
fn finish(
    parts: &Mutex<Option<Box<Parts>>>,
    deadline: Duration,
    outcome: &watch::Sender<Option<Result<(), Undelivered>>>,
) {
    let parts = parts.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(parts) = parts else { return };
    let finished = panic::catch_unwind(AssertUnwindSafe(|| shutdown::finish(*parts, deadline)));
    outcome.send_replace(Some(finished.unwrap_or_else(|_| Err(Undelivered::unknown()))));
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.end(DEADLINE_OF_DROP);
        let state = mem::replace(&mut *self.state(), State::Ended);
        if let State::Ending(Ending { thread: Some(thread), abandon }) = state {
            // A `shutdown` may have begun with a longer deadline, for which nobody waits any more.
            let end = Instant::now() + DEADLINE_OF_DROP;
            while !thread.is_finished() && Instant::now() < end {
                thread::sleep(Duration::from_millis(5));
            }
            abandon.send_replace(true);
            let _ = thread.join();
        }
        if self.is_told.load(Ordering::Relaxed) {
            return;
        }
        if let Some(Err(undelivered)) = &*self.outcome.borrow() {
            warn(&undelivered.to_string());
        }
    }
}

const DEADLINE_OF_DROP: Duration = Duration::from_secs(5);
