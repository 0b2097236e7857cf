//! Ends a server and its telemetry in order when the process is told to stop.

use std::{error, fmt, pin::Pin, time::Duration};

use tokio::{sync::watch, time};

use super::{Readiness, Telemetry, Undelivered, stop_signals::StopSignals};
use crate::stdout::warn_after_shutdown;

/// Serves until the process is told to stop, then ends the server and its telemetry in order.
///
/// 1. SIGTERM or Ctrl-C arrives. (On Windows also Ctrl-Break, and the events of a closed console
///    and of a shutdown.)
/// 2. [`Readiness`] answers `503`. Requests are served as before for a delay, in which load
///    balancers stop sending requests.
/// 3. The server accepts no more connections and finishes its requests within a time limit. Without
///    one, axum would wait forever.
/// 4. Telemetry is shut down, because nothing more is recorded.
///
/// A second signal shows impatience and ends the current step: it skips the delay and cuts requests
/// off, or abandons the delivery of telemetry. It counts as a second one if it comes a second or
/// more after the one before. Earlier repeats are the same signal, because supervisors deliver a
/// signal to the process and to its group. A server that is told to stop has at least half a
/// second, so an idle one is never cut off.
///
/// Signals are handled from the call of [`serve`](Self::serve) on. Before, they end the process.
///
/// An orchestrator has to grant the sum of all steps: with the defaults 0 + 20 + 5 seconds, of the
/// 30 seconds that Kubernetes grants.
///
/// # Example
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use std::time::Duration;
/// use tower_telemetry::{Telemetry, TelemetryLayer, setup::GracefulShutdown};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let telemetry = Telemetry::from_env()?;
/// let shutdown = GracefulShutdown::new(telemetry).with_drain(Duration::from_secs(10));
/// let app = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(TelemetryLayer::server())
///     .route_service("/readyz", shutdown.readiness());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
/// shutdown.serve(|stop| axum::serve(listener, app).with_graceful_shutdown(stop)).await?;
/// # Ok(())
/// # }
/// ```
///
/// A tonic server ends the same way: `serve(|stop| server.serve_with_shutdown(address, stop))`.
#[must_use = "nothing is served until `serve`"]
pub struct GracefulShutdown {
    telemetry: Telemetry,
    readiness: Readiness,
    delay: Duration,
    drain: Duration,
    flush: Duration,
    signals: StopSignals,
}

/// The future that tells a server to stop: it completes when the server shall accept no more
/// requests.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

impl GracefulShutdown {
    /// Creates a shutdown with the defaults: no delay, 20 seconds to finish requests, 5 seconds to
    /// deliver telemetry.
    pub fn new(telemetry: Telemetry) -> Self {
        Self {
            telemetry,
            readiness: Readiness::default(),
            delay: Duration::ZERO,
            drain: Duration::from_secs(20),
            flush: Duration::from_secs(5),
            signals: StopSignals::of_the_process(),
        }
    }

    /// Returns the service for readiness probes.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Returns the telemetry, which is shut down last.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Sets how long requests are accepted after readiness has changed to `503`: as long as load
    /// balancers need to notice.
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets how long requests in progress may take to finish: at least half a second, which an idle
    /// server needs to end.
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Sets how long the delivery of telemetry may take.
    pub fn with_flush(mut self, flush: Duration) -> Self {
        self.flush = flush;
        self
    }

    /// Stops on these signals instead of those of the process: `signal` returns the future of the
    /// next one. Signals within a second of the last one count as the same.
    pub fn with_signal<F>(mut self, mut signal: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.signals = StopSignals::custom(move || Box::pin(signal()));
        self
    }

    /// Runs the server that `serve` returns until it has ended, then shuts telemetry down.
    ///
    /// Telemetry that was not delivered is part of the value, and a notice tells the operator. It
    /// is not an error: a Collector that is down does not make a process fail that has answered all
    /// its requests.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without drivers (`enable_all`).
    ///
    /// # Errors
    ///
    /// The server's own error, or that requests were cut off, whose spans may be missing.
    pub async fn serve<S, E>(self, serve: impl FnOnce(Stop) -> S) -> Result<Served, ServeError<E>>
    where
        S: IntoFuture<Output = Result<(), E>>,
    {
        let Self { telemetry, readiness, delay, drain, flush, mut signals } = self;
        let (stopping, mut stopped) = watch::channel(false);
        let stop: Stop = Box::pin(async move {
            // An error means that the sender is gone, and the server with it.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        });
        signals.listen();
        let time_is_up = async {
            signals.next().await;
            readiness.end();
            let is_impatient = tokio::select! {
                () = time::sleep(delay) => false,
                () = signals.next() => true,
            };
            stopping.send_replace(true);
            if !is_impatient {
                tokio::select! {
                    () = time::sleep(drain.saturating_sub(LEAST_DRAIN)) => {}
                    () = signals.next() => {}
                }
            }
            time::sleep(LEAST_DRAIN).await;
        };
        let served = tokio::select! {
            biased;
            served = serve(stop).into_future() => Some(served),
            () = time_is_up => None,
        };
        let delivered = tokio::select! {
            biased;
            delivered = telemetry.shutdown(flush) => delivered,
            () = signals.next_but_first() => {
                telemetry.give_up();
                telemetry.shutdown(flush).await
            }
        };
        let undelivered = delivered.err();
        let Some(served) = served else { return Err(ServeError::CutOff(undelivered)) };
        if let Some(undelivered) = &undelivered {
            warn_after_shutdown(&undelivered.to_string());
        }
        served.map(|()| Served { undelivered }).map_err(ServeError::Server)
    }
}

impl fmt::Debug for GracefulShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GracefulShutdown")
            .field("telemetry", &self.telemetry)
            .field("readiness", &self.readiness)
            .field("delay", &self.delay)
            .field("drain", &self.drain)
            .field("flush", &self.flush)
            .finish_non_exhaustive()
    }
}

/// The outcome of [`GracefulShutdown::serve`] when all requests were finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    undelivered: Option<Undelivered>,
}

impl Served {
    /// Returns the telemetry that was not delivered, if there is some.
    pub fn undelivered(&self) -> Option<&Undelivered> {
        self.undelivered.as_ref()
    }
}

/// The error of [`GracefulShutdown::serve`].
#[non_exhaustive]
pub enum ServeError<E> {
    /// The server failed.
    Server(E),
    /// Requests had not finished within the time limit, or until a second signal. The value is the
    /// telemetry that was not delivered.
    CutOff(Option<Undelivered>),
}

/// Prints the sentence of `Display` and its source, because `fn main() -> Result<(), _>` prints
/// errors by `Debug`.
impl<E: fmt::Display> fmt::Debug for ServeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self {
            Self::Server(error) => write!(f, ": {error}"),
            Self::CutOff(_) => Ok(()),
        }
    }
}

impl<E> fmt::Display for ServeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(_) => f.write_str("the server failed"),
            Self::CutOff(None) => f.write_str("requests were cut off"),
            Self::CutOff(Some(undelivered)) => write!(f, "requests were cut off; {undelivered}"),
        }
    }
}

impl<E: error::Error + 'static> error::Error for ServeError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Server(error) => Some(error),
            Self::CutOff(_) => None,
        }
    }
}

/// The time that an idle server needs to end after it is told to stop.
const LEAST_DRAIN: Duration = Duration::from_millis(500);
