//! Runs the real parts of the stack on loopback, each until it is dropped.
//!
//! `../parts.sh` builds the parts. A part that is missing fails the test that needs it. All parts take free
//! ports, and keep their data in a folder of their own, which is removed with them.

mod alertmanager;
mod ask;
mod balancer;
mod collector;
mod jaeger;
mod part;
mod prometheus;
mod shop;
mod span;
mod stack;
mod victoria_logs;

pub use alertmanager::{Alertmanager, Notifications};
pub use ask::{Answer, get, put, until_true};
pub use balancer::Balancer;
pub use collector::Collector;
pub use jaeger::Jaeger;
pub use part::{Part, file, ports};
pub use prometheus::{Prometheus, number, with_value};
pub use shop::{Load, Sent, Shop};
pub use span::{Span, are_whole, roots};
pub use stack::Stack;
pub use victoria_logs::VictoriaLogs;
