//! Notices for the operator.

pub(super) use crate::stdout::warn;
