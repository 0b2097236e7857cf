//! W3C Baggage.

use std::collections::BTreeMap;

use opentelemetry::{
    Context, KeyValue,
    baggage::{Baggage as Entries, BaggageExt, KeyValueMetadata},
};
use proptest::prelude::*;
use tower_telemetry::propagation::Baggage;

use super::{extract, headers, inject, only};

type Map = BTreeMap<String, (String, String)>;

fn entries(context: &Context) -> Map {
    let entry = |(key, (value, metadata)): (&opentelemetry::Key, &(_, _))| {
        let value: &opentelemetry::StringValue = value;
        let metadata: &opentelemetry::baggage::BaggageMetadata = metadata;
        (key.to_string(), (value.to_string(), metadata.to_string()))
    };
    context.baggage().iter().map(entry).collect()
}

fn read(lines: &[&str]) -> Map {
    let lines: Vec<_> = lines.iter().map(|line| ("baggage", *line)).collect();
    entries(&extract(&Baggage::new(), &headers(&lines)))
}

fn map(expected: &[(&str, &str, &str)]) -> Map {
    let entry = |(k, v, p): &(&str, &str, &str)| ((*k).into(), ((*v).into(), (*p).into()));
    expected.iter().map(entry).collect()
}

/// Section 3.
#[test]
fn extraction_follows_the_grammar() {
    type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str, &'a str)]);
    let rows: [Row<'_>; 31] = [
        // 3.3.1: the examples of the specification.
        (
            &[
                "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
            ],
            &[
                ("key1", "value1", "property1;property2"),
                ("key2", "value2", ""),
                ("key3", "value3", "propertyKey=propertyValue"),
            ],
        ),
        (
            &["userId=alice,serverNode=DF%2028,isProduction=false"],
            &[("userId", "alice", ""), ("serverNode", "DF 28", ""), ("isProduction", "false", "")],
        ),
        (&["userId=Am%C3%A9lie"], &[("userId", "Amélie", "")]),
        (
            &["userId=alice", "serverNode=DF%2028,isProduction=false"],
            &[("userId", "alice", ""), ("serverNode", "DF 28", ""), ("isProduction", "false", "")],
        ),
        (
            &["userId =   alice", "", "serverNode = DF%2028, isProduction = false"],
            &[("userId", "alice", ""), ("serverNode", "DF 28", ""), ("isProduction", "false", "")],
        ),
        // Optional white space in all positions.
        (
            &["a \t = \t 1 \t ; \t p \t = \t 2 \t ; \t q \t , \t b \t = \t 2"],
            &[("a", "1", "p=2;q"), ("b", "2", "")],
        ),
        // Keys are tokens and are not decoded.
        (&["!#$%&'*+-.^_`|~0aZ=1"], &[("!#$%&'*+-.^_`|~0aZ", "1", "")]),
        (&["a%20b=1"], &[("a%20b", "1", "")]),
        (&["=1"], &[]),
        (&["a"], &[]),
        (&["a b=1"], &[]),
        (&["(a)=1,b=2"], &[("b", "2", "")]),
        (&["\"a\"=1"], &[]),
        // Values may contain `=` and every `baggage-octet`.
        (&["a=b=c=="], &[("a", "b=c==", "")]),
        (&["a="], &[("a", "", "")]),
        (&["a=!#$&'()*+-./:<=>?@[]^_`{|}~"], &[("a", "!#$&'()*+-./:<=>?@[]^_`{|}~", "")]),
        (&["a=x y,b=1"], &[("b", "1", "")]),
        (&["a=\"x\",b=1"], &[("b", "1", "")]),
        (&["a=x\\y,b=1"], &[("b", "1", "")]),
        (
            &["a=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29"],
            &[("a", "\t \"';=asdf!@#$%^&*()", "")],
        ),
        (&["a=%2c%2C"], &[("a", ",,", "")]),
        (&["a=%F0%9F%98%BC"], &[("a", "😼", "")]),
        // Octets that are not valid UTF-8 become U+FFFD.
        (&["a=x%FFy"], &[("a", "x\u{fffd}y", "")]),
        (&["a=%C4"], &[("a", "\u{fffd}", "")]),
        // A percent sign that begins no escape is a literal.
        (
            &["a=%,b=%4,c=%zz,d=100%"],
            &[("a", "%", ""), ("b", "%4", ""), ("c", "%zz", ""), ("d", "100%", "")],
        ),
        (&["a=+1"], &[("a", "+1", "")]),
        // Properties are not decoded, and their keys must be tokens.
        (&["a=1;p=%20%2C;q=a=b;p"], &[("a", "1", "p=%20%2C;q=a=b;p")]),
        (&["a=1;;b"], &[]),
        (&["a=1;p q,b=2"], &[("b", "2", "")]),
        // Empty members are skipped.
        (&[",,a=1, ,b=2,"], &[("a", "1", ""), ("b", "2", "")]),
        (&["a=\u{e9}", "b=2"], &[("b", "2", "")]),
    ];
    for (lines, expected) in rows {
        assert_eq!(read(lines), map(expected), "{lines:?}");
    }
}

