//! The shape of the source: which module may use which, and how long a file may be.

use std::{collections::BTreeMap, fs, path::Path};

/// The modules at the root, and those that each may use. A module may only use earlier ones.
const ROOT: [(&str, &[&str]); 33] = [
    ("contain", &[]),
    ("end", &[]),
    ("error_sources", &[]),
    ("hash_trie", &[]),
    ("percent", &[]),
    ("quoted", &[]),
    ("stdout", &[]),
    ("traceparent", &[]),
    ("convention", &["contain", "end", "error_sources", "hash_trie", "percent", "quoted"]),
    ("providers", &["convention"]),
    ("background", &["providers"]),
    ("exemplars", &["convention", "hash_trie"]),
    ("observe", &["contain", "convention", "end"]),
    ("propagation", &["convention", "end", "observe", "percent", "traceparent"]),
    ("span", &["convention", "end", "observe", "providers", "traceparent"]),
    ("metrics", &["convention", "end", "exemplars", "hash_trie", "observe", "providers"]),
    ("telemetry", &["convention", "end", "metrics", "observe", "propagation", "span"]),
    ("attempts_layer", &["observe"]),
    ("caller_context_layer", &[]),
    ("request_body_layer", &["convention"]),
    ("digest", &[]),
    ("console", &["digest", "stdout"]),
    ("testing", &["digest"]),
    ("local_caller", &["convention"]),
    ("viewer", &["convention", "digest", "local_caller", "percent"]),
    ("baggage_keys", &["convention"]),
    ("logs", &["baggage_keys", "local_caller", "stdout"]),
    ("pull", &["exemplars", "quoted", "stdout"]),
    ("database", &["convention", "exemplars", "hash_trie", "providers"]),
    ("resources", &["convention", "database", "end", "providers"]),
    ("sampling", &["convention"]),
    (
        "integrations",
        &[
            "attempts_layer",
            "contain",
            "convention",
            "database",
            "observe",
            "percent",
            "propagation",
            "providers",
            "resources",
            "telemetry",
        ],
    ),
    (
        "setup",
        &[
            "baggage_keys",
            "console",
            "convention",
            "error_sources",
            "exemplars",
            "logs",
            "percent",
            "propagation",
            "pull",
            "resources",
            "stdout",
            "viewer",
        ],
    ),
];

/// The files of `convention/` from the bottom up. Each may use only those before it.
const CONVENTION: [&str; 46] = [
    "names",
    "side",
    "protocol",
    "values",
    "attribute_set",
    "route",
    "first_request",
    "request_body",
    "url_parts",
    "filter",
    "instruments",
    "parties/scheme",
    "parties/address",
    "parties/hosts",
    "parties/origin",
    "parties/forwarded_header",
    "parties/forwarded",
    "parties",
    "error/chain",
    "error/kinds",
    "error/classify",
    "error",
    "http/method",
    "options",
    "cache/interner",
    "cache/rpc_methods",
    "cache/templates",
    "cache",
    "rules",
    "labels",
    "grpc/code",
    "grpc/deadline",
    "grpc/call",
    "grpc/outcome",
    "facts",
    "http/status",
    "http/url",
    "http/http_attributes",
    "http",
    "grpc/rpc_attributes",
    "grpc/call_key",
    "grpc",
    "read",
    "emit",
    "series_key",
    "both_sides",
];

#[test]
fn root_modules_use_only_what_they_may() {
    let mut edges = 0;
    for (file, text) in sources(Path::new("src")) {
        let module = module_of(&file, "src/").split('/').next().unwrap().to_owned();
        for path in paths(&text, "crate::") {
            let used = path.split("::").next().unwrap();
            if used == module || module == "lib" {
                continue;
            }
            edges += 1;
            let allowed = ROOT.iter().enumerate().find(|(_, (name, _))| *name == module);
            let (at, (_, allowed)) =
                allowed.unwrap_or_else(|| panic!("{file}: add {module} to the list"));
            assert!(allowed.contains(&used), "{file}: {module} must not use {used}");
            let is_earlier = ROOT[..at].iter().any(|(name, _)| *name == used);
            assert!(is_earlier, "{file}: {module} comes before {used}");
        }
    }
    assert!(edges > 60, "the test has seen {edges} edges");
}

#[test]
fn files_of_the_convention_use_only_lower_ones() {
    floors("convention", &CONVENTION, &["mod", "server", "client", "hooks"], 80);
}

/// Checks that each file of a folder uses only files before it in `order`. The files in `top` may use
/// all of them.
fn floors(folder: &str, order: &[&str], top: &[&str], min_edges: usize) {
    let root = format!("src/{folder}/");
    let files: BTreeMap<String, String> = sources(Path::new(&root))
        .into_iter()
        .map(|(file, text)| (module_of(&file, &root), text))
        .collect();
    let place = |name: &str| order.iter().position(|known| *known == name);
    let mut edges = 0;
    for (module, text) in &files {
        if top.contains(&module.as_str()) {
            continue;
        }
        let from = place(module);
        let from = from.unwrap_or_else(|| panic!("{folder}: add {module} to the order"));
        for used in used_files(module, folder, text, &files) {
            edges += 1;
            let to = place(&used).unwrap_or_else(|| panic!("{module} uses {used}, a top file"));
            assert!(to < from, "{folder}: {module} uses {used}, which is not below it");
        }
    }
    assert!(edges > min_edges, "{folder}: the test has seen {edges} edges");
}

