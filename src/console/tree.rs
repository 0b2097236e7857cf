//! Traces as trees.
//!
//! ```text
//! POST /orders 201                     ███████████████████   22.4ms 5b8aa5a2
//! └ place order                         █████████████████    20.1ms
//!   · +20.1ms paid shop.payment.method=invoice
//!   +22.0ms  INFO shop: answered status=201
//! ```

use std::{
    collections::HashMap,
    fmt::{self, Display, Write},
    time::{Duration, SystemTime},
};

use opentelemetry::{
    KeyValue,
    trace::{Event, SpanId, SpanKind, Status, TraceId},
};
use opentelemetry_sdk::trace::SpanData;

use super::{
    Line,
    pacing::{Printable, Skipped},
};
use crate::{
    digest::{Trace, is_failed},
    stdout::{Colours, Escaped},
};

/// Returns the text of everything that is to be printed.
pub(super) fn render(printable: Printable, colours: Colours) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut text, &printable, colours);
    text
}

fn write_all(text: &mut String, printable: &Printable, colours: Colours) -> fmt::Result {
    let (dim, end) = (colours.dim(), colours.end());
    for line in &printable.lines {
        write!(text, "{dim}{}{end} {}", clock(line.time), line.text)?;
        match line.span {
            Some((trace, _)) => writeln!(text, " {dim}{}{end}", short(trace))?,
            None => writeln!(text)?,
        }
    }
    if let Skipped { traces: traces @ 1.., failed, lines } = printable.skipped {
        writeln!(
            text,
            "{dim}… {traces} traces more, {failed} of them failed, with {lines} log lines{end}"
        )?;
    }
    printable.traces.iter().try_for_each(|trace| write_trace(text, trace, colours))
}

fn write_trace(text: &mut String, trace: &Trace<Line>, colours: Colours) -> fmt::Result {
    let tree = Tree::new(trace, colours);
    tree.roots().iter().try_for_each(|root| tree.write_span(text, root, Indent::default()))?;
    tree.write_other_lines(text)?;
    if trace.left_out > 0 {
        writeln!(text, "  … {} more spans and lines", trace.left_out)?;
    }
    Ok(())
}

/// The spans of a trace by their parents.
struct Tree<'a> {
    children: HashMap<SpanId, Vec<&'a SpanData>>,
    lines: HashMap<SpanId, Vec<&'a Line>>,
    spans: &'a [SpanData],
    begin: SystemTime,
    duration: Duration,
    colours: Colours,
}

/// The place of a span in its tree.
#[derive(Debug, Clone, Copy, Default)]
struct Indent {
    depth: usize,
}

impl<'a> Tree<'a> {
    fn new(trace: &'a Trace<Line>, colours: Colours) -> Self {
        let mut children: HashMap<_, Vec<_>> = HashMap::new();
        for span in &trace.spans {
            children.entry(span.parent_span_id).or_default().push(span);
        }
        let mut lines: HashMap<_, Vec<_>> = HashMap::new();
        for line in &trace.lines {
            let span = line.span.map_or(SpanId::INVALID, |(_, span)| span);
            lines.entry(span).or_default().push(line);
        }
        let begin = trace.spans.iter().map(|span| span.start_time).min();
        let begin = begin.unwrap_or(SystemTime::UNIX_EPOCH);
        let end = trace.spans.iter().map(|span| span.end_time).max().unwrap_or(begin);
        let duration = end.duration_since(begin).unwrap_or_default();
        Self { children, lines, spans: &trace.spans, begin, duration, colours }
    }

