//! Histograms of both kinds as cumulative buckets.

use std::ops::RangeInclusive;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    ExponentialBucket, ExponentialHistogram, ExponentialHistogramDataPoint, HistogramDataPoint,
};

use super::number::Number;

/// A data point of a histogram, whatever it measures.
pub(super) trait Buckets {
    fn attributes(&self) -> Vec<&KeyValue>;

    fn count(&self) -> u64;

    fn sum(&self) -> Number;

    /// The least value, if the SDK records it.
    fn min(&self) -> Option<Number>;

    /// Calls with the upper boundary of each bucket and the number of values up to it, ascending.
    /// The infinite bucket is left out.
    fn for_each(&self, grid: Option<&Grid>, emit: &mut dyn FnMut(f64, u64));
}

impl<T: Copy + Into<Number>> Buckets for HistogramDataPoint<T> {
    fn attributes(&self) -> Vec<&KeyValue> {
        self.attributes().collect()
    }

    fn count(&self) -> u64 {
        self.count()
    }

    fn sum(&self) -> Number {
        self.sum().into()
    }

    fn min(&self) -> Option<Number> {
        self.min().map(T::into)
    }

    fn for_each(&self, _: Option<&Grid>, emit: &mut dyn FnMut(f64, u64)) {
        let mut total = 0;
        for (bound, count) in self.bounds().zip(self.bucket_counts()) {
            total += count;
            emit(bound, total);
        }
    }
}

impl<T: Copy + Into<Number>> Buckets for ExponentialHistogramDataPoint<T> {
    fn attributes(&self) -> Vec<&KeyValue> {
        self.attributes().collect()
    }

    fn count(&self) -> u64 {
        self.count() as u64
    }

    fn sum(&self) -> Number {
        self.sum().into()
    }

    fn min(&self) -> Option<Number> {
        self.min().map(T::into)
    }

    fn for_each(&self, grid: Option<&Grid>, emit: &mut dyn FnMut(f64, u64)) {
        let Some(grid) = grid else { return };
        let mut total = 0;
        if let Some(range) = &grid.negative {
            let counts =
                grid.counts(range, self.negative_bucket(), |i| grid.lower(self.scale(), i));
            for (exponent, count) in counts.into_iter().rev() {
                total += count;
                let bound = -exponent.exp2();
                if bound.is_finite() && bound < 0.0 {
                    emit(bound, total);
                }
            }
        }
        total += self.zero_count();
        emit(0.0, total);
        if let Some(range) = &grid.positive {
            let counts =
                grid.counts(range, self.positive_bucket(), |i| grid.upper(self.scale(), i));
            for (exponent, count) in counts {
                total += count;
                let bound = exponent.exp2();
                // The largest numbers belong to the infinite bucket, the smallest round to zero.
                if bound.is_finite() && bound > 0.0 {
                    emit(bound, total);
                }
            }
        }
    }
}

/// The boundaries that all series of an exponential histogram share: powers of two.
///
/// The buckets of a series become wider as its values spread. Boundaries that came and went with
/// them would be new series each time, and could not be added up. Powers of two are boundaries at
/// every scale from 0 on, so the counts are exact; at a scale below 0, only every second, fourth,
/// eighth power is a boundary, and so on.
#[derive(Debug)]
pub(super) struct Grid {
    /// Distance between the exponents, itself a power of two.
    step: i64,
    /// Exponents of the boundaries below zero.
    negative: Option<RangeInclusive<i64>>,
    positive: Option<RangeInclusive<i64>>,
}

impl Grid {
    pub(super) fn of<T>(histogram: &ExponentialHistogram<T>) -> Self {
        let scale = histogram.data_points().map(|point| shift(point.scale())).min().unwrap_or(0);
        let mut grid = Self { step: 1 << (-scale).max(0), negative: None, positive: None };
        for point in histogram.data_points() {
            let scale = point.scale();
            for i in ends(point.positive_bucket()) {
                let exponent = grid.upper(scale, i);
                widen(&mut grid.positive, exponent);
            }
            for i in ends(point.negative_bucket()) {
                let exponent = grid.lower(scale, i);
                widen(&mut grid.negative, exponent);
            }
        }
        grid
    }

    /// Exponent of the boundary at or above the upper end of bucket `i`, which is
    /// 2^((i + 1) / 2^scale).
    fn upper(&self, scale: i8, i: i64) -> i64 {
        let exponent = match shift(scale) {
            scale if scale < 0 => (i + 1) << -scale,
            scale => -((-(i + 1)) >> scale),
        };
        -(-exponent).div_euclid(self.step) * self.step
    }

    /// Exponent of the boundary at or below the lower end of bucket `i`, which is 2^(i / 2^scale).
    fn lower(&self, scale: i8, i: i64) -> i64 {
        let exponent = match shift(scale) {
            scale if scale < 0 => i << -scale,
            scale => i >> scale,
        };
        exponent.div_euclid(self.step) * self.step
    }

    /// The number of values for each exponent in the range, ascending.
    fn counts(
        &self,
        range: &RangeInclusive<i64>,
        bucket: &ExponentialBucket,
        exponent: impl Fn(i64) -> i64,
    ) -> Vec<(f64, u64)> {
        let exponents = range.clone().step_by(self.step as usize);
        let mut counts: Vec<(f64, u64)> = exponents.map(|e| (e as f64, 0)).collect();
        for (i, count) in (i64::from(bucket.offset())..).zip(bucket.counts()) {
            let at = (exponent(i) - range.start()) / self.step;
            if let Some((_, sum)) = usize::try_from(at).ok().and_then(|at| counts.get_mut(at)) {
                *sum += count;
            }
        }
        counts
    }
}

/// The scale, which the SDK keeps between -10 and 20.
fn shift(scale: i8) -> i8 {
    scale.clamp(-10, 20)
}

/// Indexes of the first and the last bucket that has values.
fn ends(bucket: &ExponentialBucket) -> impl Iterator<Item = i64> {
    let occupied = |(i, count): (i64, u64)| (count > 0).then_some(i);
    let buckets = (i64::from(bucket.offset())..).zip(bucket.counts());
    let mut ends = buckets.filter_map(occupied);
    let first = ends.next();
    first.into_iter().chain(ends.last())
}

fn widen(range: &mut Option<RangeInclusive<i64>>, exponent: i64) {
    *range = Some(match range.take() {
        None => exponent..=exponent,
        Some(range) => exponent.min(*range.start())..=exponent.max(*range.end()),
    });
}
