//! From the signal to the end, in the order in which nothing is lost.

use std::{error, fmt, pin::Pin, time::Duration};

use tokio::{sync::watch, time};

use super::{Readiness, Telemetry, Undelivered, stop_signals::StopSignals};
use crate::setup::export::warn;

/// Serves until the process is told to end, and ends it in order.
///
/// 1. SIGTERM or Ctrl-C arrives.
/// 2. [`Readiness`] turns to `503`, and requests are served as before for a delay in which load
///    balancers notice.
/// 3. The server takes no more connections and finishes the requests it has, within a bound: axum by
///    itself would wait for ever.
/// 4. Telemetry is shut down, when nothing more can be recorded.
///
/// A second signal ends the wait, in whichever of these it comes. Signals are heard from the call of
/// [`serve`](Self::serve) on; before it they end the process at once, as they do without this crate.
///
/// An orchestrator has to give the time for all: with the defaults 0 + 20 + 5 seconds, of the 30 that
/// Kubernetes gives.
///
/// # Example
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use std::time::Duration;
/// use tower_telemetry::{Telemetry, TelemetryLayer, setup::GracefulShutdown};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let shutdown = GracefulShutdown::new(Telemetry::from_env()?).with_drain(Duration::from_secs(10));
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
/// A tonic server ends in the same way: `serve(|stop| server.serve_with_shutdown(address, stop))`.
#[must_use = "nothing is served until `serve`"]
pub struct GracefulShutdown {
    telemetry: Telemetry,
    readiness: Readiness,
    delay: Duration,
    drain: Duration,
    flush: Duration,
    signals: StopSignals,
}

/// The future that tells a server to stop: it is done when the server is to take no more requests.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

impl GracefulShutdown {
    /// With the defaults: no delay, 20 seconds to drain, 5 seconds to deliver telemetry.
    pub fn new(telemetry: Telemetry) -> Self {
        Self {
            telemetry,
            readiness: Readiness::default(),
            delay: Duration::ZERO,
            drain: Duration::from_secs(20),
            flush: Duration::from_secs(5),
            signals: StopSignals::Process(None),
        }
    }

    /// The service for readiness probes.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// The telemetry that ends last.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// How long requests are still taken after readiness has turned to `503`: as long as load
    /// balancers need to notice.
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How long the requests under way may take to finish.
    pub fn with_drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// How long the delivery of telemetry may take.
    pub fn with_flush(mut self, flush: Duration) -> Self {
        self.flush = flush;
        self
    }

    /// Ends on these signals instead of SIGTERM and Ctrl-C: a function that makes the future of the
    /// next one.
    pub fn with_signal<F>(mut self, mut signal: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.signals = StopSignals::Other(Box::new(move || Box::pin(signal())));
        self
    }

    /// Runs the server that `serve` makes until it has ended, then shuts telemetry down.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without drivers (`enable_all`).
    ///
    /// # Errors
    ///
    /// The server's own error; or that requests were cut off, whose spans may be missing; or what
    /// telemetry was not delivered. A `main` that passes on the last makes the process fail for a
    /// Collector that is down, though all requests were served: log it instead, where that matters.
    pub async fn serve<S, E>(self, serve: impl FnOnce(Stop) -> S) -> Result<(), ServeError<E>>
    where
        S: IntoFuture<Output = Result<(), E>>,
    {
        let Self { telemetry, readiness, delay, drain, flush, mut signals } = self;
        let (stopping, mut stopped) = watch::channel(false);
        let stop: Stop = Box::pin(async move {
            // An error says that the server is gone, and nobody to be stopped.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        });
        signals.listen();
        let told = async {
            signals.next().await;
            readiness.end();
            tokio::select! {
                () = time::sleep(delay) => {}
                // Whoever repeats it has no patience: neither for this nor for what follows.
                () = signals.next() => return,
            }
            stopping.send_replace(true);
            tokio::select! {
                () = time::sleep(drain) => {}
                () = signals.next() => {}
            }
        };
        let served = tokio::select! {
            biased;
            served = serve(stop).into_future() => Some(served),
            () = told => None,
        };
        let delivered = tokio::select! {
            biased;
            delivered = telemetry.shutdown(flush) => delivered,
            () = signals.next() => {
                telemetry.give_up();
                telemetry.shutdown(flush).await
            }
        };
        match (served, delivered) {
            (Some(Err(error)), Err(undelivered)) => {
                warn(&undelivered.to_string());
                Err(ServeError::Server(error))
            }
            (Some(Err(error)), Ok(())) => Err(ServeError::Server(error)),
            (Some(Ok(())), Err(undelivered)) => Err(ServeError::Undelivered(undelivered)),
            (None, delivered) => Err(ServeError::CutOff(delivered.err())),
            (Some(Ok(())), Ok(())) => Ok(()),
        }
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

/// How [`GracefulShutdown::serve`] can end otherwise than in order.
#[non_exhaustive]
pub enum ServeError<E> {
    /// The server failed.
    Server(E),
    /// Requests were still under way when the time to drain was over, and with them what telemetry
    /// was not delivered.
    CutOff(Option<Undelivered>),
    /// All requests were finished, but not all telemetry was delivered.
    Undelivered(Undelivered),
}

/// Prints the sentence of `Display` and its source, because `fn main() -> Result<(), _>` prints errors
/// by `Debug`.
impl<E: fmt::Display> fmt::Debug for ServeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self {
            Self::Server(error) => write!(f, ": {error}"),
            Self::CutOff(_) | Self::Undelivered(_) => Ok(()),
        }
    }
}

impl<E> fmt::Display for ServeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(_) => f.write_str("the server failed"),
            Self::CutOff(None) => f.write_str("requests were cut off"),
            Self::CutOff(Some(undelivered)) => write!(f, "requests were cut off; {undelivered}"),
            Self::Undelivered(undelivered) => undelivered.fmt(f),
        }
    }
}

impl<E: error::Error + 'static> error::Error for ServeError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Server(error) => Some(error),
            Self::CutOff(_) | Self::Undelivered(_) => None,
        }
    }
}
