//! W3C Trace Context Level 2.

use opentelemetry::{
    Context, TraceFlags,
    trace::{SpanContext, SpanId, TraceContextExt, TraceId, TraceState, TracerProvider},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SdkTracerProvider};
use proptest::prelude::*;
use tower_telemetry::propagation::TraceContext;

use super::{extract, headers, inject, only};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn forwarded(lines: &[(&'static str, &str)]) -> http::HeaderMap {
    inject(&TraceContext::new(), &extract(&TraceContext::new(), &headers(lines)))
}

/// Section 3.2.
#[test]
fn traceparent_is_forwarded_by_the_grammar() {
    let ids = format!("{TRACE}-{SPAN}");
    let to = |flags: &str| Some(format!("00-{ids}-{flags}"));
    let rows = [
        // 3.2.2.3: the sampled and random flags are forwarded, others are zero.
        (format!("00-{ids}-00"), to("00")),
        (format!("00-{ids}-01"), to("01")),
        (format!("00-{ids}-02"), to("02")),
        (format!("00-{ids}-03"), to("03")),
        (format!("00-{ids}-ff"), to("03")),
        (format!("00-{ids}-fc"), to("00")),
        // White space around the value is ignored.
        (format!(" \t00-{ids}-01\t "), to("01")),
        // 3.2.2.1, 3.2.5: the fields of version 00 are read from later versions.
        (format!("01-{ids}-01"), to("01")),
        (format!("cc-{ids}-01-what-the-future-brings"), to("01")),
        (format!("fe-{ids}-01-"), to("01")),
        (format!("01-{ids}-01what"), None),
        (format!("01-{ids}-01.what"), None),
        (format!("01-{ids}-0"), None),
        (format!("ff-{ids}-01"), None),
        // Version 00 has no further fields.
        (format!("00-{ids}-01-"), None),
        (format!("00-{ids}-01-what"), None),
        (format!("00-{ids}-011"), None),
        (format!("00-{ids}-1"), None),
        (format!("00-{ids}"), None),
        (format!("00-{ids}-"), None),
        // Only lowercase hexadecimal digits are valid.
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
        (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), None),
        (format!("00-{ids}-0A"), None),
        (format!("00-+{}-{SPAN}-01", &TRACE[1..]), None),
        (format!("00-{TRACE}-+{}-01", &SPAN[1..]), None),
        (format!("00-{ids}-+1"), None),
        (format!("+0-{ids}-01"), None),
        (format!("0-{ids}-01"), None),
        (format!("000-{ids}-01"), None),
        (format!("0g-{ids}-01"), None),
        (format!("00_{ids}-01"), None),
        (format!("00-{TRACE}.{SPAN}-01"), None),
        (format!("00-{ids}.01"), None),
        (format!("00-{}x-{SPAN}-01", &TRACE[1..]), None),
        (format!("00-{}-{SPAN}-01", &TRACE[1..]), None),
        (format!("00-0{TRACE}-{SPAN}-01"), None),
        (format!("00-{TRACE}-{}-01", &SPAN[1..]), None),
        (format!("00-{TRACE}-0{SPAN}-01"), None),
        ("00-1-1-01".to_owned(), None),
        (String::new(), None),
        ("-".repeat(55), None),
        ("é".repeat(30), None),
        // 3.2.2.3, 3.2.2.4: ids of only zeroes are invalid.
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
    ];
    for (given, expected) in rows {
        let sent = forwarded(&[("traceparent", &given), ("tracestate", "a=1")]);
        assert_eq!(only(&sent, "traceparent"), expected.as_deref(), "{given:?}");
        // 3.3: without a valid traceparent, tracestate must be ignored.
        assert_eq!(only(&sent, "tracestate"), expected.map(|_| "a=1"), "{given:?}");
    }
}

#[test]
fn a_traceparent_sent_twice_is_ignored() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let sent = forwarded(&[("traceparent", &parent), ("traceparent", &parent)]);
    assert!(sent.is_empty());
}

