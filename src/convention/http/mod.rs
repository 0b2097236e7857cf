//! The rules of HTTP (semantic conventions v1.45).

pub(super) mod http_attributes;
pub(super) mod method;
pub(super) mod status;
pub(super) mod url;
