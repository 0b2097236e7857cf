//! Percent-encoding and -decoding (RFC 3986, section 2.1).

use std::borrow::Cow;

/// Decodes the escape at the start of `bytes`. Returns `None` if `bytes` does not start with a
/// valid escape.
pub(crate) fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// Decodes `text`, octet by octet. A percent sign without two hexadecimal digits is a literal.
pub(crate) fn octets(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, tail) = rest.split_first()?;
        match escape(rest) {
            Some(octet) => {
                rest = &rest[3..];
                Some(octet)
            }
            None => {
                rest = tail;
                Some(*first)
            }
        }
    })
}

/// Decodes `text` into a string. Octets that are not valid UTF-8 become U+FFFD.
pub(crate) fn decode(text: &[u8]) -> Cow<'_, str> {
    if !text.contains(&b'%') {
        return String::from_utf8_lossy(text);
    }
    let octets: Vec<_> = octets(text).collect();
    Cow::Owned(String::from_utf8_lossy(&octets).into_owned())
}

/// Appends an octet as an escape.
pub(crate) fn push_escape(text: &mut String, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(octet >> 4)]));
    text.push(char::from(DIGITS[usize::from(octet & 0xf)]));
}
