//! Reads and writes `traceparent` (W3C Trace Context Level 2, section 3.2).

use opentelemetry::{
    Context, TraceFlags,
    trace::{SpanId, TraceContextExt, TraceId},
};

/// The fields of a `traceparent`, without the version and without flags that this crate doesn't
/// know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) flags: TraceFlags,
}

/// The *random-trace-id* flag. It is forwarded with every `traceparent` of the trace.
pub(crate) const RANDOM: TraceFlags = TraceFlags::new(0x02);

/// Marks a context whose caller sent the random flag with this trace id.
///
/// The flag can't live in the span context alone: a span that a sampler drops loses it.
#[derive(Debug)]
pub(crate) struct RandomTrace(pub(crate) TraceId);

impl TraceParent {
    /// Returns the `traceparent` to send for the span of `context`. Returns `None` if the span
    /// context is invalid.
    pub(crate) fn of(context: &Context) -> Option<Self> {
        let span = context.span();
        let span = span.span_context();
        let trace_id = span.trace_id();
        let is_random = context.get::<RandomTrace>().is_some_and(|random| random.0 == trace_id);
        let random = if is_random { RANDOM } else { TraceFlags::NOT_SAMPLED };
        let flags = span.trace_flags() | random;
        span.is_valid().then(|| Self { trace_id, span_id: span.span_id(), flags })
    }

    /// Parses the value of the header. Returns `None` for a value that must be ignored.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let value = trimmed(value.as_bytes());
        let (fields, rest) = value.split_first_chunk::<LENGTH>()?;
        let dashes = [fields[2], fields[35], fields[52]];
        if dashes != [b'-'; 3] {
            return None;
        }
        match (parse_hex(&fields[..2])?, rest) {
            (0xff, _) => return None,
            (0, []) | (1.., [] | [b'-', ..]) => {}
            // Version 00 ends here, and later versions may only append fields after a dash.
            _ => return None,
        }
        let (high, low) = (parse_hex(&fields[3..19])?, parse_hex(&fields[19..35])?);
        let parsed = Self {
            trace_id: TraceId::from(u128::from(high) << 64 | u128::from(low)),
            span_id: SpanId::from(parse_hex(&fields[36..52])?),
            flags: TraceFlags::new(parse_hex(&fields[53..])? as u8) & KNOWN,
        };
        let is_valid = parsed.trace_id != TraceId::INVALID && parsed.span_id != SpanId::INVALID;
        is_valid.then_some(parsed)
    }

    /// Returns the value of the header in version 00, with the flags that this version defines.
    pub(crate) fn to_text(self) -> String {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_bytes());
        write_hex(&mut text[36..52], &self.span_id.to_bytes());
        write_hex(&mut text[53..], &[(self.flags & KNOWN).to_u8()]);
        String::from_utf8(text.to_vec()).expect("dashes and hexadecimal digits are ASCII")
    }
}

/// The length of version 00.
const LENGTH: usize = 55;
const KNOWN: TraceFlags = TraceFlags::new(0x03);

/// Removes optional white space around the value of a header.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Parses at most 16 lowercase hexadecimal digits. Unlike `from_str_radix` it rejects signs and
/// capitals, as the specification demands.
fn parse_hex(digits: &[u8]) -> Option<u64> {
    let (mut number, mut all) = (0, 0);
    for digit in digits {
        let value = VALUES[usize::from(*digit)];
        all |= value;
        number = number << 4 | u64::from(value & 0xf);
    }
    (all != INVALID).then_some(number)
}

/// Writes two lowercase digits for each byte.
fn write_hex(text: &mut [u8], bytes: &[u8]) {
    for (text, byte) in text.chunks_exact_mut(2).zip(bytes) {
        text[0] = DIGITS[usize::from(byte >> 4)];
        text[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of each octet as a digit.
const VALUES: [u8; 256] = {
    let mut values = [INVALID; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};
const INVALID: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lowercase_hexadecimal_digits_are_parsed() {
        let digits = *b"0af7c319";
        for position in 0..digits.len() {
            for octet in 0..=u8::MAX {
                let mut text = digits;
                text[position] = octet;
                let expected = matches!(octet, b'0'..=b'9' | b'a'..=b'f')
                    .then(|| u64::from_str_radix(std::str::from_utf8(&text).unwrap(), 16).unwrap());
                assert_eq!(parse_hex(&text), expected, "{octet:#x} at {position}");
            }
        }
    }

    #[test]
    fn every_byte_is_written_as_two_digits() {
        for byte in 0..=u8::MAX {
            let mut text = [0; 2];
            write_hex(&mut text, &[byte]);
            assert_eq!(text, format!("{byte:02x}").as_bytes());
        }
    }
}
