//! What the house promises of its own shape.

use std::{fs, path::Path};

/// The rooms from the bottom up: each uses only those below it.
const ROOMS: [&str; 11] = [
    "percent",
    "end",
    "hash_trie",
    "traceparent",
    "convention",
    "observe",
    "propagation",
    "span",
    "metrics",
    "telemetry",
    "lib",
];

/// Rooms that know of none above them, and none of each other.
const SIGNALS: [&str; 3] = ["propagation", "span", "metrics"];

/// Rooms beside the layers, with what they may use.
const BESIDE: [(&str, &[&str]); 9] = [
    ("attempts", &["observe"]),
    ("axum", &["convention"]),
    ("database", &["hash_trie"]),
    ("logs", &[]),
    ("prometheus", &[]),
    ("reqwest", &["attempts", "convention", "observe", "telemetry"]),
    ("reqwest_middleware", &["convention", "observe", "reqwest", "telemetry"]),
    ("resources", &[]),
    ("setup", &["logs", "percent", "prometheus", "propagation"]),
];

#[test]
fn dependencies_point_down() {
    let mut edges = 0;
    for (file, text) in sources(Path::new("src")) {
        let room = room(&file);
        for used in used_rooms(&text) {
            if used == room {
                continue;
            }
            edges += 1;
            let at = |room: &str| ROOMS.iter().position(|r| *r == room);
            let allowed = match BESIDE.iter().find(|(beside, _)| *beside == room) {
                Some((_, allowed)) => allowed.contains(&used.as_str()),
                None => {
                    at(&used).zip(at(&room)).is_some_and(|(used, room)| used < room)
                        && !(SIGNALS.contains(&room.as_str()) && SIGNALS.contains(&used.as_str()))
                }
            };
            let is_room = at(&used).is_some() || BESIDE.iter().any(|(beside, _)| *beside == used);
            assert!(allowed && is_room, "{file}: {room} uses {used}, which is not below it");
        }
    }
    assert!(edges > 10, "the test has seen the edges");
}

/// The rooms that a file names by `crate::`.
fn used_rooms(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|line| line.trim_start())
        .filter(|line| !line.starts_with("//"))
        .collect::<Vec<_>>()
        .join(" ");
    let code = code.split("#[cfg(test)] mod tests").next().unwrap();
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            // The names at the first depth of `crate::{a::{b, c}, d}`.
            let mut depth = 0;
            let mut name = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut name)),
                    c if depth == 0 => name.push(c),
                    _ => {}
                }
            }
            rooms.push(name);
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms
        .iter()
        .map(|name| name.trim().split("::").next().unwrap().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

fn room(file: &str) -> String {
    let path = file.trim_start_matches("src/");
    path.split(['/', '.']).next().unwrap().to_owned()
}

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources.extend(self::sources(&path));
        } else {
            sources.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    sources
}

/// A change of the golden telemetry is told under *Telemetry*.
#[test]
fn the_changelog_tells_of_telemetry() {
    let changelog = fs::read_to_string("CHANGELOG.md").unwrap();
    assert!(changelog.contains("### Telemetry"));
    let golden = fs::read("tests/suite/golden/telemetry.txt").unwrap();
    // FNV-1a: any change of the text changes the line that the changelog must carry.
    let sum = golden.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let line = format!("golden telemetry {sum:016x}");
    assert!(changelog.contains(&line), "CHANGELOG.md, under Telemetry, has to name: {line}");
}
