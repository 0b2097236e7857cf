//! From the error of a connection to the reason for which no answer came.

use std::{error::Error, io};

use super::{connector::NoSuchHost, export_failure::Obstacle};
use crate::error_sources::sources;

impl Obstacle {
    /// Finds the reason among the error's sources, by their types.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut reason = None;
        for source in sources(error, |_| None) {
            // The innermost source is the most exact.
            reason = of_source(source).or(reason);
        }
        reason.unwrap_or_else(|| Self::Other(innermost(error).to_string()))
    }
}

fn of_source(source: &(dyn Error + 'static)) -> Option<Obstacle> {
    if source.is::<NoSuchHost>() {
        return Some(Obstacle::NoSuchHost);
    }
    #[cfg(feature = "setup-tls")]
    if let Some(error) = source.downcast_ref::<rustls::Error>() {
        return Some(Obstacle::Tls(match error {
            rustls::Error::InvalidMessage(_) => "the receiver does not speak TLS".to_owned(),
            error => error.to_string(),
        }));
    }
    if let Some(error) = source.downcast_ref::<hyper::Error>() {
        return of_hyper(error);
    }
    let error = source.downcast_ref::<io::Error>()?;
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Obstacle::Refused),
        // A layer above may have kept only the kind and the text. This kind is that of rustls.
        io::ErrorKind::InvalidData => Some(Obstacle::Tls(error.to_string())),
        io::ErrorKind::TimedOut => Some(Obstacle::Other("timed out".to_owned())),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(Obstacle::Closed),
        _ => None,
    }
}

fn of_hyper(error: &hyper::Error) -> Option<Obstacle> {
    if error.is_parse() {
        return Some(Obstacle::NotHttp);
    }
    let is_closed = error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || error.is_body_write_aborted();
    if is_closed {
        return Some(Obstacle::Closed);
    }
    // An error of h2: a frame that is none, or a connection that ended.
    let frames = error.source().and_then(|source| source.downcast_ref::<h2::Error>())?;
    if let Some(error) = frames.get_io() {
        return Some(of_source(error).unwrap_or(Obstacle::Closed));
    }
    Some(match frames.reason() {
        Some(h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR) => Obstacle::NotHttp,
        _ => Obstacle::Closed,
    })
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    sources(error, |_| None).last().unwrap_or(error)
}
