//! `http` or `https`.

/// The scheme of a server's requests: `url.scheme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HttpScheme {
    /// `http`: cleartext.
    #[default]
    Http,
    /// `https`: TLS.
    Https,
}

impl HttpScheme {
    /// Reads a scheme in any case. Other schemes are `None`: they must not become metric labels.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let is = |known: &Self| known.as_str().eq_ignore_ascii_case(value.trim());
        [Self::Http, Self::Https].into_iter().find(is)
    }

    /// Returns `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
