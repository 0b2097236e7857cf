//! Patterns of paths, as routers write them.

/// A method, if one is given, and a path whose segments may be placeholders.
#[derive(Debug, Clone)]
pub(super) struct PathPattern {
    method: Option<String>,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    Literal(String),
    /// `{name}`
    One,
    /// `{*name}`
    Rest,
}

impl PathPattern {
    /// Parses `/path` or `METHOD /path`. The error says what is wrong.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let (method, path) = match pattern.split_once(' ') {
            Some((method, path)) => (Some(method.to_owned()), path),
            None => (None, pattern),
        };
        let is_name = |method: &String| method.bytes().all(|b| b.is_ascii_uppercase());
        if !method.as_ref().is_none_or(|method| !method.is_empty() && is_name(method)) {
            return Err(format!(
                "invalid pattern {pattern:?}: expected a method in capitals and a space before the \
                 path, as in \"GET /orders\""
            ));
        }
        let Some(path) = path.strip_prefix('/') else {
            return Err(format!("invalid pattern {pattern:?}: expected a path that begins with /"));
        };
        let segments: Vec<_> = path.split('/').map(Segment::parse).collect();
        let is_rest = |segment: &Segment| matches!(segment, Segment::Rest);
        if segments.iter().rev().skip(1).any(is_rest) {
            return Err(format!(
                "invalid pattern {pattern:?}: {{*name}} has to be the last segment"
            ));
        }
        Ok(Self { method, segments })
    }

    /// Compares with a request's path, or with the route that a router has found for it.
    pub(super) fn matches(&self, method: Option<&str>, path: &str) -> bool {
        let is_same = |wanted: &String| method == Some(wanted.as_str());
        let Some(path) = path.strip_prefix('/') else { return false };
        if !self.method.as_ref().is_none_or(is_same) {
            return false;
        }
        let mut rest = Some(path);
        for segment in &self.segments {
            let Some(path) = rest else { return false };
            let (first, others) = match path.split_once('/') {
                Some((first, others)) => (first, Some(others)),
                None => (path, None),
            };
            match segment {
                Segment::Literal(text) if text == first => rest = others,
                Segment::One if !first.is_empty() => rest = others,
                Segment::Rest => return !path.is_empty(),
                Segment::Literal(_) | Segment::One => return false,
            }
        }
        rest.is_none()
    }
}

impl Segment {
    fn parse(segment: &str) -> Self {
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if name.starts_with('*') => Self::Rest,
            Some(_) => Self::One,
            None => Self::Literal(segment.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths_and_routes() {
        // Pattern, method and path, and whether they match.
        let rows = [
            ("/healthz", "GET /healthz", true),
            ("/healthz", "POST /healthz", true),
            ("/healthz", "GET /healthz/", false),
            ("/healthz", "GET /healthz/live", false),
            ("/healthz", "GET /health", false),
            ("/healthz", "GET /Healthz", false),
            ("/", "GET /", true),
            ("/", "GET /a", false),
            ("/a/", "GET /a/", true),
            ("/a/", "GET /a", false),
            ("GET /a", "GET /a", true),
            ("GET /a", "HEAD /a", false),
            ("GET /a", "get /a", false),
            ("/orders/{id}", "GET /orders/7", true),
            ("/orders/{id}", "GET /orders/{order}", true),
            ("/orders/{id}", "GET /orders/", false),
            ("/orders/{id}", "GET /orders", false),
            ("/orders/{id}", "GET /orders/7/lines", false),
            ("/orders/{id}/lines", "GET /orders/7/lines", true),
            ("/orders/{id}/lines", "GET /orders/{id}/lines", true),
            ("/orders/{id}/lines", "GET /orders//lines", false),
            ("/static/{*path}", "GET /static/a/b.js", true),
            ("/static/{*path}", "GET /static/{*rest}", true),
            ("/static/{*path}", "GET /static/", false),
            ("/static/{*path}", "GET /static", false),
            ("/{*path}", "GET /a/b", true),
            ("/{*path}", "GET /", false),
            ("/shop.v1.Orders/{method}", "POST /shop.v1.Orders/Place", true),
            ("/a", "OPTIONS *", false),
            ("/{a}", "GET a", false),
        ];
        for (pattern, request, expected) in rows {
            let parsed = PathPattern::parse(pattern).expect(pattern);
            let (method, path) = request.split_once(' ').expect("a method and a path");
            assert_eq!(parsed.matches(Some(method), path), expected, "{pattern} and {request}");
        }
        // The method is not known to every instrumentation.
        let pattern = |text| PathPattern::parse(text).expect(text);
        assert!(pattern("/a").matches(None, "/a"));
        assert!(!pattern("GET /a").matches(None, "/a"));
    }

    #[test]
    fn invalid_patterns_are_told() {
        for (pattern, reason) in [
            ("healthz", "begins with /"),
            ("", "begins with /"),
            ("get /a", "in capitals"),
            (" /a", "in capitals"),
            ("GET", "begins with /"),
            ("GET  /a", "begins with /"),
            ("/{*all}/a", "the last segment"),
        ] {
            let error = PathPattern::parse(pattern).expect_err(pattern);
            assert!(error.contains(reason) && error.contains(&format!("{pattern:?}")), "{error}");
        }
    }
}
