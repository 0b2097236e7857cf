//! Catches the notices of all threads.

use std::{
    fmt::Debug,
    sync::{Condvar, Mutex, Once},
    time::Duration,
};

use tracing::{Event, Metadata, Subscriber, field::Field, span};

static NOTICES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static CHANGED: Condvar = Condvar::new();

/// Begins to catch.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Catcher).unwrap());
}

/// Returns the notices that contain a text, such as the address of a receiver.
pub(crate) fn about(part: &str) -> Vec<String> {
    let notices = NOTICES.lock().unwrap();
    notices.iter().filter(|notice| notice.contains(part)).cloned().collect()
}

/// Waits for a notice that begins with a text, for half a minute at most. Returns it.
#[track_caller]
pub(crate) fn wait_for(start: &str) -> String {
    let find = |notices: &[String]| notices.iter().find(|n| n.starts_with(start)).cloned();
    let notices = NOTICES.lock().unwrap();
    let limit = Duration::from_secs(30);
    let (notices, _) =
        CHANGED.wait_timeout_while(notices, limit, |notices| find(notices).is_none()).unwrap();
    find(&notices).unwrap_or_else(|| panic!("no notice {start:?}: {notices:#?}"))
}

struct Catcher;

impl Subscriber for Catcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tower_telemetry"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut |field: &Field, value: &dyn Debug| {
            if field.name() == "message" {
                NOTICES.lock().unwrap().push(format!("{value:?}"));
                CHANGED.notify_all();
            }
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
