//! The size of a request body: announced by a header or by the program, or counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::{Extensions, request};

use super::first_request::FirstRequest;

/// The exact size in bytes of a request body, for a request without a `Content-Length`.
///
/// A client usually writes that header below the telemetry layer. Insert this value into the request's
/// extensions to record the size anyway. The reqwest integration inserts it for you.
///
/// A redirect layer outside of the telemetry layer sends a clone of the extensions with the next hop.
/// The size counts there only if the method is the same: a `GET` that follows a `POST` has another
/// body.
///
/// # Example
///
/// ```
/// use http::Request;
/// use http_body::Body;
/// use tower_telemetry::RequestBodySize;
///
/// let mut request = Request::post("https://api.example.com/").body(String::from("hello")).unwrap();
/// if let Some(bytes) = request.body().size_hint().exact() {
///     request.extensions_mut().insert(RequestBodySize::new(bytes));
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RequestBodySize {
    bytes: u64,
    first: FirstRequest,
}

impl RequestBodySize {
    /// Creates a size.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, first: FirstRequest::default() }
    }

    /// Returns the size of the body of this request.
    pub(super) fn of(head: &request::Parts) -> Option<u64> {
        let size = head.extensions.get::<Self>()?;
        (size.first.of(head).0 == head.method).then_some(size.bytes)
    }
}

/// The knowledge of the size of a request body.
#[derive(Debug, Default)]
pub(crate) enum BodySize {
    #[default]
    Unknown,
    Announced(u64),
    Slot(RequestBodySlot),
}

impl BodySize {
    pub(super) fn announce(&mut self, size: Option<u64>) {
        // The slot has the announced size already.
        if !matches!(self, Self::Slot(_)) {
            *self = size.map_or(Self::Unknown, Self::Announced);
        }
    }

    /// Returns the bytes that were read if they were counted, and else the announced size.
    pub(super) fn get(&self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Announced(size) => Some(*size),
            Self::Slot(slot) => slot.read().or(slot.0.announced),
        }
    }

    /// Returns the bytes that were read, if they were counted.
    pub(super) fn counted(&self) -> Option<u64> {
        match self {
            Self::Slot(slot) => slot.read(),
            Self::Unknown | Self::Announced(_) => None,
        }
    }

    /// Leaves a slot for the number of bytes that are read.
    pub(super) fn leave_slot(&mut self, extensions: &mut Extensions) {
        let read = AtomicU64::new(UNREAD);
        let slot = RequestBodySlot(Arc::new(Slot { announced: self.get(), read }));
        extensions.insert(slot.clone());
        *self = Self::Slot(slot);
    }
}

/// The slot in which a layer inside counts the bytes of a request body.
#[derive(Debug, Clone)]
pub(crate) struct RequestBodySlot(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    announced: Option<u64>,
    /// The bytes that were read, or [`UNREAD`].
    read: AtomicU64,
}

impl RequestBodySlot {
    /// Takes the slot out of a request, and begins to count. Retries within one exchange share a slot,
    /// so only the first of them counts.
    pub(crate) fn take(extensions: &mut Extensions) -> Option<Self> {
        let slot = extensions.remove::<Self>()?;
        let begun = slot.0.read.compare_exchange(UNREAD, 0, Ordering::Relaxed, Ordering::Relaxed);
        begun.is_ok().then_some(slot)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Option<u64> {
        let read = self.0.read.load(Ordering::Relaxed);
        (read != UNREAD).then_some(read)
    }
}

/// No layer has counted: more than any body has.
const UNREAD: u64 = u64::MAX;
