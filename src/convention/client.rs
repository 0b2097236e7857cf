//! `Convention<Client>`: the options that only a client has.

use ::http::Uri;

use super::{both_sides::Convention, options::SideOptions, side::Client};

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
    #[must_use]
    pub fn with_origin(self, origin: Uri) -> Self {
        self.set(|options| {
            if let SideOptions::Client(client) = &mut options.side {
                client.origin = Some(origin);
            }
        })
    }
}
