//! Small sets of attributes.

use std::ops::DerefMut;

use opentelemetry::KeyValue;
use smallvec::SmallVec;

/// The attributes of one measurement. Their order is always the same, because the SDK finds a series
/// fastest by the order in which it first saw the attributes.
pub(crate) type AttributeSet = SmallVec<[KeyValue; 10]>;

/// The attributes that a span gets at its end, which are few in most cases.
pub(crate) type EndAttributes = SmallVec<[KeyValue; 2]>;

/// Sets an attribute, replacing one of the same key: the SDK would record both.
pub(crate) fn set<A>(attributes: &mut A, attribute: KeyValue)
where
    A: DerefMut<Target = [KeyValue]> + Extend<KeyValue>,
{
    match attributes.iter_mut().find(|known| known.key == attribute.key) {
        Some(known) => *known = attribute,
        None => attributes.extend([attribute]),
    }
}
