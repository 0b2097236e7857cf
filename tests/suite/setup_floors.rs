//! The module structure of `setup`: three floors, whose dependencies point down.

use std::{collections::BTreeMap, fs, path::Path};

/// The floors from the bottom up.
const FLOORS: [&str; 3] = ["settings", "export", "lifecycle"];

const LONGEST_FILE: usize = 350;

#[test]
fn floors_use_only_the_floors_below_them() {
    let mut edges = 0;
    for (height, floor) in FLOORS.iter().enumerate() {
        for (path, text) in files(floor) {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let code: String = code.flat_map(|line| [line.trim(), " "]).collect();
            for above in &FLOORS[height + 1..] {
                let is_used = code.contains(&format!("setup::{above}"))
                    || code.contains(&format!("super::{above}"))
                    || code.contains(&format!("{{ {above}::"))
                    || code.contains(&format!(", {above}::"));
                assert!(!is_used, "{path} uses {above}, which is above {floor}");
            }
            edges += FLOORS[..height].iter().filter(|below| code.contains(**below)).count();
        }
    }
    assert!(edges > 5, "the test has seen {edges} uses of a lower floor");
}

#[test]
fn files_are_short_and_have_unique_names() {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for floor in FLOORS {
        for (path, text) in files(floor) {
            let lines = text.lines().count();
            assert!(lines <= LONGEST_FILE, "{path} has {lines} lines");
            let name = Path::new(&path).file_name().unwrap().to_str().unwrap().to_owned();
            if name != "mod.rs" {
                assert!(
                    !Path::new("src").join(&name).exists(),
                    "src/{name} has the name of {path}"
                );
                let other = seen.insert(name, path.clone());
                assert_eq!(other, None, "{path} has the name of another file");
            }
        }
    }
}

fn files(floor: &str) -> Vec<(String, String)> {
    let mut folders = vec![Path::new("src/setup").join(floor)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}
