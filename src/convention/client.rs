//! `Convention<Client>`: the options that only a client has.

use std::path::Path;

use ::http::Uri;

use super::{both_sides::Convention, options::SideOptions, parties::origin::Origin, side::Client};

impl Convention<Client> {
    /// Creates the convention of a client with all defaults.
    pub fn client() -> Self {
        Self::new()
    }

    /// Sets the destination of requests whose URI has no host: `server.address`, `server.port` and the
    /// beginning of `url.full`.
    ///
    /// The host of an HTTP request goes before it. A gRPC call always has this destination, because a
    /// channel sends its calls there.
    ///
    /// The destination of a client that connects to a unix socket is
    /// [`with_unix_socket`](Self::with_unix_socket).
    #[must_use]
    pub fn with_origin(self, origin: Uri) -> Self {
        self.set_origin(Origin::Host(origin))
    }

    /// Sets the path of the unix socket that the client connects to: `server.address`. There is no
    /// `server.port` then.
    ///
    /// It goes before the host of each request, because a client of a unix socket sends all requests
    /// there and makes their hosts up. `url.full` has the host that the request names.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_telemetry::{Convention, TelemetryLayer};
    ///
    /// let convention = Convention::client().with_unix_socket("/run/orders.sock");
    /// let layer = TelemetryLayer::new(convention);
    /// ```
    #[must_use]
    pub fn with_unix_socket(self, path: impl AsRef<Path>) -> Self {
        self.set_origin(Origin::unix_socket(path.as_ref()))
    }

    fn set_origin(self, origin: Origin) -> Self {
        self.set(|options| {
            if let SideOptions::Client(client) = &mut options.side {
                client.origin = Some(origin);
            }
        })
    }
}
