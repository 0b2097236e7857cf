//! Bounded caches of strings that repeat from request to request.

pub(super) mod interner;
pub(super) mod rpc_methods;
pub(super) mod templates;

use self::{interner::Interner, rpc_methods::RpcMethods};
use super::{options::Options, parties::hosts::Hosts, side::Side};

/// The caches of one layer. They depend on its options, so that layers with other options need
/// caches of their own.
#[derive(Debug)]
pub(super) struct Caches {
    pub(super) strings: Interner,
    pub(super) hosts: Hosts,
    pub(super) user_agents: Interner,
    pub(super) rpc_methods: RpcMethods,
}

impl Caches {
    pub(super) fn new(options: &Options) -> Self {
        let hosts = match options.side() {
            Side::Server => MAX_SERVER_HOSTS,
            Side::Client => MAX_CLIENT_HOSTS,
        };
        Self {
            strings: Interner::new(MAX_STRINGS),
            hosts: Hosts::new(hosts, options.value_limit),
            user_agents: Interner::new(MAX_USER_AGENTS),
            rpc_methods: RpcMethods::default(),
        }
    }
}

/// The SDK's default limit of series per metric.
const MAX_STRINGS: usize = 2000;

/// Callers choose the hosts that a server sees, so there is room for real ones only.
const MAX_SERVER_HOSTS: usize = 64;
const MAX_CLIENT_HOSTS: usize = 1000;

/// Other services have few user agents. Browsers have too many to cache.
const MAX_USER_AGENTS: usize = 64;
