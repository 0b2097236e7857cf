//! W3C Baggage.

use std::{borrow::Cow, sync::OnceLock};

use opentelemetry::{
    Context,
    baggage::{Baggage as Entries, BaggageExt},
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::carrier::BAGGAGE;
use crate::percent;

/// Propagates `baggage` by W3C Baggage.
///
/// It is a [`TextMapPropagator`] for any OpenTelemetry code:
///
/// - Values are percent-encoded and -decoded as the specification says, keys are taken as they
///   are. Octets that are not UTF-8 become U+FFFD.
/// - Properties are kept as they came, encoded, in the entry's metadata. Whatever is set as
///   metadata, it can't become another member.
/// - A malformed member is left out, and none of the others.
/// - 64 members and 8192 bytes are sent and received; what is beyond is left out, member by member.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
/// use opentelemetry::{Context, KeyValue, baggage::BaggageExt, propagation::TextMapPropagator};
/// use tower_telemetry::propagation::Baggage;
///
/// let context = Context::new().with_baggage([KeyValue::new("city", "K\u{f6}ln, a = b")]);
/// let mut headers = HashMap::new();
/// Baggage::new().inject_context(&context, &mut headers);
/// assert_eq!(headers["baggage"], "city=K%C3%B6ln%2C%20a%20=%20b");
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Baggage;

impl Baggage {
    /// Makes the propagator.
    pub fn new() -> Self {
        Self
    }
}

impl Baggage {
    /// The context of a caller who sent these lines; none where there is nothing in them.
    pub(super) fn read<'a>(
        cx: &Context,
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Option<Context> {
        let mut lines = lines.into_iter().peekable();
        lines.peek()?;
        let mut entries = Entries::new();
        let mut bytes = 0;
        for line in lines {
            for text in line.split(',') {
                let Some(member) = Member::parse(text) else { continue };
                let separator = usize::from(bytes > 0);
                let is_full = entries.len() == MAX_MEMBERS && entries.get(member.key).is_none();
                let length = text.trim_matches(OWS).len();
                if is_full || bytes + separator + length > MAX_BYTES {
                    continue;
                }
                bytes += separator + length;
                let Member { key, value, properties } = member;
                entries.insert_with_metadata(key.to_owned(), value.into_owned(), properties);
            }
        }
        (!entries.is_empty()).then(|| cx.with_baggage(entries))
    }
}

impl TextMapPropagator for Baggage {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let mut header = String::new();
        let mut members = 0;
        for (key, (value, metadata)) in cx.baggage() {
            let kept = header.len();
            if members > 0 {
                header.push(',');
            }
            header.push_str(key.as_str());
            header.push('=');
            push_encoded(&mut header, value.as_str(), Percent::Literal);
            push_properties(&mut header, metadata.as_str());
            // Never a part of a member.
            if header.len() > MAX_BYTES {
                header.truncate(kept);
            } else {
                members += 1;
            }
            if members == MAX_MEMBERS {
                break;
            }
        }
        if !header.is_empty() {
            injector.set(BAGGAGE, header);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        // Several lines are one list, whether or not the carrier has joined them.
        let lines = extractor.get_all(BAGGAGE).unwrap_or_default();
        Self::read(cx, lines).unwrap_or_else(|| cx.clone())
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: OnceLock<[String; 1]> = OnceLock::new();
        FieldIter::new(FIELDS.get_or_init(|| [String::from(BAGGAGE)]))
    }
}

/// A member of the list: `key OWS "=" OWS value *( OWS ";" OWS property )`.
struct Member<'a> {
    key: &'a str,
    value: Cow<'a, str>,
    properties: String,
}

impl<'a> Member<'a> {
    fn parse(member: &'a str) -> Option<Self> {
        let mut parts = member.split(';');
        let (key, value) = parts.next()?.split_once('=')?;
        let (key, value) = (key.trim_matches(OWS), value.trim_matches(OWS));
        if !is_token(key) || !value.bytes().all(is_octet) {
            return None;
        }
        let mut properties = String::new();
        for property in parts {
            push_property(&mut properties, property)?;
        }
        Some(Self { key, value: percent::decode(value.as_bytes()), properties })
    }
}

/// Appends metadata as properties: those that can be sent, and nothing that is none.
fn push_properties(header: &mut String, metadata: &str) {
    for property in metadata.split(';') {
        let kept = header.len();
        header.push(';');
        if push_property(header, property).is_none() {
            header.truncate(kept);
        }
    }
}

/// Appends one property, without the white space around its parts; `None` where its key is none.
fn push_property(text: &mut String, property: &str) -> Option<()> {
    let (key, value) = match property.split_once('=') {
        Some((key, value)) => (key.trim_matches(OWS), Some(value.trim_matches(OWS))),
        None => (property.trim_matches(OWS), None),
    };
    if !is_token(key) {
        return None;
    }
    if !text.is_empty() && !text.ends_with(';') {
        text.push(';');
    }
    text.push_str(key);
    if let Some(value) = value {
        text.push('=');
        // It stays encoded in the metadata, and may have been set so by hand.
        push_encoded(text, value, Percent::Escape);
    }
    Some(())
}

/// What a percent sign means in a string that is to be encoded.
#[derive(Clone, Copy, PartialEq)]
enum Percent {
    /// Itself.
    Literal,
    /// The beginning of an escape, where two digits follow.
    Escape,
}

fn push_encoded(text: &mut String, value: &str, sign: Percent) {
    let bytes = value.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        let is_plain = match byte {
            b'%' => sign == Percent::Escape && percent::escape(&bytes[i..]).is_some(),
            byte => is_octet(*byte),
        };
        if is_plain {
            text.push(char::from(*byte));
        } else {
            percent::push_escape(text, *byte);
        }
    }
}

/// RFC 7230, section 3.2.6.
fn is_token(key: &str) -> bool {
    !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// `baggage-octet`: visible, and none of `"`, `,`, `;` and `\`.
fn is_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

const OWS: [char; 2] = [' ', '\t'];
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;
