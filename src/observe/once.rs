//! Which signals of a request are recorded already.

use http::Extensions;

use crate::convention::Side;

/// What an observer records, for the rule that one exchange is recorded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Signal {
    Propagation = 1,
    Span = 2,
    Metrics = 4,
}

/// The signals of an exchange that this layer or one around it records.
///
/// Layers further in learn of them by notes in the request's extensions, so a request made anew
/// begins anew. Met on the other side, it is another exchange: a client's request that a server
/// answers in the same process, or a server's request that a proxy passes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claims {
    side: Side,
    met: u8,
    claimed: u8,
}

impl Claims {
    pub(super) fn met(extensions: &Extensions, side: Side) -> Self {
        let met = match side {
            Side::Server => met::<SERVER>(extensions),
            Side::Client => met::<CLIENT>(extensions),
        };
        Self { side, met, claimed: 0 }
    }

    /// Whether a layer around this one records something of the same exchange.
    pub(super) fn is_nested(self) -> bool {
        self.met != 0
    }

    /// Claims a signal: `false` where somebody has already.
    pub(super) fn claim(&mut self, signal: Signal) -> bool {
        let signal = signal as u8;
        let is_first = (self.met | self.claimed) & signal == 0;
        self.claimed |= signal;
        is_first
    }

    /// Takes a claim back.
    pub(super) fn release(&mut self, signal: Signal) {
        self.claimed &= !(signal as u8);
    }

    /// Leaves word for the layers further in.
    pub(super) fn leave(self, extensions: &mut Extensions) {
        let new = self.claimed & !self.met;
        match self.side {
            Side::Server => leave::<SERVER, CLIENT>(extensions, new),
            Side::Client => leave::<CLIENT, SERVER>(extensions, new),
        }
    }
}

/// A note without a size, for which nothing is allocated.
#[derive(Debug, Clone, Copy)]
struct Note<const SIDE: bool, const SIGNALS: u8>;

fn met<const SIDE: bool>(extensions: &Extensions) -> u8 {
    if extensions.get::<Note<SIDE, ALL>>().is_some() {
        return ALL;
    }
    if extensions.get::<Note<SIDE, SOME>>().is_none() {
        return 0;
    }
    let propagation = extensions.get::<Note<SIDE, PROPAGATION>>().map_or(0, |_| PROPAGATION);
    let span = extensions.get::<Note<SIDE, SPAN>>().map_or(0, |_| SPAN);
    let metrics = extensions.get::<Note<SIDE, METRICS>>().map_or(0, |_| METRICS);
    propagation | span | metrics
}

fn leave<const SIDE: bool, const OTHER: bool>(extensions: &mut Extensions, signals: u8) {
    extensions.remove::<Note<OTHER, ALL>>();
    if extensions.remove::<Note<OTHER, SOME>>().is_some() {
        extensions.remove::<Note<OTHER, PROPAGATION>>();
        extensions.remove::<Note<OTHER, SPAN>>();
        extensions.remove::<Note<OTHER, METRICS>>();
    }
    if signals == 0 {
        return;
    }
    if signals == ALL {
        extensions.insert(Note::<SIDE, ALL>);
        return;
    }
    extensions.insert(Note::<SIDE, SOME>);
    if signals & PROPAGATION != 0 {
        extensions.insert(Note::<SIDE, PROPAGATION>);
    }
    if signals & SPAN != 0 {
        extensions.insert(Note::<SIDE, SPAN>);
    }
    if signals & METRICS != 0 {
        extensions.insert(Note::<SIDE, METRICS>);
    }
}

const SERVER: bool = true;
const CLIENT: bool = false;
/// Beside the single ones, for most requests have none of them.
const SOME: u8 = 0;
const PROPAGATION: u8 = Signal::Propagation as u8;
const SPAN: u8 = Signal::Span as u8;
const METRICS: u8 = Signal::Metrics as u8;
const ALL: u8 = PROPAGATION | SPAN | METRICS;
