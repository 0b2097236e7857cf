//! Metrics as Prometheus groups them: all series of one name together.

use std::collections::{BTreeMap, btree_map::Entry};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::metrics::data::{Metric, ResourceMetrics};

use super::{
    constants::{self, Constant},
    metric_name::{Kind, MetricName},
    reader::Settings,
    registry::{Instrument, Registry},
};

/// All instruments that become one metric.
#[derive(Debug)]
pub(super) struct Family<'a> {
    pub(super) name: MetricName,
    pub(super) kind: Kind,
    pub(super) help: &'a str,
    pub(super) streams: Vec<Stream<'a>>,
}

/// The data of one instrument.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    pub(super) metric: &'a Metric,
    pub(super) scope: &'a InstrumentationScope,
    /// Index of the scope's constant labels.
    pub(super) constants: usize,
}

/// Groups the metrics by name, in alphabetical order, and returns the constant labels of each scope
/// beside them.
pub(super) fn families<'a>(
    metrics: &'a ResourceMetrics,
    settings: &Settings,
    registry: &mut Registry,
) -> (Vec<Family<'a>>, Vec<Vec<Constant>>) {
    let mut scopes: Vec<_> = metrics.scope_metrics().collect();
    // The SDK has scopes in no fixed order. This one makes the first of two equals predictable.
    scopes.sort_by_key(|scope| {
        let scope = scope.scope();
        (scope.name(), scope.version(), scope.schema_url())
    });

    let resource = &settings.resource_labels;
    let mut families = BTreeMap::<String, Family<'a>>::new();
    let mut all_labels = Vec::with_capacity(scopes.len());
    for scope in scopes {
        let mut labels =
            constants::of_resource(metrics.resource(), resource, settings.has_scope_labels);
        if settings.has_scope_labels {
            labels.extend(constants::of_scope(scope.scope()));
        }
        for metric in scope.metrics() {
            let kind = Kind::of(metric);
            let name = MetricName::of(metric, kind);
            let instrument = Instrument { kind, name: metric.name(), scope: scope.scope().name() };
            if !registry.admit(instrument, &name) {
                continue;
            }
            let stream = Stream { metric, scope: scope.scope(), constants: all_labels.len() };
            match families.entry(name.full.clone()) {
                Entry::Occupied(mut family) => {
                    let family = family.get_mut();
                    if family.help != metric.description() {
                        warn_of_description(registry, family, metric);
                    }
                    family.streams.push(stream);
                }
                Entry::Vacant(place) => {
                    let help = metric.description();
                    place.insert(Family { name, kind, help, streams: vec![stream] });
                }
            }
        }
        all_labels.push(labels);
    }
    (families.into_values().collect(), all_labels)
}

fn warn_of_description(registry: &mut Registry, family: &mut Family<'_>, metric: &Metric) {
    let name = &family.name.full;
    registry.warn_once(format!("{name} description"), || {
        format!(
            "{name} has two descriptions for Prometheus, {:?} and {:?}: the first is exported",
            family.help,
            metric.description()
        )
    });
}
