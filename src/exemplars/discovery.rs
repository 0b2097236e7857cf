//! Finds the exemplars of a meter provider that `Telemetry` has set up.
//!
//! A layer knows its provider only as a trait, and a reader does not know who records. But the SDK asks
//! the views of a provider, in the same thread, whenever an instrument is created. So the view of
//! `Telemetry` names its exemplars, and whoever is creating instruments takes them. That is exact if
//! there are several `Telemetry` in a process, or none of them is global.

use std::cell::Cell;

use super::Exemplars;

thread_local! {
    static CREATING: Cell<Creating> = const { Cell::new(Creating::Nothing) };
}

/// The state of this thread.
#[derive(Default)]
enum Creating {
    #[default]
    Nothing,
    /// Creates instruments, of a provider that has named these exemplars.
    Instruments(Option<Exemplars>),
}

/// Creates instruments, and returns the exemplars of their provider.
pub(crate) fn discover<T>(create: impl FnOnce() -> T) -> (T, Option<Exemplars>) {
    replace(Creating::Instruments(None));
    let created = create();
    match replace(Creating::Nothing) {
        Creating::Instruments(exemplars) => (created, exemplars),
        Creating::Nothing => (created, None),
    }
}

/// Names the exemplars of a provider. Its view calls this for each new instrument.
#[cfg(feature = "setup")]
pub(crate) fn announce(exemplars: &Exemplars) {
    if let Creating::Instruments(_) = replace(Creating::Nothing) {
        replace(Creating::Instruments(Some(exemplars.clone())));
    }
}

/// Does nothing while the thread shuts down: a database operation may end there.
fn replace(creating: Creating) -> Creating {
    CREATING.try_with(|cell| cell.replace(creating)).unwrap_or_default()
}

#[cfg(all(test, feature = "setup"))]
mod tests {
    use super::*;

    #[test]
    fn exemplars_are_found_only_while_instruments_are_created() {
        let exemplars = Exemplars::new();
        announce(&exemplars);
        assert!(discover(|| ()).1.is_none());
        let (_, found) = discover(|| announce(&exemplars));
        assert!(found.is_some_and(|found| found.is_same(&exemplars)));
        assert!(discover(|| ()).1.is_none());
    }
}
