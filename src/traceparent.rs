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
        let [version] = hex(&fields[..2])?;
        match (version, rest) {
            (0xff, _) => return None,
            (0, []) | (1.., [] | [b'-', ..]) => {}
            // Version 00 has nothing more, and later ones add more behind a dash.
            _ => return None,
        }
        let [flags] = hex(&fields[53..])?;
        let parsed = Self {
            trace_id: TraceId::from(u128::from_be_bytes(hex(&fields[3..35])?)),
            span_id: SpanId::from(u64::from_be_bytes(hex(&fields[36..52])?)),
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
        write_hex(&mut text[53..], &[(self.flags & KNOWN).to_u8()]);
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

/// Lower-case hexadecimal digits, and nothing else: `from_str_radix` would take a sign.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
        *byte = high << 4 | low & 0xf;
        seen |= high | low;
    }
    (seen & NO_DIGIT == 0).then_some(bytes)
}

/// The value of each octet as a digit. One look for each, and one check for all: this is read for
/// every request.
static DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = 0x80;

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
}
