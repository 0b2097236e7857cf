//! The grammar of `traceparent` (W3C Trace Context Level 2, section 3.2).

use opentelemetry::{
    Context, TraceFlags,
    trace::{SpanId, TraceContextExt, TraceId},
};

/// What a `traceparent` says, version and unknown flags aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) flags: TraceFlags,
}

/// The trace id was made at random; it is sent on for as long as the trace lasts.
pub(crate) const RANDOM: TraceFlags = TraceFlags::new(0x02);

/// In a context: the caller's trace has the random flag. A span made by the SDK loses it where a
/// sampler drops it.
#[derive(Debug)]
pub(crate) struct RandomTrace(pub(crate) TraceId);

impl TraceParent {
    /// What is sent for the span of this context; `None` where it is no valid one.
    pub(crate) fn of(context: &Context) -> Option<Self> {
        let span = context.span();
        let span = span.span_context();
        let trace_id = span.trace_id();
        let is_random = context.get::<RandomTrace>().is_some_and(|random| random.0 == trace_id);
        let random = if is_random { RANDOM } else { TraceFlags::NOT_SAMPLED };
        let flags = span.trace_flags() | random;
        span.is_valid().then(|| Self { trace_id, span_id: span.span_id(), flags })
    }

    /// Reads a header's value; `None` where it has to be ignored.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let value = trimmed(value.as_bytes());
        let (fields, rest) = value.split_first_chunk::<LENGTH>()?;
        let dashes = [fields[2], fields[35], fields[52]];
        if dashes != [b'-'; 3] {
            return None;
        }
        // The version and the flags, with digits to spare.
        let ends = [fields[0], fields[1], fields[53], fields[54], b'0', b'0', b'0', b'0'];
        let [version, flags, ..] = value_of(ends)?.to_be_bytes();
        match (version, rest) {
            (0xff, _) => return None,
            (0, []) | (1.., [] | [b'-', ..]) => {}
            // Version 00 has nothing more, and later ones add more behind a dash.
            _ => return None,
        }
        let parsed = Self {
            trace_id: TraceId::from(number(&fields[3..35])?),
            span_id: SpanId::from(number(&fields[36..52])? as u64),
            flags: TraceFlags::new(flags) & KNOWN,
        };
        let is_valid = parsed.trace_id != TraceId::INVALID && parsed.span_id != SpanId::INVALID;
        is_valid.then_some(parsed)
    }

    /// Writes a header's value: version 00, and flags that this version knows.
    pub(crate) fn to_text(self) -> String {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_bytes());
        write_hex(&mut text[36..52], &self.span_id.to_bytes());
        let [.., high, low] = digits_of(u32::from((self.flags & KNOWN).to_u8()));
        (text[53], text[54]) = (high, low);
        String::from_utf8(text.to_vec()).expect("dashes and hexadecimal digits are ASCII")
    }
}

const LENGTH: usize = 55;
const KNOWN: TraceFlags = TraceFlags::new(0x03);

/// The value without the white space that a header may have around it.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The number that these digits are: a multiple of eight of them.
#[inline]
fn number(digits: &[u8]) -> Option<u128> {
    debug_assert!(digits.len().is_multiple_of(8));
    let words = digits.as_chunks().0.iter();
    words.copied().try_fold(0, |number, word| Some(number << 32 | u128::from(value_of(word)?)))
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    for (text, word) in text.as_chunks_mut().0.iter_mut().zip(bytes.as_chunks().0) {
        *text = digits_of(u32::from_be_bytes(*word));
    }
}

/// The value of eight hexadecimal digits in lower case; `None` where that isn't what they are:
/// `from_str_radix` would take a sign, and capitals.
///
/// All eight in one register, for this is read for every request: whatever the octets are, they are
/// decoded as if they were digits, and were digits where encoding gives them back.
fn value_of(octets: [u8; 8]) -> Option<u32> {
    let octets = u64::from_be_bytes(octets);
    let is_letter = octets >> 6 & EACH;
    let nibbles = ((octets & LOW) + is_letter * 9) & LOW;
    let pairs = (nibbles >> 4 | nibbles) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs >> 8 | pairs) & 0x0000_ffff_0000_ffff;
    (to_digits(nibbles) == octets).then_some((quads >> 16 | quads) as u32)
}

fn digits_of(value: u32) -> [u8; 8] {
    let quads = u64::from(value);
    let pairs = (quads << 16 | quads) & 0x0000_ffff_0000_ffff;
    let nibbles = (pairs << 8 | pairs) & 0x00ff_00ff_00ff_00ff;
    to_digits((nibbles << 4 | nibbles) & LOW).to_be_bytes()
}

/// The digits of eight values below sixteen, each in an octet of its own.
fn to_digits(nibbles: u64) -> u64 {
    // Ten and above carry into the upper half.
    let is_letter = (nibbles + EACH * 6) >> 4 & EACH;
    nibbles + EACH * u64::from(b'0') + is_letter * u64::from(b'a' - b'0' - 10)
}

/// One in each octet.
const EACH: u64 = 0x0101_0101_0101_0101;
/// The lower half of each octet.
const LOW: u64 = EACH * 0x0f;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_in_every_place_is_a_digit_or_none() {
        let digits = *b"0af7c319";
        for place in 0..digits.len() {
            for octet in 0..=u8::MAX {
                let mut text = digits;
                text[place] = octet;
                let expected = matches!(octet, b'0'..=b'9' | b'a'..=b'f')
                    .then(|| u32::from_str_radix(std::str::from_utf8(&text).unwrap(), 16).unwrap());
                assert_eq!(value_of(text), expected, "{octet:#x} at {place}");
                if let Some(value) = expected {
                    assert_eq!(digits_of(value), text);
                }
            }
        }
    }
}
