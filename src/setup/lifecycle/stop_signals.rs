//! The signals that tell the process to stop.

use std::task::Poll;

#[cfg(unix)]
use tokio::signal::unix::{self, SignalKind};
#[cfg(windows)]
use tokio::signal::windows;

use super::Stop;
use crate::setup::export::warn;

/// Where signals come from.
pub(crate) enum StopSignals {
    /// SIGTERM and Ctrl-C, once somebody listens.
    Process(Option<Streams>),
    Other(Box<dyn FnMut() -> Stop + Send>),
}

#[cfg(unix)]
type Streams = [unix::Signal; 2];
#[cfg(windows)]
type Streams = [windows::CtrlC; 1];

impl StopSignals {
    /// From here on a signal no longer ends the process by itself.
    pub(crate) fn listen(&mut self) {
        let Self::Process(streams @ None) = self else { return };
        #[cfg(unix)]
        let heard = unix::signal(SignalKind::terminate())
            .and_then(|terminate| Ok([terminate, unix::signal(SignalKind::interrupt())?]));
        #[cfg(windows)]
        let heard = windows::ctrl_c().map(|stream| [stream]);
        match heard {
            Ok(heard) => *streams = Some(heard),
            Err(error) => warn(&format!("signals can't be heard: {error}")),
        }
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) {
        match self {
            Self::Process(Some(streams)) => {
                std::future::poll_fn(|cx| {
                    match streams.iter_mut().any(|stream| stream.poll_recv(cx).is_ready()) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                })
                .await;
            }
            Self::Process(None) => std::future::pending().await,
            Self::Other(signal) => signal().await,
        }
    }
}
