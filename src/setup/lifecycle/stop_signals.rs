//! The signals that tell the process to stop.

use std::{io, task::Poll, time::Duration};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{self, CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
use tokio::time::Instant;

use super::Stop;
use crate::stdout::warn;

/// Signals of the process, or those of the user. Repeats within a second are one signal, because
/// supervisors deliver a signal twice: to the process and to its group.
pub(crate) struct StopSignals {
    source: Source,
    last: Option<Instant>,
}

enum Source {
    /// SIGTERM and Ctrl-C, after `listen`.
    Process(Option<Streams>),
    Custom(Box<dyn FnMut() -> Stop + Send>),
}

impl StopSignals {
    pub(crate) fn of_the_process() -> Self {
        Self { source: Source::Process(None), last: None }
    }

    pub(crate) fn custom(signal: impl FnMut() -> Stop + Send + 'static) -> Self {
        Self { source: Source::Custom(Box::new(signal)), last: None }
    }

    /// Handles signals from here on. Before, they end the process.
    pub(crate) fn listen(&mut self) {
        let Source::Process(streams @ None) = &mut self.source else { return };
        match Streams::open() {
            Ok(opened) => *streams = Some(opened),
            Err(error) => warn(&format!(
                "signals of the process cannot be handled: {error}; \
                 `GracefulShutdown::with_signal` sets another source"
            )),
        }
    }

    /// Waits for the next signal that does not repeat the last one.
    pub(crate) async fn next(&mut self) {
        loop {
            self.source.next().await;
            let is_repeat = self.last.is_some_and(|last| last.elapsed() < REPEAT);
            if !is_repeat {
                self.last = Some(Instant::now());
                return;
            }
        }
    }

    /// Waits for a signal after the one that told the process to stop, whether that came or not.
    pub(crate) async fn next_but_first(&mut self) {
        if self.last.is_none() {
            self.next().await;
        }
        self.next().await;
    }
}

impl Source {
    async fn next(&mut self) {
        match self {
            Self::Process(Some(streams)) => std::future::poll_fn(|cx| streams.poll(cx)).await,
            Self::Process(None) => std::future::pending().await,
            Self::Custom(signal) => signal().await,
        }
    }
}

#[cfg(unix)]
struct Streams([Signal; 2]);

#[cfg(unix)]
impl Streams {
    fn open() -> io::Result<Self> {
        Ok(Self([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]))
    }

    fn poll(&mut self, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let is_ready = |stream: &mut Signal| stream.poll_recv(cx).is_ready();
        if self.0.iter_mut().any(is_ready) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(windows)]
struct Streams {
    c: CtrlC,
    r#break: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

#[cfg(windows)]
impl Streams {
    fn open() -> io::Result<Self> {
        Ok(Self {
            c: windows::ctrl_c()?,
            r#break: windows::ctrl_break()?,
            close: windows::ctrl_close()?,
            shutdown: windows::ctrl_shutdown()?,
        })
    }

    fn poll(&mut self, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let is_ready = self.c.poll_recv(cx).is_ready()
            || self.r#break.poll_recv(cx).is_ready()
            || self.close.poll_recv(cx).is_ready()
            || self.shutdown.poll_recv(cx).is_ready();
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A target without signals.
#[cfg(not(any(unix, windows)))]
struct Streams(std::convert::Infallible);

#[cfg(not(any(unix, windows)))]
impl Streams {
    fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn poll(&mut self, _: &mut std::task::Context<'_>) -> Poll<()> {
        match self.0 {}
    }
}

const REPEAT: Duration = Duration::from_secs(1);
