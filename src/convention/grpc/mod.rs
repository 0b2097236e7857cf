//! The rules of gRPC: semantic conventions v1.45, and the gRPC documents on status codes and on the
//! mapping of HTTP to them.

pub(super) mod call;
pub(crate) mod call_key;
pub(super) mod code;
pub(super) mod deadline;
pub(super) mod outcome;
pub(super) mod rpc_attributes;
