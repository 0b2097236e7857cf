//! The traces that the processes have exported, as text.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};

use crate::receiver::{Received, attribute};

/// All spans, with the service that each is of.
pub(crate) struct Traces<'a> {
    spans: Vec<(String, &'a Span)>,
}

impl<'a> Traces<'a> {
    pub(crate) fn of(received: &'a Received) -> Self {
        let mut spans = Vec::new();
        for resource in &received.traces {
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            let service = attribute(attributes, "service.name").unwrap();
            let of_resource = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.extend(of_resource.map(|span| (service.clone(), span)));
        }
        spans.sort_by_key(|(_, span)| span.start_time_unix_nano);
        Self { spans }
    }

    /// Returns the spans of a kind.
    pub(crate) fn spans(&self, service: &str, kind: &str) -> Vec<&'a Span> {
        let spans = self.spans.iter().filter(|(of, span)| of == service && name(span) == kind);
        spans.map(|(_, span)| *span).collect()
    }

    /// Returns the shape of each trace, and how many traces have it. Waits for a connection are
    /// omitted, because they depend on the time.
    pub(crate) fn trees(&self) -> BTreeMap<String, usize> {
        let mut children: BTreeMap<&[u8], Vec<&(String, &Span)>> = BTreeMap::new();
        for span in self.spans.iter().filter(|(_, span)| span.name != "wait for connection") {
            children.entry(&span.1.parent_span_id).or_default().push(span);
        }
        let mut trees = BTreeMap::new();
        for root in children.get(&[][..]).into_iter().flatten() {
            let mut tree = String::new();
            write(root, &children, 0, &mut tree);
            *trees.entry(tree).or_default() += 1;
        }
        trees
    }
}

fn write(
    span: &(String, &Span),
    children: &BTreeMap<&[u8], Vec<&(String, &Span)>>,
    depth: usize,
    tree: &mut String,
) {
    let (service, span) = span;
    tree.push_str(&format!("{:1$}{service} {2} {3}\n", "", 2 * depth, name(span), span.name));
    for child in children.get(&span.span_id[..]).into_iter().flatten() {
        assert_eq!(child.1.trace_id, span.trace_id);
        write(child, children, depth + 1, tree);
    }
}

fn name(span: &Span) -> &'static str {
    match span.kind() {
        SpanKind::Server => "Server",
        SpanKind::Client => "Client",
        _ => "Internal",
    }
}

pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