/// Returns the files of a folder that a file of it uses.
fn used_files(
    module: &str,
    folder: &str,
    text: &str,
    files: &BTreeMap<String, String>,
) -> Vec<String> {
    let parent: Vec<&str> = module.split('/').collect();
    let parent = &parent[..parent.len() - 1];
    let mut used = Vec::new();
    let crate_root = format!("crate::{folder}::");
    // A file `a/b` names its folder `super::` and the root `super::super::`; `a/mod` is the module `a`.
    let is_folder = files.keys().any(|file| file.starts_with(&format!("{module}/")));
    let mut roots = vec![(crate_root.as_str(), Vec::new()), ("super::", parent.to_vec())];
    if is_folder {
        roots.push(("self::", module.split('/').collect()));
    }
    for (prefix, base) in roots {
        for path in paths(text, prefix) {
            let segments: Vec<&str> = base.iter().copied().chain(path.split("::")).collect();
            // The longest prefix that is a file.
            let file = (1..=segments.len().min(2))
                .rev()
                .map(|len| segments[..len].join("/"))
                .find(|file| files.contains_key(file));
            used.extend(file.filter(|file| file != module));
        }
    }
    used
}

/// Returns the paths behind `prefix` in the code of a file, one for each name in braces.
fn paths(text: &str, prefix: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"))
        .collect::<Vec<_>>()
        .join(" ");
    let code = code.split("#[cfg(test)] mod tests").next().unwrap();
    let code = code.split("mod tests {").next().unwrap();
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        // `super::` inside `super::super::` is counted once, as the outer one.
        if code[..at].ends_with("::") || code[..at].ends_with(|c: char| c.is_alphanumeric()) {
            continue;
        }
        expand(&code[at + prefix.len()..], "", &mut paths);
    }
    paths
}

/// Expands `a::{b, c::{d, e}}` to `a::b`, `a::c::d`, `a::c::e`. Returns the rest of the text.
fn expand<'a>(text: &'a str, base: &str, paths: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut list) = text.strip_prefix('{') {
        loop {
            list = expand(list, base, paths).trim_start();
            match list.chars().next() {
                Some(',') => list = list[1..].trim_start(),
                Some('}') => return &list[1..],
                // An alias, `a as b`.
                Some(_) => list = list.trim_start_matches(|c| c != ',' && c != '}'),
                None => return list,
            }
            if let Some(rest) = list.strip_prefix('}') {
                return rest;
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = &text[..end];
    if name.is_empty() {
        return text;
    }
    let path = if base.is_empty() { name.to_owned() } else { format!("{base}::{name}") };
    match text[end..].strip_prefix("::") {
        Some(rest) => expand(rest, &path, paths),
        None => {
            paths.push(path);
            &text[end..]
        }
    }
}

/// Returns the module of a file, without the root and without `mod.rs`.
fn module_of(file: &str, root: &str) -> String {
    let path = file.strip_prefix(root).unwrap().trim_end_matches(".rs");
    path.strip_suffix("/mod").unwrap_or(path).to_owned()
}

/// A longer file holds two ideas.
#[test]
fn files_are_short() {
    for (file, text) in sources(Path::new("src")) {
        let lines = text.lines().count();
        assert!(lines <= 350, "{file} has {lines} lines");
    }
}

#[test]
fn file_names_are_unique() {
    let mut names = BTreeMap::new();
    for (file, _) in sources(Path::new("src")) {
        let name = file.rsplit('/').next().unwrap().to_owned();
        if name == "mod.rs" {
            continue;
        }
        if let Some(other) = names.insert(name, file.clone()) {
            panic!("{file} and {other} have the same name");
        }
    }
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

/// A change of the golden telemetry needs a line under *Telemetry*.
#[test]
fn the_changelog_names_the_golden_telemetry() {
    let changelog = fs::read_to_string("CHANGELOG.md").unwrap();
    assert!(changelog.contains("### Telemetry"));
    for (name, file) in [
        ("telemetry", "tests/suite/golden/telemetry.txt"),
        ("resources", "tests/resources/golden/resources.txt"),
        ("databases", "tests/sqlx/golden/telemetry.txt"),
    ] {
        let golden = fs::read(file).unwrap();
        // FNV-1a: any change of the text changes the line that the changelog must have.
        let sum = golden.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let line = format!("golden {name} {sum:016x}");
        assert!(changelog.contains(&line), "CHANGELOG.md must have under Telemetry: {line}");
    }
}