/// Section 3.3.
#[test]
fn tracestate_is_forwarded_or_discarded_as_a_whole() {
    let many = |count: usize| (1..=count).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
    let (key256, key257) = ("k".repeat(256), "k".repeat(257));
    let value = |length: usize| format!("a={}", "v".repeat(length));
    let all_keys = "0az_-*/@=1,a0=1";
    let visible: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    let all_values = format!("a={visible}");
    let same = |text: &str| (vec![text.to_owned()], Some(text.to_owned()));
    let to = |given: &[&str], sent: Option<&str>| {
        (given.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), sent.map(str::to_owned))
    };
    let rows = [
        same("rojo=00f067aa0ba902b7"),
        same("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        // Order and values don't change. Leading spaces belong to a value, trailing ones don't.
        same("b= 2,a=  x y,c=!"),
        to(&["a=1  , b=2\t,\t c=3 "], Some("a=1,b=2,c=3")),
        same(all_keys),
        same(&all_values),
        // 3.3.1: empty members are skipped, also between lines.
        to(&[""], None),
        to(&[" ,\t, "], None),
        to(&[",a=1,,b=2,"], Some("a=1,b=2")),
        to(&["a=1", "", "b=2"], Some("a=1,b=2")),
        to(&["a=1,b=2", "c=3", "d=4"], Some("a=1,b=2,c=3,d=4")),
        // 3.3.1.1: more than 32 members discard the list.
        same(&many(32)),
        to(&[&many(33)], None),
        to(&[&many(31), "a=1", "b=2"], None),
        to(&[&format!(",,,{},,,", many(32))], Some(&many(32))),
        // 3.3.1.3.1: keys.
        same("1a=1"),
        same("foo@=1,bar=2"),
        same("foo@@bar=1,bar=2"),
        same("foo@bar@baz=1,bar=2"),
        same("t@vvvvvvvvvvvvvvv=1,a=1"),
        same(&format!("{key256}=1")),
        to(&[&format!("a=1,{key257}=1")], None),
        to(&["@foo=1,bar=2"], None),
        to(&["_foo=1"], None),
        to(&["FOO=1"], None),
        to(&["foo.bar=1"], None),
        to(&["foo =1"], None),
        to(&["=1"], None),
        to(&["foo"], None),
        // 3.3.1.3.2: values.
        same(&value(256)),
        to(&[&value(257)], None),
        to(&["foo=,bar=3"], None),
        to(&["foo=  ,bar=3"], None),
        to(&["foo=bar=baz"], None),
        to(&["foo=a\tb"], None),
        to(&["foo=1", "bar=2,b\u{e4}d"], Some("foo=1")),
        // A duplicate key is forwarded unchanged.
        same("foo=1,foo=2"),
        same("foo@@=1,foo=1,foo=2"),
    ];
    let parent = format!("00-{TRACE}-{SPAN}-00");
    for (given, expected) in rows {
        let mut lines = vec![("traceparent", parent.as_str())];
        lines.extend(given.iter().map(|line| ("tracestate", line.as_str())));
        let sent = forwarded(&lines);
        assert_eq!(only(&sent, "tracestate"), expected.as_deref(), "{given:?}");
        assert_eq!(
            only(&sent, "traceparent"),
            Some(&*parent),
            "the traceparent must stay valid: {given:?}"
        );
    }
}

/// Section 3.2.2.3.2.
#[test]
fn the_random_flag_outlives_every_sampling_decision() {
    for (sampler, sampled) in [
        (Sampler::AlwaysOn, true),
        (Sampler::AlwaysOff, false),
        (Sampler::ParentBased(Box::new(Sampler::AlwaysOn)), true),
        (Sampler::TraceIdRatioBased(0.0), false),
    ] {
        for random in [false, true] {
            let flags = format!("0{}", u8::from(sampled) | u8::from(random) << 1);
            let came = format!("00-{TRACE}-{SPAN}-0{}", 1 | u8::from(random) << 1);
            let provider = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
            let mut context = extract(&TraceContext::new(), &headers(&[("traceparent", &came)]));
            // Also through a child of the span.
            for _ in 0..2 {
                use opentelemetry::trace::Tracer;
                let tracer = provider.tracer("test");
                context = context.with_span(tracer.start_with_context("test", &context));
            }
            let sent = inject(&TraceContext::new(), &context);
            let sent = only(&sent, "traceparent").unwrap();
            assert_eq!(&sent[..36], &came[..36], "expected the same trace");
            assert_ne!(&sent[36..52], SPAN, "expected another span");
            assert_eq!(&sent[53..], flags, "{sampler:?} {random}");
        }
    }
}

