//! W3C Baggage.

use std::{borrow::Cow, sync::OnceLock};

use opentelemetry::{
    Context,
    baggage::{Baggage as Entries, BaggageExt},
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
};

use super::carrier::BAGGAGE;
use crate::percent;

/// Propagates the `baggage` header as W3C Baggage specifies.
///
/// It is a [`TextMapPropagator`], so any OpenTelemetry code can use it:
///
/// - Values are percent-encoded and -decoded. Keys are not. Octets that are not valid UTF-8 become
///   U+FFFD.
/// - Properties stay percent-encoded in the metadata of their entry. Metadata that is not a valid
///   property is not sent, so metadata can't add a member.
/// - A malformed member is skipped. The other members are still read.
/// - At most 64 members and 8192 bytes are sent, and as much is received. Members beyond that are
///   skipped; a member is never cut.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
/// use tower_telemetry::{
///     opentelemetry::{Context, KeyValue, baggage::BaggageExt, propagation::TextMapPropagator},
///     propagation::Baggage,
/// };
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
    /// Creates the propagator.
    pub fn new() -> Self {
        Self
    }
}

impl Baggage {
    /// Returns `cx` with the baggage of these header lines. Returns `None` if they contain no valid
    /// member.
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
            let before = header.len();
            if members > 0 {
                header.push(',');
            }
            header.push_str(key.as_str());
            header.push('=');
            push_encoded(&mut header, value.as_str(), Percent::Literal);
            push_properties(&mut header, metadata.as_str());
            // A member that doesn't fit is skipped, never cut.
            if header.len() > MAX_BYTES {
                header.truncate(before);
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

/// A list member: `key OWS "=" OWS value *( OWS ";" OWS property )`.
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

/// Appends the valid properties of `metadata`, and skips the others.
fn push_properties(header: &mut String, metadata: &str) {
    for property in metadata.split(';') {
        let before = header.len();
        header.push(';');
        if push_property(header, property).is_none() {
            header.truncate(before);
        }
    }
}

/// Appends one property without optional white space. Returns `None` if its key is not a token.
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
        // Metadata from a caller is still encoded. Metadata set by the application may not be.
        push_encoded(text, value, Percent::Escape);
    }
    Some(())
}

/// Encodings of a percent sign.
#[derive(Clone, Copy, PartialEq)]
enum Percent {
    /// Always escape it.
    Literal,
    /// Leave it if it begins an escape, because the text is already encoded.
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

/// Returns true for a `token` (RFC 7230, section 3.2.6).
fn is_token(key: &str) -> bool {
    !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Returns true for a `baggage-octet`: a visible character other than `"`, `,`, `;` and `\`.
fn is_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

const OWS: [char; 2] = [' ', '\t'];
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;
