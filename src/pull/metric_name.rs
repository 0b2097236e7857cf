//! Metric names: characters, the unit's suffix, the type's suffix.

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};

use super::unit;

/// The type of a metric in Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) fn of(metric: &Metric) -> Self {
        fn kind<T>(data: &MetricData<T>) -> Kind {
            match data {
                MetricData::Sum(sum) if sum.is_monotonic() => Kind::Counter,
                MetricData::Sum(_) | MetricData::Gauge(_) => Kind::Gauge,
                MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => Kind::Histogram,
            }
        }
        match metric.data() {
            AggregatedMetrics::F64(data) => kind(data),
            AggregatedMetrics::U64(data) => kind(data),
            AggregatedMetrics::I64(data) => kind(data),
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The name of a metric, with all suffixes, and the unit among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetricName {
    pub(super) full: String,
    pub(super) unit: Option<String>,
}

impl MetricName {
    pub(super) fn of(metric: &Metric, kind: Kind) -> Self {
        let is_gauge = match metric.data() {
            AggregatedMetrics::F64(data) => matches!(data, MetricData::Gauge(_)),
            AggregatedMetrics::U64(data) => matches!(data, MetricData::Gauge(_)),
            AggregatedMetrics::I64(data) => matches!(data, MetricData::Gauge(_)),
        };
        // Many a counter of things says `1`, so other instruments get no suffix.
        let unit = match is_gauge && unit::is_ratio(metric.unit()) {
            true => Some("ratio".to_owned()),
            false => unit::suffix(metric.unit()),
        };
        Self::new(metric.name(), unit, kind)
    }

    fn new(name: &str, unit: Option<String>, kind: Kind) -> Self {
        let mut full = String::with_capacity(name.len() + 16);
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            full.push('_');
        }
        push_sanitized(&mut full, name, |c| c.is_ascii_alphanumeric() || c == ':');
        if kind == Kind::Counter {
            let rest = full.trim_end_matches('_');
            full.truncate(rest.strip_suffix(TOTAL).unwrap_or(rest).len());
        }
        if let Some(unit) = &unit {
            push_suffix(&mut full, unit);
        }
        // OpenMetrics wants the unit behind a `_`.
        let unit = unit.filter(|unit| *unit != full);
        if kind == Kind::Counter {
            full.truncate(full.trim_end_matches('_').len());
        }
        if full.is_empty() {
            full.push('_');
        }
        if kind == Kind::Counter {
            full.push_str(TOTAL);
        }
        Self { full, unit }
    }

    /// Returns the family's name in OpenMetrics, which has no `_total` for a counter.
    pub(super) fn family(&self, kind: Kind) -> &str {
        match kind {
            Kind::Counter => self.full.strip_suffix(TOTAL).unwrap_or(&self.full),
            Kind::Gauge | Kind::Histogram => &self.full,
        }
    }
}

/// Appends the text with `_` in place of characters that are not allowed, and one `_` for several.
pub(super) fn push_sanitized(out: &mut String, text: &str, is_allowed: impl Fn(char) -> bool) {
    for c in text.chars() {
        if is_allowed(c) {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
}

/// Appends a suffix, unless the name ends with it.
fn push_suffix(name: &mut String, word: &str) {
    let is_there =
        name.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'));
    if is_there {
        return;
    }
    if !name.ends_with('_') {
        name.push('_');
    }
    name.push_str(word);
}

pub(super) const TOTAL: &str = "_total";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        use Kind::{Counter, Gauge, Histogram};
        for (name, unit, kind, expected) in [
            (
                "http.server.request.duration",
                "s",
                Histogram,
                "http_server_request_duration_seconds",
            ),
            ("queue.size", "{job}", Gauge, "queue_size"),
            ("orders", "", Counter, "orders_total"),
            // Characters.
            ("a-b/c.d", "", Gauge, "a_b_c_d"),
            ("a..b__c._d", "", Gauge, "a_b_c_d"),
            ("a:b", "", Gauge, "a:b"),
            ("caf\u{e9} cr\u{e8}me", "", Gauge, "caf_cr_me"),
            ("1st", "", Gauge, "_1st"),
            ("_1st", "", Gauge, "_1st"),
            (".5", "", Gauge, "_5"),
            ("", "", Gauge, "_"),
            ("", "s", Gauge, "_seconds"),
            ("", "", Counter, "__total"),
            (".", "", Counter, "__total"),
            ("_total", "", Counter, "__total"),
            ("\u{e9}", "", Gauge, "_"),
            ("a.", "", Gauge, "a_"),
            ("a.", "s", Gauge, "a_seconds"),
            ("a.", "", Counter, "a_total"),
            // Suffixes are not doubled.
            ("jobs_total", "", Counter, "jobs_total"),
            ("jobs.total", "", Counter, "jobs_total"),
            ("jobs.total.", "", Counter, "jobs_total"),
            ("jobs.total.total", "", Counter, "jobs_total_total"),
            ("total", "", Counter, "total_total"),
            ("jobs.total", "s", Counter, "jobs_seconds_total"),
            ("jobs.seconds.total", "s", Counter, "jobs_seconds_total"),
            ("job_duration_seconds", "s", Histogram, "job_duration_seconds"),
            ("seconds", "s", Gauge, "seconds"),
            ("milliseconds", "s", Gauge, "milliseconds_seconds"),
            ("seconds.left", "s", Gauge, "seconds_left_seconds"),
            ("jobs.total", "", Gauge, "jobs_total"),
            ("speed", "m/s", Gauge, "speed_meters_per_second"),
            ("energy", "kWh", Counter, "energy_kWh_total"),
        ] {
            let name = MetricName::new(name, unit::suffix(unit), kind);
            assert_eq!(name.full, expected);
            let family = name.family(kind);
            assert!(!family.is_empty(), "{expected}");
            if let Some(unit) = &name.unit {
                assert!(family.ends_with(&format!("_{unit}")), "OpenMetrics: {family}, {unit}");
            }
        }
    }
}
