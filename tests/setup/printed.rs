//! Runs a test in a process of its own, and returns what it prints.

use std::{
    env,
    process::{Command, Stdio},
};

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const SPAN: &str = "00f067aa0ba902b7";

/// Runs a test, such as `lines::pretty`, in a process of its own, and returns what it prints on both streams.
///
/// In that process it runs `prints`, and returns `None`.
pub(crate) fn printed(test: &str, prints: impl FnOnce()) -> Option<Vec<String>> {
    if env::var("PRINTS").is_ok_and(|name| name == test) {
        prints();
        return None;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("PRINTS", test)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, b"\n".to_vec(), output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "{text}");
    // Not `lines`, which would hide carriage returns.
    Some(text.split('\n').map(str::to_owned).collect())
}

pub(crate) fn line_with<'a>(lines: &'a [String], text: &str) -> &'a str {
    let line = lines.iter().find(|line| line.contains(text));
    line.unwrap_or_else(|| panic!("no line contains {text:?}: {lines:#?}"))
}

/// Runs a function within the context of a remote span.
pub(crate) fn within_span(f: impl FnOnce()) {
    let span = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(SPAN).unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let _attached = Context::new().with_remote_span_context(span).attach();
    f();
}
