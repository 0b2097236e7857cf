//! Exporters for providers of the user's own.

use opentelemetry::{
    logs::{LogRecord, Logger, LoggerProvider},
    metrics::MeterProvider,
    trace::{Span, Tracer, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    logs::SdkLoggerProvider,
    metrics::{SdkMeterProvider, Temporality},
    trace::SdkTracerProvider,
};
use tower_telemetry::setup::{Otlp, OtlpProtocol};

use crate::receiver::{Mood, Receiver, attribute, nowhere};

fn resource() -> Resource {
    Resource::builder().with_service_name("own").build()
}

/// All signals arrive with the provider's resource, from the SDK's batch and simple processors.
#[test]
fn exporters_work_with_the_sdks_processors() {
    for protocol in [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf, OtlpProtocol::HttpJson] {
        for is_simple in [false, true] {
            let receiver = Receiver::start();
            let otlp = Otlp::new().with_endpoint(receiver.url()).with_protocol(protocol);
            let tracers = SdkTracerProvider::builder().with_resource(resource());
            let loggers = SdkLoggerProvider::builder().with_resource(resource());
            let (spans, logs) = (otlp.span_exporter().unwrap(), otlp.log_exporter().unwrap());
            let (tracers, loggers) = match is_simple {
                true => (tracers.with_simple_exporter(spans), loggers.with_simple_exporter(logs)),
                false => (tracers.with_batch_exporter(spans), loggers.with_batch_exporter(logs)),
            };
            let (tracers, loggers) = (tracers.build(), loggers.build());
            let metrics = otlp.metric_exporter(Temporality::Cumulative).unwrap();
            let meters = SdkMeterProvider::builder().with_resource(resource());
            let meters = meters.with_periodic_exporter(metrics).build();

            tracers.tracer("test").start("span").end();
            meters.meter("test").u64_counter("orders").build().add(1, &[]);
            let logger = loggers.logger("test");
            let mut record = logger.create_log_record();
            record.set_body("record".into());
            logger.emit(record);
            tracers.shutdown().unwrap();
            loggers.shutdown().unwrap();
            meters.shutdown().unwrap();

            let received = receiver.received();
            assert_eq!((received.spans().len(), received.log_records().len()), (1, 1));
            assert_eq!(received.metrics("orders").len(), 1);
            for resource in [
                &received.traces[0].resource,
                &received.metrics[0].resource,
                &received.logs[0].resource,
            ] {
                let name = attribute(&resource.as_ref().unwrap().attributes, "service.name");
                assert_eq!(name.unwrap(), "own", "{protocol:?}");
            }
        }
    }
}

/// The SDK waits for an export that does not end. Its shutdown ends it.
#[test]
fn a_shutdown_ends_exports() {
    let receiver = Receiver::start();
    receiver.set(Mood::Hangs);
    let down = format!("http://{}", nowhere());
    for url in [receiver.url(), down] {
        let otlp = Otlp::new().with_endpoint(url);
        let exporter = otlp.span_exporter().unwrap();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
        provider.tracer("test").start("span").end();
        let began = std::time::Instant::now();
        assert!(provider.shutdown_with_timeout(std::time::Duration::from_millis(300)).is_err());
        drop(provider);
        assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
    }
}

/// A setting at fault is an error.
#[test]
fn faults_are_errors() {
    let error = Otlp::new().with_endpoint("localhost:4318").span_exporter().unwrap_err();
    assert!(error.to_string().starts_with("Otlp::with_endpoint: expected a URL"), "{error}");
}
