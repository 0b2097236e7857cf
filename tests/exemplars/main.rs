//! Exemplars: from metrics to traces, through a real SDK and the pull endpoint.

mod calls;
mod endpoint;
mod exchanges;
mod settings;
mod stored;
mod stress;
mod support;
mod views;

#[path = "../debian/mod.rs"]
mod debian;
#[path = "../debian/scraper.rs"]
mod scraper;
#[path = "../pull/strict_parser.rs"]
mod strict_parser;
