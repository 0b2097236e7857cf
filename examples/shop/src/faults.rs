//! Faults on demand: `PUT /fault` with `none`, `slow`, `errors` or `dead`.

use std::{
    fmt, panic,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::StatusCode,
    routing::{MethodRouter, put},
};
use tokio::time;

/// The fault of a process, which all its calls share.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    current: Arc<Mutex<Fault>>,
    may_be_dead: bool,
}

#[derive(Clone, Copy, Default)]
enum Fault {
    #[default]
    None,
    /// Each call takes longer.
    Slow,
    /// Half of the calls fail.
    Errors,
    /// Connections are closed without an answer.
    Dead,
}

impl Faults {
    /// Allows `dead`, too: for a server with one task per connection, which a call takes down.
    pub(crate) fn with_dead(self) -> Self {
        Self { may_be_dead: true, ..self }
    }

    /// Returns the handler that sets the fault.
    pub(crate) fn route(&self) -> MethodRouter {
        let faults = self.clone();
        put(|name: String| async move { faults.set(name.trim()) })
    }

    /// Affects a call as the fault says.
    pub(crate) async fn strike(&self) -> Result<(), Broken> {
        let fault = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Fault::None => {}
            Fault::Slow => time::sleep(DELAY).await,
            Fault::Errors if fastrand::bool() => return Err(Broken),
            Fault::Errors => {}
            // Unwinds without the message of a panic.
            Fault::Dead => panic::resume_unwind(Box::new(Broken)),
        }
        Ok(())
    }

    fn set(&self, name: &str) -> (StatusCode, String) {
        let fault = match name {
            "none" => Fault::None,
            "slow" => Fault::Slow,
            "errors" => Fault::Errors,
            "dead" if self.may_be_dead => Fault::Dead,
            _ => return (StatusCode::BAD_REQUEST, format!("there is no fault {name:?} here\n")),
        };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        tracing::warn!(fault = name, "fault set");
        (StatusCode::OK, format!("{name}\n"))
    }
}

/// The error of a call that a fault broke.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken on demand")
    }
}

const DELAY: Duration = Duration::from_millis(800);
