//! The facts of an exchange.

use http::{StatusCode, Version};
use opentelemetry::{KeyValue, StringValue};

use super::{
    attribute_set,
    cache::templates::Template,
    grpc::call::Call,
    http::method::Method,
    labels::Labels,
    parties::{Parties, scheme::HttpScheme},
    request_body::BodySize,
    route::RouteSlot,
    side::Side,
};

/// The knowledge of an exchange so far.
///
/// The observers of one pass share these facts. They are read from the request when the first
/// observer needs them, and completed with the response head and the end.
#[derive(Debug)]
pub struct Facts {
    // Facts move with the response from the future to its body, so rare ones are behind a pointer.
    pub(super) call: Option<Box<Call>>,
    /// On a client. On a server only behind trusted proxies.
    pub(super) parties: Option<Box<Parties>>,
    pub(super) method: Method,
    /// On a server.
    pub(super) scheme: Option<HttpScheme>,
    pub(super) version: Option<Version>,
    /// `http.route` on a server, `url.template` on a client.
    pub(super) route: Option<Template>,
    pub(super) resend_count: u32,
    pub(super) slot: Option<RouteSlot>,
    pub(super) status: Option<StatusCode>,
    pub(super) error_type: Option<StringValue>,
    pub(super) own_labels: Option<Box<OwnLabels>>,
    pub(super) request_body_size: BodySize,
}

/// The labels that hooks and the handler gave to an exchange.
#[derive(Debug, Default)]
pub(super) struct OwnLabels {
    pub(super) labels: Vec<KeyValue>,
    /// The handler's labels. They are added at the end.
    pub(super) handler: Option<Labels>,
}

impl Facts {
    /// Returns the status of the response, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the route template on a server, or the URL template on a client, if it is known.
    pub fn route(&self) -> Option<&str> {
        self.route.as_ref().map(Template::as_str)
    }

    /// Returns `error.type`: the kind of error that the exchange ended with.
    pub fn error_type(&self) -> Option<&str> {
        self.error_type.as_ref().map(StringValue::as_str)
    }

    /// Returns the size of the request body in bytes, if the request announced it.
    ///
    /// A [`RequestBodyLayer`](crate::RequestBodyLayer) counts instead: then these are the bytes that
    /// were read so far.
    pub fn request_body_size(&self) -> Option<u64> {
        self.request_body_size.get()
    }

    /// Returns the bytes of the request body that were read, if they were counted.
    pub(crate) fn counted_request_body(&self) -> Option<u64> {
        self.request_body_size.counted()
    }

    /// Returns the message of a failed gRPC call.
    pub(crate) fn error_message(&self) -> Option<&str> {
        self.call.as_ref()?.message()
    }

    /// Returns the route as a metric label. Requests that a server did not handle by their method have
    /// none: callers choose the method.
    pub(super) fn route_label(&self, side: Side) -> Option<&Template> {
        let is_handled = match side {
            Side::Server => {
                self.status != Some(StatusCode::METHOD_NOT_ALLOWED) && self.method.is_known()
            }
            Side::Client => true,
        };
        self.route.as_ref().filter(|_| is_handled)
    }

    pub(super) fn set_route(&mut self, template: Option<&str>) {
        let template = template.filter(|template| !template.is_empty());
        self.route = template.map(|template| Template::new(self.method.in_span_name(), template));
    }

    /// Returns true if the exchange has labels that other exchanges of its kind may lack.
    pub(crate) fn has_own_labels(&self) -> bool {
        self.own_labels.as_ref().is_some_and(|own| !own.labels.is_empty())
    }

    pub(super) fn add_labels(&mut self, labels: Vec<KeyValue>) {
        if labels.is_empty() {
            return;
        }
        let own = self.own_labels.get_or_insert_default();
        for label in labels {
            attribute_set::set(&mut own.labels, label);
        }
    }

    /// Returns true if the exchange is a gRPC call.
    pub(crate) fn is_call(&self) -> bool {
        self.call.is_some()
    }

    /// Returns true if the exchange was a gRPC call from its beginning.
    pub(crate) fn is_certain_call(&self) -> bool {
        self.certain_call().is_some()
    }

    pub(super) fn certain_call(&self) -> Option<&Call> {
        self.call.as_deref().filter(|call| call.is_certain())
    }

    /// Returns true if the status of a gRPC call is still to come.
    pub(crate) fn awaits_status(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.awaits_status())
    }

    pub(crate) fn set_resend_count(&mut self, count: u32) {
        self.resend_count = count;
    }

    pub(crate) fn set_handler_labels(&mut self, labels: Labels) {
        self.own_labels.get_or_insert_default().handler = Some(labels);
    }
}
