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
///
/// Eight at a time in one register, for this is read for every request: whatever the octets are, they
/// are decoded as if they were digits, and were digits where encoding gives them back.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut differs = 0;
    for (bytes, digits) in bytes.chunks_mut(4).zip(digits.chunks(8)) {
        let mut octets = [b'0'; 8];
        octets[..digits.len()].copy_from_slice(digits);
        let octets = u64::from_be_bytes(octets);
        let is_letter = octets >> 6 & EACH;
        let nibbles = ((octets & LOW) + is_letter * 9) & LOW;
        differs |= octets ^ to_digits(nibbles);
        let pairs = (nibbles >> 4 | nibbles) & 0x00ff_00ff_00ff_00ff;
        let quads = (pairs >> 8 | pairs) & 0x0000_ffff_0000_ffff;
        let value = (quads >> 16 | quads) as u32;
        bytes.copy_from_slice(&value.to_be_bytes()[..bytes.len()]);
    }
    (differs == 0).then_some(bytes)
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    for (text, bytes) in text.chunks_mut(8).zip(bytes.chunks(4)) {
        let mut value = [0; 4];
        value[..bytes.len()].copy_from_slice(bytes);
        let quads = u64::from(u32::from_be_bytes(value));
        let pairs = (quads << 16 | quads) & 0x0000_ffff_0000_ffff;
        let nibbles = (pairs << 8 | pairs) & 0x00ff_00ff_00ff_00ff;
        let digits = to_digits((nibbles << 4 | nibbles) & LOW);
        text.copy_from_slice(&digits.to_be_bytes()[..text.len()]);
    }
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
        let digits = *b"0af7651916cd43dd8448eb211c80319c";
        for place in 0..digits.len() {
            for octet in 0..=u8::MAX {
                let mut text = digits;
                text[place] = octet;
                let expected = matches!(octet, b'0'..=b'9' | b'a'..=b'f').then(|| {
                    let text = std::str::from_utf8(&text).unwrap();
                    u128::from_str_radix(text, 16).unwrap().to_be_bytes()
                });
                assert_eq!(hex::<16>(&text), expected, "{octet:#x} at {place}");
                if let Some(bytes) = expected {
                    let mut written = [0; 32];
                    write_hex(&mut written, &bytes);
                    assert_eq!(written, text);
                }
            }
        }
        for byte in 0..=u8::MAX {
            let text = format!("{byte:02x}");
            assert_eq!(hex(text.as_bytes()), Some([byte]));
            let mut written = [0; 2];
            write_hex(&mut written, &[byte]);
            assert_eq!(written, *text.as_bytes());
        }
    }
}