    /// Returns the spans whose parent is not among the spans.
    fn roots(&self) -> Vec<&'a SpanData> {
        let is_here = |id| self.spans.iter().any(|span| span.span_context.span_id() == id);
        let mut roots: Vec<_> =
            self.spans.iter().filter(|span| !is_here(span.parent_span_id)).collect();
        roots.sort_by_key(|span| span.start_time);
        roots
    }

    fn write_span(&self, text: &mut String, span: &SpanData, indent: Indent) -> fmt::Result {
        let (dim, end) = (self.colours.dim(), self.colours.end());
        let colour = if is_failed(span) { self.colours.red() } else { self.colours.bold() };
        let label = fitted(&indent.of_span(), &label(span));
        let took = took(span.start_time, span.end_time);
        write!(text, "{colour}{label}{end} ")?;
        write!(text, "{}{}{end} {:>9}", self.bar_colour(span), self.bar(span), shown(took))?;
        if indent.depth == 0 {
            write!(text, " {dim}{}{end}", short(span.span_context.trace_id()))?;
        }
        writeln!(text)?;
        if let Status::Error { description } = &span.status
            && !description.is_empty()
        {
            let (red, within) = (self.colours.red(), indent.within());
            writeln!(text, "{within}{red}! {}{end}", Escaped(description))?;
        }
        self.write_inside(text, span, indent)
    }

    /// Writes the events, lines and children of a span by their time.
    fn write_inside(&self, text: &mut String, span: &SpanData, indent: Indent) -> fmt::Result {
        let id = span.span_context.span_id();
        let events = span.events.iter().map(Inside::Event);
        let lines = self.lines.get(&id).into_iter().flatten().map(|line| Inside::Line(line));
        let spans = self.children.get(&id).into_iter().flatten().map(|span| Inside::Span(span));
        let mut all: Vec<_> = events.chain(lines).chain(spans).collect();
        all.sort_by_key(Inside::time);
        let (dim, end) = (self.colours.dim(), self.colours.end());
        for inside in all {
            let after = shown(took(self.begin, inside.time()));
            match inside {
                Inside::Event(Event { name, attributes, .. }) => {
                    let (name, pairs) = (Escaped(name), Pairs(attributes));
                    writeln!(text, "{}{dim}+{after}{end} · {name}{pairs}", indent.within())?;
                }
                Inside::Line(Line { text: line, .. }) => {
                    writeln!(text, "{}{dim}+{after}{end} {line}", indent.within())?;
                }
                Inside::Span(span) => self.write_span(text, span, indent.deeper())?,
            }
        }
        Ok(())
    }

    /// Writes the lines whose span is not among the spans, such as those within a remote span.
    fn write_other_lines(&self, text: &mut String) -> fmt::Result {
        let is_here = |id| self.spans.iter().any(|span| span.span_context.span_id() == id);
        let others = self.lines.iter().filter(|(id, _)| !is_here(**id));
        let mut lines: Vec<_> = others.flat_map(|(_, lines)| lines).collect();
        lines.sort_by_key(|line| line.time);
        let (dim, end) = (self.colours.dim(), self.colours.end());
        for line in lines {
            let after = shown(took(self.begin, line.time));
            writeln!(text, "{}{dim}+{after}{end} {}", Indent::default().within(), line.text)?;
        }
        Ok(())
    }

    fn bar_colour(&self, span: &SpanData) -> &'static str {
        match span.span_kind {
            _ if is_failed(span) => self.colours.red(),
            SpanKind::Client | SpanKind::Producer => self.colours.blue(),
            _ => self.colours.green(),
        }
    }

    /// Returns the part of the trace's time that a span takes.
    fn bar(&self, span: &SpanData) -> String {
        let whole = self.duration.as_secs_f64().max(f64::MIN_POSITIVE);
        let column = |time| {
            let part = took(self.begin, time).as_secs_f64() / whole;
            ((part * BAR as f64).round() as usize).min(BAR)
        };
        let from = column(span.start_time).min(BAR - 1);
        let to = column(span.end_time).max(from + 1);
        format!("{:from$}{}{:rest$}", "", "█".repeat(to - from), "", rest = BAR - to)
    }
}

/// Something in a span.
enum Inside<'a> {
    Event(&'a Event),
    Line(&'a Line),
    Span(&'a SpanData),
}

impl Inside<'_> {
    fn time(&self) -> SystemTime {
        match self {
            Self::Event(event) => event.timestamp,
            Self::Line(line) => line.time,
            Self::Span(span) => span.start_time,
        }
    }
}

impl Indent {
    fn deeper(self) -> Self {
        Self { depth: (self.depth + 1).min(DEEPEST) }
    }

    fn of_span(self) -> String {
        match self.depth {
            0 => String::new(),
            depth => format!("{}└ ", "  ".repeat(depth - 1)),
        }
    }

    fn within(self) -> String {
        "  ".repeat(self.depth + 1)
    }
}

/// Returns the name of a span, and how it ended.
fn label(span: &SpanData) -> String {
    let value = |key: &str| span.attributes.iter().find(|pair| pair.key.as_str() == key);
    let mut label = span.name.to_string();
    if matches!(span.span_kind, SpanKind::Client | SpanKind::Producer) {
        let server = [value("server.address"), value("server.port")];
        let server = server.map(|pair| pair.map(|pair| pair.value.to_string()));
        match server {
            [Some(address), Some(port)] => _ = write!(label, " → {address}:{port}"),
            [Some(address), None] => _ = write!(label, " → {address}"),
            _ => {}
        }
    }
    let shown = |key| value(key).map(|pair| pair.value.to_string());
    let status = shown("http.response.status_code").or_else(|| shown("rpc.status_code"));
    let error = shown("error.type").filter(|error| Some(error) != status.as_ref());
    let retry = shown("http.request.resend_count").map(|count| format!("retry {count}"));
    for part in [retry, status, error].iter().flatten() {
        let _ = write!(label, " {part}");
    }
    Escaped(label).to_string()
}

/// Returns a label of exactly [`LABEL`] characters.
fn fitted(indent: &str, label: &str) -> String {
    let whole: Vec<char> = indent.chars().chain(label.chars()).collect();
    if whole.len() <= LABEL {
        return format!("{:LABEL$}", String::from_iter(whole));
    }
    // The end has the status.
    let tail = 12;
    let head = &whole[..LABEL - tail - 1];
    let tail = &whole[whole.len() - tail..];
    head.iter().chain(&['…']).chain(tail).collect()
}

fn short(trace: TraceId) -> String {
    let mut id = trace.to_string();
    id.truncate(8);
    id
}

fn took(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

/// Returns the time of the day, in UTC.
fn clock(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, since.subsec_millis())
}

pub(super) fn shown(duration: Duration) -> String {
    format!("{duration:.1?}")
}

/// Displays attributes, each after a space.
struct Pairs<'a>(&'a [KeyValue]);

impl Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pairs = self.0.iter();
        pairs.try_for_each(|pair| write!(f, " {}={}", Escaped(&pair.key), Escaped(&pair.value)))
    }
}

/// Columns of a label, so that a tree fits into 80 columns.
const LABEL: usize = 40;

/// Columns of a bar.
const BAR: usize = 20;

/// Deeper spans are not indented further.
const DEEPEST: usize = 12;
