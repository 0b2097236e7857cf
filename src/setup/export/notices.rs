//! The texts of notices about delivery: the cause, whether telemetry is kept or lost, and what to
//! do.

use std::time::Duration;

use super::otlp::ExportFailure;
use crate::setup::settings::Signal;

/// The way of a signal to its receiver, as notices tell it.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) signal: Signal,
    /// The URL without credentials.
    pub(crate) url: String,
    /// The number of items that the queue holds; `None` without a queue of this crate.
    pub(crate) capacity: Option<u64>,
    /// The time for which a request is retried; `None` if it has no limit.
    pub(crate) limit: Option<Duration>,
    /// `otel.component.type`.
    pub(crate) component: String,
    pub(crate) address: String,
    pub(crate) port: u16,
}

impl Route {
    fn items(&self) -> &'static str {
        match self.signal {
            Signal::Traces => "spans",
            Signal::Metrics => "data points",
            Signal::Logs => "log records",
        }
    }

    /// Returns a number of items.
    fn count(&self, count: u64) -> String {
        let items = self.items();
        let items = if count == 1 { &items[..items.len() - 1] } else { items };
        format!("{count} {items}")
    }

    fn queue_variable(&self) -> &'static str {
        if self.signal == Signal::Logs {
            "OTEL_BLRP_MAX_QUEUE_SIZE"
        } else {
            "OTEL_BSP_MAX_QUEUE_SIZE"
        }
    }
}

/// Exports fail and are repeated.
pub(super) fn delayed(route: &Route, failure: &ExportFailure, lost: u64) -> String {
    let Route { signal, url, .. } = route;
    let kept = match (route.limit, route.capacity) {
        (None, Some(capacity)) => format!(
            "They are kept and sent again until they arrive. {capacity} fit into the queue, more \
             are dropped"
        ),
        (Some(limit), Some(capacity)) => format!(
            "A batch is sent again for {limit:?}, then dropped. {capacity} fit into the queue, more \
             are dropped"
        ),
        (None, None) => "They are kept and sent again until they arrive".to_owned(),
        (Some(limit), None) => format!("They are sent again for {limit:?}, then dropped"),
    };
    let kept = match (signal, route.limit) {
        (Signal::Metrics, Some(_)) => "The next export contains their measurements, too".to_owned(),
        _ => kept,
    };
    let lost = dropped(route, lost);
    let hint = hint(failure);
    format!(
        "{signal} don't arrive at {url}: {failure}.{hint} {kept}.{lost} A notice follows when they \
         arrive"
    )
}

/// A request was refused, or given up.
pub(super) fn lost(
    route: &Route,
    failure: &ExportFailure,
    lost: u64,
    after: Option<Duration>,
) -> String {
    let Route { signal, url, .. } = route;
    let lost = route.count(lost);
    let hint = hint(failure);
    let verb = match failure {
        ExportFailure::Http(..) | ExportFailure::Grpc(..) if after.is_none() => "are refused by",
        _ => "don't arrive at",
    };
    let why = match after {
        Some(after) => format!("after {after:.1?} of attempts"),
        None => "without another attempt".to_owned(),
    };
    let next = match (signal, route.limit) {
        (Signal::Metrics, Some(_)) => " The next export contains their measurements, too.",
        _ => "",
    };
    format!(
        "{signal} {verb} {url}: {failure}.{hint} Dropped {why}: {lost}.{next} A notice follows when \
         they arrive"
    )
}

/// The receiver rejected a part of a request, or took it with a warning.
pub(super) fn rejected(
    route: &Route,
    (rejected, items): (u64, u64),
    lost: u64,
    message: &str,
) -> String {
    let Route { signal, url, .. } = route;
    if rejected == 0 {
        return format!("{url} accepts {signal} with a warning: {message:?}");
    }
    let reason = if message.is_empty() { String::new() } else { format!(": {message:?}") };
    let items = route.count(items);
    let more = match lost > rejected {
        true => format!(". Dropped since the last notice: {}", route.count(lost)),
        false => String::new(),
    };
    format!("{url} rejected {rejected} of {items}{reason}. They are not sent again{more}")
}

/// Exports succeed again. The losses are those since the start.
pub(super) fn recovered(route: &Route, lost: u64) -> String {
    let Route { signal, url, .. } = route;
    let lost = match (signal, lost) {
        (_, 0) => ", none was lost".to_owned(),
        // The export contains the measurements of those that were lost.
        (Signal::Metrics, _) if route.limit.is_some() => String::new(),
        (_, lost) => format!(", {} lost since the start", route.count(lost)),
    };
    format!("{signal} arrive at {url} again{lost}")
}

/// The queue is full.
pub(super) fn overflow(route: &Route, lost: u64, failure: Option<&ExportFailure>) -> String {
    let Route { signal, url, .. } = route;
    let (lost, variable) = (route.count(lost), route.queue_variable());
    let capacity = route.capacity.unwrap_or_default();
    match failure {
        Some(failure) => format!(
            "Dropped {lost}: the queue of {capacity} is full, because {signal} don't \
             arrive at {url}: {failure}"
        ),
        None => format!(
            "Dropped {lost}: the queue of {capacity} is full, because {url} takes \
             {signal} slower than they are recorded. Raise {variable}, or sample fewer"
        ),
    }
}

/// Returns the reason for the report of the shutdown.
pub(super) fn reason(route: &Route, failure: &ExportFailure) -> String {
    format!("{} to {}: {failure}", route.signal, route.url)
}

fn dropped(route: &Route, lost: u64) -> String {
    match lost {
        0 => String::new(),
        lost => format!(" Dropped since the last notice: {}.", route.count(lost)),
    }
}

fn hint(failure: &ExportFailure) -> String {
    failure
        .hint()
        .map(|hint| format!(" {}{}.", hint[..1].to_uppercase(), &hint[1..]))
        .unwrap_or_default()
}