/// Section 3.3.1.3. The sent header is read again.
#[test]
fn injection_encodes_values_and_checks_metadata() {
    let rows = [
        ("DF 28", "", "k=DF%2028"),
        ("Amélie", "", "k=Am%C3%A9lie"),
        ("100%", "", "k=100%25"),
        ("%20", "", "k=%2520"),
        ("a=b", "", "k=a=b"),
        ("a,evil=1", "", "k=a%2Cevil=1"),
        ("a;evil", "", "k=a%3Bevil"),
        ("a\r\nevil: 1", "", "k=a%0D%0Aevil:%201"),
        ("\0\u{7f}\"\\", "", "k=%00%7F%22%5C"),
        ("", "", "k="),
        ("v", "p=1;q", "k=v;p=1;q"),
        ("v", " p = 1 ; q ", "k=v;p=1;q"),
        ("v", "p=%20", "k=v;p=%20"),
        ("v", "p=100%", "k=v;p=100%25"),
        // Metadata can't add a member or a header.
        ("v", "p,evil=1", "k=v"),
        ("v", "p=1,evil=1", "k=v;p=1%2Cevil=1"),
        ("v", "p=1\r\nx: y", "k=v;p=1%0D%0Ax:%20y"),
        ("v", "p=é", "k=v;p=%C3%A9"),
        ("v", "p p;q", "k=v;q"),
        ("v", ";;", "k=v"),
    ];
    for (value, metadata, expected) in rows {
        let entry = KeyValueMetadata::new("k", value.to_owned(), metadata);
        let context = Context::new().with_baggage([entry]);
        let sent = inject(&Baggage::new(), &context);
        assert_eq!(only(&sent, "baggage"), Some(expected), "{value:?} {metadata:?}");
        let again = extract(&Baggage::new(), &sent);
        assert_eq!(entries(&again)["k"].0, value);
        assert_eq!(entries(&again).len(), 1);
    }
    assert!(inject(&Baggage::new(), &Context::new()).is_empty());
}

/// Section 3.3.2.
#[test]
fn members_beyond_the_limits_are_skipped() {
    let member = |i: usize| format!("k{i}=v");
    let list = |count| (0..count).map(member).collect::<Vec<_>>().join(",");
    assert_eq!(read(&[&list(64)]).len(), 64);
    assert_eq!(read(&[&list(200)]).len(), 64);
    let padded = |length: usize| format!("a={}", "x".repeat(length - 2));
    assert_eq!(read(&[&padded(8192)]).len(), 1);
    assert_eq!(read(&[&padded(8193)]).len(), 0);
    // A member that doesn't fit is skipped, never cut.
    assert_eq!(read(&[&padded(8193), "b=1"]).len(), 1);
    assert_eq!(read(&["b=1", &padded(8188)]).len(), 2);
    assert_eq!(read(&["b=1", &padded(8189), "c=1"]).len(), 2);
    assert_eq!(read(&[&list(64), "k0=again"]).len(), 64);

    // Encoding triples the length of these values. The members that don't fit are not sent.
    let entries: Vec<_> =
        (0..64).map(|i| KeyValue::new(format!("k{i}"), ",".repeat(100))).collect();
    let sent = inject(&Baggage::new(), &Context::new().with_baggage(entries));
    let sent = only(&sent, "baggage").unwrap();
    assert!(sent.len() <= 8192 && sent.len() > 8192 - 310, "{}", sent.len());
    assert_eq!(read(&[sent]).len(), sent.split(',').count());
    assert!(read(&[sent]).values().all(|(value, _)| *value == ",".repeat(100)));
}

/// A header without a valid member doesn't change the context.
#[test]
fn a_header_without_members_leaves_the_context_unchanged() {
    use opentelemetry::propagation::TextMapPropagator;
    let context = Context::new().with_baggage([KeyValue::new("own", "1")]);
    for lines in [&[][..], &[("baggage", "")], &[("baggage", "invalid")]] {
        let carrier = headers(lines);
        let carrier = tower_telemetry::propagation::HeaderExtractor::new(&carrier);
        let read = Baggage::new().extract_with_context(&context, &carrier);
        assert_eq!(entries(&read), entries(&context), "{lines:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any value survives injection and extraction.
    #[test]
    fn inject_then_extract_is_the_identity(
        given in prop::collection::btree_map("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}", any::<String>(), 0..20)
    ) {
        let entries_of = |(key, value): (&String, &String)| KeyValue::new(key.clone(), value.clone());
        let baggage: Entries = given.iter().map(entries_of).collect();
        let sent = inject(&Baggage::new(), &Context::new().with_baggage(baggage));
        let read = entries(&extract(&Baggage::new(), &sent));
        let expected: Map = given.into_iter().map(|(k, v)| (k, (v, String::new()))).collect();
        prop_assert_eq!(read, expected);
    }

    /// Arbitrary metadata adds no member and changes none.
    #[test]
    fn metadata_never_becomes_a_member(metadata in any::<String>()) {
        let entry = KeyValueMetadata::new("k", "v", metadata);
        let other = KeyValueMetadata::new("other", "v", "");
        let sent = inject(&Baggage::new(), &Context::new().with_baggage([entry, other]));
        let read = extract(&Baggage::new(), &sent);
        prop_assert!(entries(&read).keys().eq(["k", "other"]), "{:?}", entries(&read));
        // Extracted metadata is sent unchanged.
        let again = extract(&Baggage::new(), &inject(&Baggage::new(), &read));
        prop_assert_eq!(entries(&again), entries(&read));
    }

    /// Arbitrary bytes cause no panic and no entry that the grammar forbids.
    #[test]
    fn arbitrary_bytes(value in prop_oneof!["[a-c=;, %\t0-9A-F\"\\\\]{0,60}", "\\PC{0,60}"]) {
        let mut given = http::HeaderMap::new();
        if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
            given.insert("baggage", value);
        }
        let read = extract(&Baggage::new(), &given);
        for key in entries(&read).keys() {
            prop_assert!(!key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic()));
        }
        let again = extract(&Baggage::new(), &inject(&Baggage::new(), &read));
        prop_assert_eq!(entries(&again), entries(&read));
    }
}
