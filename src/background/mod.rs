//! Spans for work that no request waits for: jobs, messages, and tasks.
//!
//! [`Work`] describes the work, and [`Work::run`] runs a future within its span. The span is current whenever the
//! future runs, so calls, queries and log lines inside belong to it.
//!
//! # A job
//!
//! A job, such as one that a timer starts, has a trace of its own:
//!
//! ```
//! use tower_telemetry::background::Work;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # struct Error;
//! async fn restock() -> Result<u32, Error> {
//!     Ok(3)
//! }
//!
//! let outcome = Work::job("restock").try_run(restock()).await;
//! # assert!(outcome.is_ok());
//! # }
//! ```
//!
//! # Messages
//!
//! The sender puts its context into the headers of the message, and the receiver continues from there. Headers are
//! pairs of names and values: of a `HashMap`, of a message of Kafka, NATS or AMQP, or of a struct that goes through a
//! channel.
//!
//! ```
//! use std::collections::HashMap;
//! use tower_telemetry::background::{self, Work};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! struct Message {
//!     headers: HashMap<String, String>,
//!     order: u64,
//! }
//! let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
//!
//! Work::send("orders")
//!     .run(async {
//!         let headers = background::context_headers().into_iter().collect();
//!         sender.send(Message { headers, order: 7 }).await
//!     })
//!     .await
//! #   .unwrap();
//! # drop(sender);
//!
//! while let Some(message) = receiver.recv().await {
//!     let work = Work::process("orders").child_of(&message.headers);
//!     work.run(async { println!("packing {}", message.order) }).await;
//! }
//! # }
//! ```
//!
//! With Kafka (rdkafka), the headers of a message are such pairs, too:
//!
//! ```text
//! let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
//! let headers = headers.filter_map(|header| Some((header.key, header.value?)));
//! Work::process("orders").with_system("kafka").child_of(headers)
//! ```
//!
//! A message that is processed at once is a child of its sender's span ([`child_of`](Work::child_of)): both are one
//! trace. A batch of messages, or a message that waits for hours, is a trace of its own, with a link to each sender
//! ([`linked_to`](Work::linked_to)).
//!
//! # Spawned tasks
//!
//! A task does not inherit the current context. `with_current_context` gives it:
//!
//! ```
//! use tower_telemetry::{background::Work, opentelemetry::{Context, context::FutureExt}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # async fn email() {}
//! # fn resize() {}
//! // Within the span of the request that spawns it. The span may have ended by then.
//! tokio::spawn(email().with_current_context());
//!
//! // As a span of its own, which is a child of the current one.
//! tokio::spawn(Work::task("email").run(email()));
//!
//! // Blocking work has a thread, in which the context is attached.
//! let cx = Context::current();
//! tokio::task::spawn_blocking(move || {
//!     let _attached = cx.attach();
//!     resize();
//! });
//! # }
//! ```
//!
//! # What is emitted
//!
//! One span for each [`Work::run`].
//!
//! | | name | kind | parent |
//! |---|---|---|---|
//! | [`Work::job`] | the job's | `INTERNAL` | none |
//! | [`Work::task`] | the task's | `INTERNAL` | the context that was current when it was created |
//! | [`Work::send`] | `send {destination}` | `PRODUCER` | the current context |
//! | [`Work::process`] | `process {destination}` | `CONSUMER` | the message's, or none |
//!
//! | attribute | when | value |
//! |---|---|---|
//! | `messaging.destination.name` | messages | the destination |
//! | `messaging.operation.name`, `messaging.operation.type` | messages | `send` or `process` |
//! | `messaging.system` | [`with_system`](Work::with_system) | such as `kafka` |
//! | `error.type` | `try_run` returned an error | the name of the error's type |
//! | | the future was dropped before its end | `cancelled` |
//! | | it panicked | `panic` |
//!
//! The status is an error in each of these cases, without a description: the text of an error may contain secrets.
//! Names come from code, so they are of low cardinality. Messaging is in development in the semantic conventions
//! ([messaging spans](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/)).
//!
//! `error.type` of a `Box<dyn Error>` is the name of that type. A future that is dropped while its thread unwinds for
//! another reason counts as panicked.
//!
//! The context travels by the global propagator, which `Telemetry` installs as `OTEL_PROPAGATORS` says. Without one, as
//! after `without_globals` or in a test with `TestTelemetry` alone, headers are neither written nor read: call
//! `global::set_text_map_propagator(W3c::new())` in such a test.

mod message_headers;
mod work;
mod working;

pub use self::{message_headers::context_headers, work::Work, working::Working};
