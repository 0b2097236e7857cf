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
    /// The signals of layers around this one; and [`NOTED`], which is none, where there may be notes of
    /// either side: a field more would make the exchange longer.
    met: u8,
    claimed: u8,
}

impl Claims {
    pub(super) fn met(extensions: &Extensions, side: Side) -> Self {
        let met = match (extensions.get::<Noted>(), side) {
            (None, _) => 0,
            (Some(Noted), Side::Server) => NOTED | met::<SERVER>(extensions),
            (Some(Noted), Side::Client) => NOTED | met::<CLIENT>(extensions),
        };
        Self { met, claimed: 0 }
    }

    /// Whether a layer around this one records something of the same exchange.
    pub(super) fn is_nested(self) -> bool {
        self.met & ALL != 0
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
    pub(super) fn leave(self, extensions: &mut Extensions, side: Side) {
        if self.met & NOTED != 0 {
            match side {
                Side::Server => forget::<CLIENT>(extensions),
                Side::Client => forget::<SERVER>(extensions),
            }
        }
        let new = self.claimed & !self.met;
        if new == 0 {
            return;
        }
        extensions.insert(Noted);
        match side {
            Side::Server => leave::<SERVER>(extensions, new),
            Side::Client => leave::<CLIENT>(extensions, new),
        }
    }
}

/// A note without a size, for which nothing is allocated: who records which signals.
#[derive(Debug, Clone, Copy)]
struct Note<const SIDE: bool, const SIGNALS: u8>;

/// There may be notes. Most requests come without, and are asked no more than this.
#[derive(Debug, Clone, Copy)]
struct Noted;

fn met<const SIDE: bool>(extensions: &Extensions) -> u8 {
    let all = extensions.get::<Note<SIDE, ALL>>().map_or(0, |_| ALL);
    let propagation = extensions.get::<Note<SIDE, PROPAGATION>>().map_or(0, |_| PROPAGATION);
    let span = extensions.get::<Note<SIDE, SPAN>>().map_or(0, |_| SPAN);
    let metrics = extensions.get::<Note<SIDE, METRICS>>().map_or(0, |_| METRICS);
    all | propagation | span | metrics
}

fn forget<const SIDE: bool>(extensions: &mut Extensions) {
    extensions.remove::<Note<SIDE, ALL>>();
    extensions.remove::<Note<SIDE, PROPAGATION>>();
    extensions.remove::<Note<SIDE, SPAN>>();
    extensions.remove::<Note<SIDE, METRICS>>();
}

fn leave<const SIDE: bool>(extensions: &mut Extensions, signals: u8) {
    // The usual case, in one insertion.
    if signals == ALL {
        extensions.insert(Note::<SIDE, ALL>);
        return;
    }
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
const PROPAGATION: u8 = Signal::Propagation as u8;
const SPAN: u8 = Signal::Span as u8;
const METRICS: u8 = Signal::Metrics as u8;
const NOTED: u8 = 8;
const ALL: u8 = PROPAGATION | SPAN | METRICS;
