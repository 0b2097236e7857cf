//! The handle of running telemetry.

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

use super::{Undelivered, flush::Flush, shutdown};
use crate::{
    setup::{
        export::{Parts, Phase, assemble},
        settings::{SetupError, TelemetryBuilder},
    },
    stdout::{self, warn_after_shutdown},
};

/// Running telemetry, which is shut down with this value.
///
/// Hold it until the program records nothing more: until the server has finished its requests.
/// [`shutdown`] delivers what is queued and returns what was not delivered. Dropping does the same
/// within five seconds, and warns of what was not delivered.
///
/// [`shutdown`]: Self::shutdown
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped"]
pub struct Telemetry {
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    loggers: SdkLoggerProvider,
    #[cfg(feature = "prometheus")]
    prometheus: crate::pull::MetricsService,
    #[cfg(feature = "logs")]
    log_level: crate::logs::LogLevel,
    #[cfg(feature = "viewer")]
    viewer: crate::viewer::ViewerService,
    state: Mutex<State>,
    outcome: watch::Sender<Option<Result<(), Undelivered>>>,
    /// Set when `shutdown` has returned the outcome to a caller.
    is_reported: AtomicBool,
}

#[derive(Debug)]
enum State {
    Running(Box<Parts>),
    Ending(Ending),
    Ended,
}

/// The shutdown runs on a thread of its own, because it blocks.
#[derive(Debug)]
struct Ending {
    thread: Option<JoinHandle<()>>,
    phase: watch::Sender<Phase>,
}

impl Telemetry {
    /// Sets up telemetry from environment variables.
    ///
    /// # Errors
    ///
    /// See [`TelemetryBuilder::build`].
    pub fn from_env() -> Result<Self, SetupError> {
        Self::builder().build()
    }

    /// Creates a builder, which sets up telemetry from environment variables and code.
    pub fn builder() -> TelemetryBuilder {
        TelemetryBuilder::new()
    }

    pub(crate) fn new(parts: Parts) -> Self {
        stdout::begin();
        Self {
            tracers: parts.tracers.clone(),
            meters: parts.meters.clone(),
            loggers: parts.loggers.clone(),
            #[cfg(feature = "prometheus")]
            prometheus: parts.prometheus.clone(),
            #[cfg(feature = "logs")]
            log_level: parts.log_level.clone(),
            #[cfg(feature = "viewer")]
            viewer: parts.viewer.clone(),
            state: Mutex::new(State::Running(Box::new(parts))),
            outcome: watch::Sender::new(None),
            is_reported: AtomicBool::new(false),
        }
    }

