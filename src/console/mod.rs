//! The console: traces as trees and metrics as a table, on standard output, for a developer.
//!
//! It is bounded and never blocks: [`stdout`] queues the text, and
//! [`pacing`] limits how many trees a second it prints.

mod pacing;
mod record;
mod table;
mod tree;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, InstrumentationScope,
    trace::{Span as _, SpanId, TraceId},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{Span, SpanData, SpanProcessor},
};

use self::{
    pacing::{Pacing, Printable},
    table::Table,
};
use crate::stdout::{self, Colours};

/// Prints the telemetry of one [`Telemetry`](crate::Telemetry).
///
/// It is a processor and not an exporter in a `SimpleSpanProcessor`, because that one calls
/// `futures_executor::block_on`, which panics inside another `block_on`: a span that ends in a
/// destructor would abort the process.
#[derive(Clone)]
pub(crate) struct Console(Arc<State>);

struct State {
    colours: Colours,
    /// Metrics of this scope are in the table, or of no use to a reader.
    own_scope: InstrumentationScope,
    traces: Mutex<Pacing>,
    table: Mutex<Table>,
}

/// A log line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The current span, if there was one.
    pub(crate) span: Option<(TraceId, SpanId)>,
    pub(crate) time: SystemTime,
    /// The line without its time, the ids and the line feed.
    pub(crate) text: String,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Console {
    pub(crate) fn new(own_scope: InstrumentationScope) -> Self {
        let state = Arc::new(State {
            colours: Colours::of_stdout(),
            own_scope,
            traces: Mutex::default(),
            table: Mutex::default(),
        });
        let weak = Arc::downgrade(&state);
        // Without a thread, the lines of a trace that hangs wait for what is printed next.
        let _ = thread::Builder::new().name("telemetry-console".to_owned()).spawn(move || {
            while let Some(state) = weak.upgrade() {
                Self(state).release();
                thread::sleep(RELEASE_INTERVAL);
            }
        });
        Self(state)
    }

    /// Prints a line, with its trace if that is still open.
    pub(crate) fn line(&self, line: Line) {
        let printable = self.traces().line(line);
        self.print(printable);
    }

    /// Prints the lines that have waited for the end of their trace for too long.
    fn release(&self) {
        let printable = self.traces().release();
        self.print(printable);
    }

    /// Prints everything that is held back.
    fn flush(&self) -> OTelSdkResult {
        let printable = self.traces().drain();
        self.print(printable);
        stdout::flush();
        Ok(())
    }

    fn print(&self, printable: Printable) {
        let text = tree::render(printable, self.0.colours);
        if !text.is_empty() {
            stdout::print(text.as_bytes());
        }
    }

    fn traces(&self) -> MutexGuard<'_, Pacing> {
        self.0.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for Console {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let context = span.span_context();
        if context.is_sampled() {
            self.traces().start(context.trace_id());
        }
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            let printable = self.traces().end(span);
            self.print(printable);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.release();
        stdout::flush();
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.flush()
    }
}

impl LogProcessor for Console {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.line(record::line(record, self.0.colours));
    }

    fn force_flush(&self) -> OTelSdkResult {
        stdout::flush();
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.flush()
    }
}

impl PushMetricExporter for Console {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.release();
        let mut table = self.0.table.lock().unwrap_or_else(PoisonError::into_inner);
        let text = table.render(metrics, &self.0.own_scope, self.0.colours);
        drop(table);
        if !text.is_empty() {
            stdout::print(text.as_bytes());
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        stdout::flush();
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        stdout::flush();
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// The time between two releases of lines that wait for the end of their trace.
const RELEASE_INTERVAL: Duration = Duration::from_millis(250);
