//! Text that must equal a file. `UPDATE_GOLDEN=1` writes the file.

/// Panics with the first line that differs.
pub(crate) fn assert_equal(file: &str, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, text).unwrap();
    }
    let golden = std::fs::read_to_string(file).unwrap();
    let changed = golden.lines().zip(text.lines()).position(|(golden, now)| golden != now);
    let changed = changed.map(|line| (line + 1, text.lines().nth(line).unwrap_or_default()));
    assert!(golden == text, "the telemetry differs from {file}, first at line {changed:?}");
}
