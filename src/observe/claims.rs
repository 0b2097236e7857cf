//! Claims: each signal of an exchange is recorded by one layer only.

use http::Extensions;

use crate::convention::Side;

/// A signal that an observer records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Claim {
    Propagation = 1,
    Span = 2,
    Metrics = 4,
}

/// The signals of an exchange that this layer or an outer one records.
///
/// Inner layers find them as notes in the request's extensions, so a new request begins a new exchange.
/// The notes of the other side do not count: a server in the same process may answer a client's
/// request, and a proxy may forward a server's request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claims {
    /// The signals of outer layers.
    outer: u8,
    claimed: u8,
}

impl Claims {
    pub(super) fn read(extensions: &mut Extensions, side: Side) -> Self {
        let outer = match side {
            Side::Server => {
                forget::<CLIENT>(extensions);
                noted::<SERVER>(extensions)
            }
            Side::Client => {
                forget::<SERVER>(extensions);
                noted::<CLIENT>(extensions)
            }
        };
        Self { outer, claimed: 0 }
    }

    /// Returns true if an outer layer records a signal of the same exchange.
    pub(super) fn is_nested(self) -> bool {
        self.outer != 0
    }

    /// Claims a signal. Returns false if another observer has claimed it.
    pub(super) fn claim(&mut self, signal: Claim) -> bool {
        let signal = signal as u8;
        let is_first = (self.outer | self.claimed) & signal == 0;
        self.claimed |= signal;
        is_first
    }

    /// Takes a claim back.
    pub(super) fn release(&mut self, signal: Claim) {
        self.claimed &= !(signal as u8);
    }

    /// Leaves notes for the inner layers.
    pub(super) fn leave(self, extensions: &mut Extensions, side: Side) {
        let new = self.claimed & !self.outer;
        match side {
            _ if new == 0 => {}
            Side::Server => leave::<SERVER>(extensions, new),
            Side::Client => leave::<CLIENT>(extensions, new),
        }
    }
}

/// A note: a layer of this side records these signals.
///
/// The signals are in its type, because a value without a size needs no allocation.
#[derive(Debug, Clone, Copy)]
struct Note<const SIDE: bool, const SIGNALS: u8>;

/// There are notes of single signals. Most requests have none, so that one look-up tells.
#[derive(Debug, Clone, Copy)]
struct SingleNotes;

fn noted<const SIDE: bool>(extensions: &Extensions) -> u8 {
    let note = |is_there: bool, signals: u8| if is_there { signals } else { 0 };
    let all = note(extensions.get::<Note<SIDE, ALL>>().is_some(), ALL);
    if extensions.get::<SingleNotes>().is_none() {
        return all;
    }
    all | note(extensions.get::<Note<SIDE, PROPAGATION>>().is_some(), PROPAGATION)
        | note(extensions.get::<Note<SIDE, SPAN>>().is_some(), SPAN)
        | note(extensions.get::<Note<SIDE, METRICS>>().is_some(), METRICS)
}

fn forget<const SIDE: bool>(extensions: &mut Extensions) {
    extensions.remove::<Note<SIDE, ALL>>();
    if extensions.get::<SingleNotes>().is_some() {
        extensions.remove::<Note<SIDE, PROPAGATION>>();
        extensions.remove::<Note<SIDE, SPAN>>();
        extensions.remove::<Note<SIDE, METRICS>>();
    }
}

fn leave<const SIDE: bool>(extensions: &mut Extensions, signals: u8) {
    if signals == ALL {
        extensions.insert(Note::<SIDE, ALL>);
        return;
    }
    extensions.insert(SingleNotes);
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
const PROPAGATION: u8 = Claim::Propagation as u8;
const SPAN: u8 = Claim::Span as u8;
const METRICS: u8 = Claim::Metrics as u8;
const ALL: u8 = PROPAGATION | SPAN | METRICS;
