//! From any error to `error.type`.

pub(super) mod chain;
pub(super) mod classify;
pub(super) mod kinds;

#[cfg(feature = "sqlx")]
pub(crate) use self::kinds::io_kind;
