//! The pull endpoint: both formats, from a meter provider of one's own.

mod checker;
mod conflicts;
mod exponential;
mod formats;
mod golden;
mod hostile;
mod options;
mod properties;
mod strict_parser;

#[path = "../debian/mod.rs"]
mod debian;
#[path = "../debian/scraper.rs"]
mod scraper;

use std::{
    io,
    sync::{Arc, Mutex},
};

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use opentelemetry::{KeyValue, metrics::Meter, metrics::MeterProvider};
use opentelemetry_sdk::{
    Resource,
    metrics::{MeterProviderBuilder, SdkMeterProvider},
};
use tower::Service;
use tower_telemetry::pull::{MetricsService, PullReader, PullReaderBuilder};

const TEXT: &str = "text/plain";
const OPEN_METRICS: &str = "application/openmetrics-text";

/// A provider, and the service of its metrics.
struct Endpoint {
    provider: SdkMeterProvider,
    service: MetricsService,
}

impl Endpoint {
    fn new() -> Self {
        Self::with(PullReader::builder(), &[], |provider| provider)
    }

    fn with(
        reader: PullReaderBuilder,
        resource: &[KeyValue],
        configure: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder,
    ) -> Self {
        let reader = reader.build();
        let service = reader.service();
        let resource = Resource::builder_empty().with_attributes(resource.iter().cloned()).build();
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader);
        Self { provider: configure(provider).build(), service }
    }

    fn meter(&self) -> Meter {
        self.provider.meter("")
    }

    fn ask(&self, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
        let mut request = Request::get("/metrics");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.service.clone().call(request.body(()).unwrap());
        let response = answer.now_or_never().unwrap().unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
        Response::from_parts(parts, body.to_vec())
    }

    fn scrape(&self, accept: &str) -> String {
        String::from_utf8(self.ask(&[("accept", accept)]).into_body()).unwrap()
    }
}

/// Returns the warnings that this gives.
fn warnings(run: impl FnOnce()) -> Vec<String> {
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::WARN)
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let written = written.0.lock().unwrap();
    let lines = String::from_utf8(written.clone()).unwrap();
    let ours = lines.lines().filter_map(|line| line.split_once("WARN tower_telemetry: "));
    ours.map(|(_, text)| text.to_owned()).collect()
}
