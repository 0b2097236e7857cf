//! Escaping: of label values and of help texts.

use super::number::Format;

/// Appends text within quotes.
pub(super) fn push_escaped(out: &mut String, text: &str) {
    push_replaced(out, text, &['\\', '"', '\n']);
}

/// Appends the text of a help line. The text format has quotes there as they are.
pub(super) fn push_help(out: &mut String, text: &str, format: Format) {
    match format {
        Format::Text => push_replaced(out, text, &['\\', '\n']),
        Format::OpenMetrics => push_escaped(out, text),
    }
}

fn push_replaced(out: &mut String, mut text: &str, special: &[char]) {
    while let Some(at) = text.find(special) {
        out.push_str(&text[..at]);
        out.push('\\');
        // The special characters are of one byte each.
        match &text[at..=at] {
            "\n" => out.push('n'),
            character => out.push_str(character),
        }
        text = &text[at + 1..];
    }
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help() {
        for (text, in_text, in_open_metrics) in [
            ("plain", "plain", "plain"),
            ("a\nb\\c\"d", "a\\nb\\\\c\"d", "a\\nb\\\\c\\\"d"),
            ("\\\\n", "\\\\\\\\n", "\\\\\\\\n"),
        ] {
            for (format, expected) in
                [(Format::Text, in_text), (Format::OpenMetrics, in_open_metrics)]
            {
                let mut out = String::new();
                push_help(&mut out, text, format);
                assert_eq!(out, expected, "{text:?}");
            }
        }
    }
}