/// No sampler of the SDK records a span without sampling it.
#[test]
fn the_random_flag_survives_a_span_that_is_recorded_but_not_sampled() {
    #[derive(Debug, Clone)]
    struct RecordOnly;

    impl opentelemetry_sdk::trace::ShouldSample for RecordOnly {
        fn should_sample(
            &self,
            parent: Option<&Context>,
            _: TraceId,
            _: &str,
            _: &opentelemetry::trace::SpanKind,
            _: &[opentelemetry::KeyValue],
            _: &[opentelemetry::trace::Link],
        ) -> opentelemetry_sdk::trace::SamplingResult {
            opentelemetry_sdk::trace::SamplingResult {
                decision: SamplingDecision::RecordOnly,
                attributes: Vec::new(),
                trace_state: parent.unwrap().span().span_context().trace_state().clone(),
            }
        }
    }

    use opentelemetry::trace::Tracer;
    let provider = SdkTracerProvider::builder().with_sampler(RecordOnly).build();
    for (came, sent) in [("01", "00"), ("03", "02"), ("02", "02")] {
        let parent = format!("00-{TRACE}-{SPAN}-{came}");
        let lines = [("traceparent", &*parent), ("tracestate", "a@@b=1,c=2")];
        let context = extract(&TraceContext::new(), &headers(&lines));
        let span = provider.tracer("test").start_with_context("test", &context);
        let headers = inject(&TraceContext::new(), &context.with_span(span));
        assert_eq!(&only(&headers, "traceparent").unwrap()[53..], sent);
        assert_eq!(only(&headers, "tracestate"), Some("a@@b=1,c=2"));
    }
}

