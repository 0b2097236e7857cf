//! What the operator is told at start.

use std::sync::{Arc, Mutex};

use crate::telemetry;

/// Without a subscriber the one notice goes to standard error; with one, to it.
#[test]
fn suspicious_settings_are_told() {
    let told = Arc::new(Mutex::new(String::new()));
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer({
            let told = told.clone();
            move || Told(told.clone())
        })
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for (variables, expected) in [
            (
                vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317")],
                &[
                    "traces go by http/protobuf to http://localhost:4317,",
                    "metrics go by",
                    "logs go by",
                    "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
                ][..],
            ),
            (
                vec![
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318"),
                ],
                &["traces go by grpc to http://localhost:4318"],
            ),
            (
                vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", "/a.pem")],
                &["OTEL_EXPORTER_OTLP_CERTIFICATE is set, and has no effect"],
            ),
            (
                vec![("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/a.pem")],
                &["OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY is set"],
            ),
        ] {
            told.lock().unwrap().clear();
            drop(telemetry(&variables));
            let told = told.lock().unwrap();
            for expected in expected {
                assert!(told.contains(expected), "{expected}: {told}");
            }
        }
        for quiet in [
            vec![
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317"),
            ],
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")],
            vec![],
        ] {
            told.lock().unwrap().clear();
            drop(telemetry(&quiet));
            let told = told.lock().unwrap();
            assert!(!told.contains("go by"), "{told}");
        }
    });
}

struct Told(Arc<Mutex<String>>);

impl std::io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
