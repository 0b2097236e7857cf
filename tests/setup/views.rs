//! Boundaries, attributes and limits of instruments.

use std::time::Duration;

use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, metric::Data};

use crate::{
    builder,
    receiver::{Received, Receiver, attribute},
};

fn points(received: &Received, name: &str) -> Vec<HistogramDataPoint> {
    match &received.metrics(name).last().unwrap().data {
        Some(Data::Histogram(histogram)) => histogram.data_points.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn views_change_boundaries_attributes_and_limits() {
    let receiver = Receiver::start();
    let telemetry = builder(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())])
        .with_boundaries("shop.*", [1.0, 2.0])
        .with_boundaries("shop.special", [5.0])
        .with_boundaries("shop.orders", [5.0])
        .with_only_attributes("shop.special", ["kind"])
        .with_cardinality_limit("shop.limited", 3)
        .with_cardinality_limit("own.limited", 3)
        .build()
        .unwrap();
    let meter = telemetry.meter_provider().meter("test");
    let histograms = ["shop.time", "shop.special", "shop.limited", "other"];
    for name in histograms {
        let histogram = meter.f64_histogram(name).build();
        for n in 0..10 {
            histogram.record(1.5, &[KeyValue::new("kind", "a"), KeyValue::new("user", n)]);
        }
    }
    let own = meter.f64_histogram("own.limited").with_boundaries(vec![7.0]).build();
    own.record(1.0, &[]);
    // Boundaries do not change a counter.
    meter.u64_counter("shop.orders").build().add(1, &[]);
    telemetry.shutdown(Duration::from_secs(20)).await.unwrap();

    let received = receiver.received();
    let bounds = |name: &str| points(&received, name)[0].explicit_bounds.clone();
    assert_eq!(bounds("shop.time"), [1.0, 2.0]);
    assert_eq!(bounds("shop.special"), [5.0], "the later setting overrides");
    assert_eq!(bounds("shop.limited"), [1.0, 2.0], "a limit changes no boundaries");
    assert_eq!(bounds("own.limited"), [7.0], "a limit changes no boundaries of the instrument");
    assert!(bounds("other").len() > 10);
    assert!(matches!(received.metrics("shop.orders")[0].data, Some(Data::Sum(_))));

    let [special] = &points(&received, "shop.special")[..] else { panic!("one series") };
    assert_eq!(special.count, 10);
    assert_eq!(special.attributes.len(), 1);
    assert_eq!(points(&received, "shop.time").len(), 10);
    let limited = points(&received, "shop.limited");
    assert_eq!(limited.len(), 4, "three series, and one for the overflow");
    let is_rest = |point: &&HistogramDataPoint| {
        attribute(&point.attributes, "otel.metric.overflow").is_some()
    };
    assert_eq!(limited.iter().find(is_rest).unwrap().count, 7);
}