#[test]
fn a_new_trace_inherits_nothing_from_the_caller() {
    let came = [("traceparent", &*format!("00-{TRACE}-{SPAN}-03")), ("tracestate", "a@@b=1")];
    let context = extract(&TraceContext::new(), &headers(&came));
    let other = SpanContext::new(
        TraceId::from(1),
        SpanId::from(1),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    let sent = inject(&TraceContext::new(), &context.with_remote_span_context(other));
    assert_eq!(only(&sent, "traceparent").unwrap(), format!("00-{:032x}-{:016x}-01", 1, 1));
    assert_eq!(only(&sent, "tracestate"), None);
}

/// A sampler's change is applied, and the members that the API rejects are still forwarded.
#[test]
fn samplers_may_change_the_state() {
    #[derive(Debug, Clone)]
    struct Changes(fn(&TraceState) -> TraceState);

    impl opentelemetry_sdk::trace::ShouldSample for Changes {
        fn should_sample(
            &self,
            parent: Option<&Context>,
            _: TraceId,
            _: &str,
            _: &opentelemetry::trace::SpanKind,
            _: &[opentelemetry::KeyValue],
            _: &[opentelemetry::trace::Link],
        ) -> opentelemetry_sdk::trace::SamplingResult {
            opentelemetry_sdk::trace::SamplingResult {
                decision: SamplingDecision::RecordAndSample,
                attributes: Vec::new(),
                trace_state: self.0(parent.unwrap().span().span_context().trace_state()),
            }
        }
    }

    type Change = fn(&TraceState) -> TraceState;
    let insert: Change = |state| state.insert("new", "1").unwrap();
    let update: Change = |state| state.insert("b", "changed").unwrap();
    let delete: Change = |state| state.delete("b").unwrap();
    let clear: Change = |_| TraceState::NONE;
    let spoil: Change = |state| state.insert("empty", "").unwrap().insert("line", "a\nb").unwrap();
    let rows = [
        ("a=1,b=2", insert, "new=1,a=1,b=2"),
        ("a=1,b=2", update, "b=changed,a=1"),
        ("a=1,b=2", delete, "a=1"),
        ("a@@=1,b=2,c=3", insert, "new=1,a@@=1,b=2,c=3"),
        ("a@@=1,b=2,c=3", update, "b=changed,a@@=1,c=3"),
        ("a=1,b=2,c@@=3,d=4", delete, "a=1,c@@=3,d=4"),
        ("a=1,b@@=2", clear, "b@@=2"),
        ("a=1,b=2", spoil, "a=1,b=2"),
        ("a=1,b@@=2", spoil, "a=1,b@@=2"),
    ];
    let full: Vec<_> = (0..32).map(|i| format!("k{i}@@=v")).collect();
    let cut = format!("new=1,{}", full[..31].join(","));
    let full = full.join(",");
    for (came, change, expected) in rows.into_iter().chain([(&*full, insert, &*cut)]) {
        use opentelemetry::trace::Tracer;
        let provider = SdkTracerProvider::builder().with_sampler(Changes(change)).build();
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let lines = [("traceparent", &*parent), ("tracestate", came)];
        let context = extract(&TraceContext::new(), &headers(&lines));
        let span = provider.tracer("test").start_with_context("test", &context);
        let sent = inject(&TraceContext::new(), &context.with_span(span));
        assert_eq!(only(&sent, "tracestate"), Some(expected), "{came}");
    }
}

fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    let key = "[a-z0-9][a-z0-9_*/@-]{0,12}";
    let value = "[ -+--<>-~]{0,12}[!-+--<>-~]";
    prop::collection::vec((key, value), 0..=32)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any context survives injection and extraction.
    #[test]
    fn inject_then_extract_is_the_identity(
        trace in 1..=u128::MAX,
        span in 1..=u64::MAX,
        flags in 0..4u8,
        members in members(),
    ) {
        let state = TraceState::from_key_value(members).unwrap_or_default();
        let context = SpanContext::new(trace.into(), span.into(), TraceFlags::new(flags), true, state);
        let sent = inject(&TraceContext::new(), &Context::new().with_remote_span_context(context.clone()));
        let read = extract(&TraceContext::new(), &sent);
        prop_assert_eq!(read.span().span_context().clone(), context);
        prop_assert_eq!(&inject(&TraceContext::new(), &read), &sent);
    }

    /// Any valid list is forwarded byte for byte, also if it came in several lines.
    #[test]
    fn any_valid_state_is_forwarded(members in members(), lines in 1..4usize) {
        let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let chunks: Vec<_> =
            members.chunks(members.len().div_ceil(lines).max(1)).map(|c| c.join(",")).collect();
        let mut given = vec![("traceparent", parent.as_str())];
        given.extend(chunks.iter().map(|line| ("tracestate", line.as_str())));
        let sent = forwarded(&given);
        let expected = members.join(",");
        prop_assert_eq!(only(&sent, "tracestate").unwrap_or_default(), expected);
    }

    /// Arbitrary bytes cause no panic and no header that the grammar forbids.
    #[test]
    fn arbitrary_bytes(
        parent in prop_oneof!["[0-9a-f+ -]{0,60}", "\\PC{0,60}", Just(format!("00-{TRACE}-{SPAN}-01"))],
        state in prop_oneof!["[a-z=, @\t-]{0,40}", "\\PC{0,40}"],
    ) {
        let mut given = http::HeaderMap::new();
        for (name, value) in [("traceparent", parent), ("tracestate", state)] {
            if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
                given.insert(name, value);
            }
        }
        let sent = inject(&TraceContext::new(), &extract(&TraceContext::new(), &given));
        if let Some(parent) = only(&sent, "traceparent") {
            let grammar = |(i, b)| match i {
                2 | 35 | 52 => b == b'-',
                _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            };
            prop_assert!(parent.len() == 55 && parent.bytes().enumerate().all(grammar), "{}", parent);
        }
        for member in only(&sent, "tracestate").into_iter().flat_map(|state| state.split(',')) {
            let (key, value) = member.split_once('=').unwrap();
            prop_assert!(!key.is_empty() && !value.is_empty() && !value.contains('='));
            prop_assert!(!value.ends_with(' ') && key.bytes().all(|b| b"_-*/@".contains(&b)
                || b.is_ascii_lowercase() || b.is_ascii_digit()));
        }
    }
}
