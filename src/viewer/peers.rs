//! Requests that are answered.

use http::Request;

use crate::local_caller::{Stranger, stranger};

/// Returns the reason for which a request is refused.
pub(super) fn obstacle<B>(request: &Request<B>) -> Option<&'static str> {
    let stranger = stranger(request.extensions(), request.uri(), request.headers())?;
    Some(match stranger {
        Stranger::UnknownPeer => UNKNOWN_PEER,
        Stranger::RemotePeer => REMOTE_PEER,
        Stranger::Forwarded => FORWARDED_REQUEST,
        Stranger::OtherHost => OTHER_HOST,
        Stranger::OtherSite => OTHER_SITE,
    })
}

const UNKNOWN_PEER: &str = "the viewer answers only peers on the loopback interface, and the peer of this request is \
    unknown. Serve the router with `into_make_service_with_connect_info::<SocketAddr>()` and the feature `axum`, or \
    allow everybody by `telemetry.viewer().for_all_peers()`";

const REMOTE_PEER: &str = "the viewer answers only peers on the loopback interface. Use a tunnel (`ssh -L`), or allow \
    everybody by `telemetry.viewer().for_all_peers()`";

const FORWARDED_REQUEST: &str = "the viewer answers no request that a proxy has forwarded, because it can't know the \
    peer. Allow everybody by `telemetry.viewer().for_all_peers()`";

const OTHER_HOST: &str = "the viewer answers only as `localhost`, `127.0.0.1` or `[::1]`, because another name may be \
    a trick of a page of another site. Allow all names by `telemetry.viewer().for_all_peers()`";

const OTHER_SITE: &str = "the viewer answers no request that a page of another site makes";
