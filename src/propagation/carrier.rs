//! Header maps as the carriers of propagators.
