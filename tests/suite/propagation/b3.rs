//! B3, by <https://github.com/openzipkin/b3-propagation> and OpenTelemetry's rules for it.

use http::HeaderMap;
use opentelemetry::{
    propagation::{TextMapCompositePropagator, TextMapPropagator},
    trace::{TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tower_telemetry::propagation::{B3, W3c};

use super::{extract, headers, inject};

const IDS: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

/// Returns all headers as `name: value`, sorted.
fn lines(headers: &HeaderMap) -> Vec<String> {
    let line =
        |(name, value): (_, &http::HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

fn multi(sampled: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut lines = vec![("x-b3-traceid", &IDS[..32]), ("x-b3-spanid", &IDS[33..])];
    match sampled {
        "" => {}
        "flags" => lines.push(("x-b3-flags", "1")),
        sampled => lines.push(("x-b3-sampled", sampled)),
    }
    lines
}

#[test]
fn contexts_are_read_and_forwarded() {
    let single = |rest: &str| vec![("b3", format!("{IDS}{rest}"))];
    let many = |sampled| {
        let lines = multi(sampled).into_iter();
        lines.map(|(name, value)| (name, value.to_owned())).collect::<Vec<_>>()
    };
    let joined = |one: Vec<(&'static str, String)>, other: Vec<_>| [one, other].concat();
    // The headers; whether the caller samples, or `None` if there is no caller; what is forwarded.
    type Row = (Vec<(&'static str, String)>, Option<bool>, &'static str);
    let rows: Vec<Row> = vec![
        (single("-1"), Some(true), "-1"),
        (single("-0"), Some(false), "-0"),
        (single("-d"), Some(true), "-d"),
        (single("-1-05e3ac9a4f6e3b90"), Some(true), "-1"),
        (single(""), Some(false), ""),
        (many("1"), Some(true), "-1"),
        (many("true"), Some(true), "-1"),
        (many("0"), Some(false), "-0"),
        (many("false"), Some(false), "-0"),
        (many("flags"), Some(true), "-d"),
        (many(""), Some(false), ""),
        (joined(single("-1"), many("0")), Some(true), "-1"),
        (joined(vec![("b3", "x".to_owned())], many("1")), Some(true), "-1"),
        (vec![("b3", "0".to_owned())], None, ""),
        (vec![("b3", "1".to_owned())], None, ""),
        (vec![("x-b3-sampled", "1".to_owned())], None, ""),
        (single("-x"), None, ""),
        (vec![("b3", IDS.to_uppercase())], None, ""),
        (vec![], None, ""),
    ];
    for (lines_in, caller, forwarded) in rows {
        let pairs: Vec<_> = lines_in.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers = headers(&pairs);
        for b3 in [B3::single(), B3::multi()] {
            let cx = extract(&b3, &headers);
            let span = cx.span();
            let span = span.span_context();
            let read = span.is_valid().then(|| span.is_sampled());
            assert_eq!(read, caller, "{pairs:?} {b3:?}");
        }
        let cx = extract(&B3::single(), &headers);
        let as_single = match caller {
            Some(_) => vec![format!("b3: {IDS}{forwarded}")],
            None => vec![],
        };
        assert_eq!(lines(&inject(&B3::single(), &cx)), as_single, "{pairs:?}");
        let as_multi = match (caller, forwarded) {
            (None, _) => vec![],
            (_, "-1") => multi("1"),
            (_, "-0") => multi("0"),
            (_, "-d") => multi("flags"),
            _ => multi(""),
        };
        let mut as_multi: Vec<_> =
            as_multi.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        as_multi.sort();
        assert_eq!(lines(&inject(&B3::multi(), &cx)), as_multi, "{pairs:?}");
    }
}

/// The decision of this service is sent, also if the caller left it open.
#[test]
fn decisions_of_this_process_are_sent() {
    for (caller, sampler, expected) in [
        ("", Sampler::AlwaysOn, "-1"),
        ("", Sampler::AlwaysOff, "-0"),
        ("-0", Sampler::AlwaysOn, "-1"),
        ("-1", Sampler::AlwaysOff, "-0"),
        ("-d", Sampler::ParentBased(Box::new(Sampler::AlwaysOff)), "-d"),
    ] {
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let parent = extract(&B3::single(), &headers(&[("b3", &format!("{IDS}{caller}"))]));
        let span = provider.tracer("test").start_with_context("span", &parent);
        let cx = parent.with_span(span);
        let sent = inject(&B3::single(), &cx);
        let sent = sent["b3"].to_str().unwrap();
        assert!(sent.starts_with(&IDS[..33]) && !sent.contains(&IDS[33..]), "{sent}");
        assert_eq!(&sent[IDS.len()..], expected, "{caller}");
    }
}

/// The later propagator wins where a caller sends both, and the flag of B3 is none of W3C's.
#[test]
fn both_formats_side_by_side() {
    let both = |first: Box<dyn TextMapPropagator + Send + Sync>, second| {
        TextMapCompositePropagator::new(vec![first, second])
    };
    let w3c = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = headers(&[("traceparent", w3c), ("b3", IDS)]);
    let b3_last = extract(&both(Box::new(W3c::new()), Box::new(B3::single())), &headers);
    assert_eq!(b3_last.span().span_context().trace_id().to_string(), IDS[..32]);
    let sent = inject(&W3c::new(), &b3_last);
    assert_eq!(lines(&sent), [format!("traceparent: 00-{IDS}-00")]);
    let w3c_last = extract(&both(Box::new(B3::single()), Box::new(W3c::new())), &headers);
    assert_eq!(w3c_last.span().span_context().trace_id().to_string(), w3c[3..35]);
}
