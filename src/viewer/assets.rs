//! The files of the page. Each is the answer to its name as a query.

/// Returns the type and the content of the asset with this query.
pub(super) fn asset(query: &str) -> Option<(&'static str, &'static str)> {
    let (_, content) = ASSETS.iter().find(|(name, _)| *name == query)?;
    let content_type = match query.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/html; charset=utf-8",
    };
    Some((content_type, content))
}

/// The query of each asset and its content. The page itself has no query.
const ASSETS: [(&str, &str); 17] = [
    ("", include_str!("assets/index.html")),
    ("api.js", include_str!("assets/api.js")),
    ("app.css", include_str!("assets/app.css")),
    ("app.js", include_str!("assets/app.js")),
    ("charts.js", include_str!("assets/charts.js")),
    ("details.js", include_str!("assets/details.js")),
    ("dom.js", include_str!("assets/dom.js")),
    ("format.js", include_str!("assets/format.js")),
    ("history.js", include_str!("assets/history.js")),
    ("lines.js", include_str!("assets/lines.js")),
    ("logs.js", include_str!("assets/logs.js")),
    ("operation.js", include_str!("assets/operation.js")),
    ("overview.js", include_str!("assets/overview.js")),
    ("resources.js", include_str!("assets/resources.js")),
    ("trace.js", include_str!("assets/trace.js")),
    ("traces.js", include_str!("assets/traces.js")),
    ("waterfall.js", include_str!("assets/waterfall.js")),
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_file_is_an_asset() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/viewer/assets");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let mut names: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name != "index.html");
        names.push(String::new());
        names.sort();
        assert_eq!(names, ASSETS.map(|(name, _)| name));
    }
}
