//! Percentiles of a histogram.

/// Bucket counts of series that are shown in one row.
#[derive(Debug, Default, Clone)]
pub(crate) struct Buckets {
    bounds: Vec<f64>,
    counts: Vec<u64>,
    min: Option<f64>,
    max: Option<f64>,
    /// Series have had different boundaries.
    is_mixed: bool,
}

impl Buckets {
    /// Adds the buckets of a series. Other boundaries than before leave the row without percentiles.
    pub(crate) fn add(
        &mut self,
        bounds: Vec<f64>,
        counts: impl Iterator<Item = u64>,
        range: (Option<f64>, Option<f64>),
    ) {
        if self.is_mixed {
            // No bucket is that of all series.
        } else if self.counts.is_empty() {
            (self.bounds, self.counts) = (bounds, counts.collect());
        } else if self.bounds == bounds {
            self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        } else {
            *self = Self { is_mixed: true, min: self.min, max: self.max, ..Self::default() };
        }
        self.min = [self.min, range.0].into_iter().flatten().reduce(f64::min);
        self.max = [self.max, range.1].into_iter().flatten().reduce(f64::max);
    }

    /// Returns the upper boundary and the count of each bucket. The last one has no boundary.
    #[cfg(feature = "viewer")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(self.counts.iter().copied())
    }

    /// Returns the value below which a part of all measurements lies, by linear interpolation within its bucket.
    pub(crate) fn percentile(&self, part: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let rank = part * total as f64;
        let mut before = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            if count > 0 && (before + count) as f64 >= rank {
                let below = index.checked_sub(1).map_or(0.0, |index| self.bounds[index]);
                let lower = self.min.map_or(below, |min| min.max(below));
                let above = self.bounds.get(index).copied().or(self.max)?;
                let upper = self.max.map_or(above, |max| max.min(above));
                let within = (rank - before as f64) / count as f64;
                return Some(lower + (upper - lower).max(0.0) * within);
            }
            before += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_in_their_bucket() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.percentile(0.5), None);
        let bounds = || vec![0.1, 1.0];
        buckets.add(bounds(), [90, 9, 0].into_iter(), (Some(0.02), Some(0.4)));
        buckets.add(bounds(), [0, 0, 1].into_iter(), (Some(3.0), Some(3.0)));
        for (part, expected) in [(0.45, 0.06), (0.9, 0.1), (0.99, 1.0), (1.0, 3.0)] {
            let value = buckets.percentile(part).unwrap();
            assert!((value - expected).abs() < 1e-9, "{part}: {value}");
        }
        buckets.add(vec![1.0], [1, 1].into_iter(), (None, None));
        assert_eq!(buckets.percentile(0.5), None, "boundaries differ");
        buckets.add(bounds(), [1, 1, 1].into_iter(), (None, None));
        assert_eq!(buckets.percentile(0.5), None, "of a part of the series");
    }
}