    /// Returns the tracer provider. It is the global one too, unless
    /// [`without_globals`](TelemetryBuilder::without_globals) was called.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.tracers
    }

    /// Returns the meter provider. It is the global one too, unless
    /// [`without_globals`](TelemetryBuilder::without_globals) was called.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.meters
    }

    /// Returns the logger provider, for a bridge such as `logs::bridge`.
    pub fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.loggers
    }

    /// Returns the service that answers `GET /metrics`.
    ///
    /// It answers 404 if neither
    /// [`with_prometheus`](TelemetryBuilder::with_prometheus) nor
    /// `OTEL_METRICS_EXPORTER=prometheus` asked for it.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(&self) -> crate::pull::MetricsService {
        self.prometheus.clone()
    }

    /// Returns the levels of [`with_log_lines`](TelemetryBuilder::with_log_lines), which can be changed for
    /// some time: by [`LogLevel::set`](crate::logs::LogLevel::set), or over HTTP by
    /// [`LogLevel::service`](crate::logs::LogLevel::service).
    ///
    /// Without log lines a change is refused.
    #[cfg(feature = "logs")]
    pub fn log_level(&self) -> crate::logs::LogLevel {
        self.log_level.clone()
    }

    /// Returns the service of the [viewer](crate::viewer). It answers 404 if
    /// [`with_viewer`](TelemetryBuilder::with_viewer) was not called.
    #[cfg(feature = "viewer")]
    pub fn viewer(&self) -> crate::viewer::ViewerService {
        self.viewer.clone()
    }

    /// Delivers what is queued, and shuts telemetry down.
    ///
    /// All three signals share the deadline. Telemetry that is recorded from now on is lost, so
    /// call it last. Further and concurrent calls return the outcome of the first one.
    ///
    /// Receivers that have failed before and refuse connections are not waited for.
    ///
    /// # Errors
    ///
    /// Returns what was recorded and not delivered. Losses that a notice reported, and after which telemetry
    /// arrived again before this call, are not in it.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), Undelivered> {
        self.end(deadline);
        let mut outcome = self.outcome.subscribe();
        let outcome = outcome.wait_for(Option::is_some).await;
        self.is_reported.store(true, Ordering::Relaxed);
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Ok(()))
    }

    /// Abandons pending exports, if the shutdown has begun.
    pub(crate) fn give_up(&self) {
        if let State::Ending(ending) = &*self.state() {
            ending.phase.send_replace(Phase::Abandoned);
        }
    }

    /// Returns what a flush uses, while telemetry runs.
    pub(super) fn flushable(&self) -> Option<Flush> {
        let State::Running(parts) = &*self.state() else { return None };
        Some(Flush {
            tracers: parts.tracers.clone(),
            meters: parts.meters.clone(),
            loggers: parts.loggers.clone(),
            ledgers: parts.ledgers.clone(),
        })
    }

    /// Begins the shutdown, unless it has begun.
    fn end(&self, deadline: Duration) {
        let mut state = self.state();
        match mem::replace(&mut *state, State::Ended) {
            State::Running(parts) => {
                let phase = parts.phase.clone();
                let outcome = self.outcome.clone();
                let parts = Arc::new(Mutex::new(Some(parts)));
                let shared = Arc::clone(&parts);
                let thread = thread::Builder::new().name("telemetry-shutdown".to_owned());
                let thread = thread.spawn(move || finish(&shared, deadline, &outcome)).ok();
                if thread.is_none() {
                    // No thread is available, so this one blocks.
                    finish(&parts, deadline, &self.outcome);
                }
                *state = State::Ending(Ending { thread, phase });
            }
            begun => *state = begun,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TelemetryBuilder {
    /// Sets telemetry up, and installs it for the process.
    ///
    /// It may be called on any thread, inside of a runtime or not. Invalid variables are warned of.
    ///
    /// # Errors
    ///
    /// If a setting in code is invalid or needs a feature that is off; if a variable is invalid and
    /// [`with_strict_environment`](Self::with_strict_environment) was called; if `with_log_lines`
    /// was called and the process has a subscriber or a logger already; or if
    /// `with_runtime_metrics` was called and no tokio runtime runs here.
    pub fn build(self) -> Result<Telemetry, SetupError> {
        assemble(self).map(Telemetry::new)
    }
}

/// Shuts telemetry down and publishes the outcome, even after a panic.
fn finish(
    parts: &Mutex<Option<Box<Parts>>>,
    deadline: Duration,
    outcome: &watch::Sender<Option<Result<(), Undelivered>>>,
) {
    let parts = parts.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(parts) = parts else { return };
    let finished = panic::catch_unwind(AssertUnwindSafe(|| shutdown::finish(*parts, deadline)));
    stdout::end();
    outcome.send_replace(Some(finished.unwrap_or_else(|_| Err(Undelivered::unknown()))));
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.end(DEADLINE_OF_DROP);
        let state = mem::replace(&mut *self.state(), State::Ended);
        if let State::Ending(Ending { thread: Some(thread), phase }) = state {
            // A `shutdown` may have begun with a longer deadline and been dropped since.
            let end = Instant::now() + DEADLINE_OF_DROP;
            while !thread.is_finished() && Instant::now() < end {
                thread::sleep(Duration::from_millis(5));
            }
            phase.send_replace(Phase::Abandoned);
            let _ = thread.join();
        }
        if self.is_reported.load(Ordering::Relaxed) {
            return;
        }
        if let Some(Err(undelivered)) = &*self.outcome.borrow() {
            warn_after_shutdown(&undelivered.to_string());
        }
    }
}

const DEADLINE_OF_DROP: Duration = Duration::from_secs(5);
