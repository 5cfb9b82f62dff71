//! Quantiles: of few values exactly, of many from an even sample of them.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// As many values are kept. Of a sample of this size the 95th percentile lies, 19 times of 20, within 0.7 percentile points
/// of that of all values (the standard error of a quantile's rank is √(q(1-q)/n)).
const KEPT: usize = 4096;

/// Drawn with the same numbers each time, so that the same values give the same answer.
const SEED: u64 = 4711;

/// A quantile of sorted values, between two of them by their distance, as numpy's `quantile` by default (type 7 of Hyndman
/// and Fan 1996); `None` of no values. `q` is 0 to 1.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "a count of values in memory")]
    let at = q.clamp(0.0, 1.0) * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at is 0 to last"
    )]
    let below = at.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some((high - low).mul_add(at.fract(), low))
}

/// Values of which quantiles are asked, in bounded memory: the first 4096 are kept, each later one takes the place of
/// another with the chance that makes all equally likely to be kept (Vitter 1985, algorithm R).
#[derive(Debug, Clone)]
pub struct Sample {
    kept: Vec<f64>,
    seen: u64,
    sum: f64,
    max: Option<f64>,
    random: SmallRng,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            seen: 0,
            sum: 0.0,
            max: None,
            random: SmallRng::seed_from_u64(SEED),
        }
    }
}

impl Sample {
    /// Takes a value in; one that is no number is none.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.seen += 1;
        self.sum += value;
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        if self.kept.len() < KEPT {
            self.kept.push(value);
            return;
        }
        let place = usize::try_from(self.random.random_range(0..self.seen)).unwrap_or(usize::MAX);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = value;
        }
    }

    /// Takes in the values of another. Of one that was sampled the values that it kept count as they are: what it saw beyond
    /// them is counted, and weighs less.
    pub fn add_all(&mut self, other: &Self) {
        for value in &other.kept {
            self.add(*value);
        }
        self.seen += other.seen - other.kept.len() as u64;
        self.sum += other.sum - other.kept.iter().sum::<f64>();
        self.max = [self.max, other.max].into_iter().flatten().reduce(f64::max);
    }

    /// The greatest; `None` of no values.
    pub fn max(&self) -> Option<f64> {
        self.max
    }

    /// Their mean; `None` of no values.
    pub fn mean(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "2^53 values")]
        let count = self.seen as f64;
        (self.seen > 0).then(|| self.sum / count)
    }

    /// How many were taken in.
    pub fn count(&self) -> u64 {
        self.seen
    }

    /// These quantiles; `None` of no values.
    pub fn quantiles<const N: usize>(&self, qs: [f64; N]) -> Option<[f64; N]> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut found = [0.0; N];
        for (place, q) in found.iter_mut().zip(qs) {
            *place = quantile(&sorted, q)?;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours_as_numpy_says() {
        // numpy.quantile([1, 2, 4, 8], [0, .25, .5, .95, 1])
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (q, is) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.95, 7.4), (1.0, 8.0)] {
            let found = quantile(&sorted, q).unwrap();
            assert!((found - is).abs() < 1e-12, "{q}: {found}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.95), Some(3.0));
    }

    #[test]
    fn many_values_are_sampled_evenly() {
        let mut sample = Sample::default();
        for value in 0..1_000_000 {
            sample.add(f64::from(value));
        }
        let [p50, p95] = sample.quantiles([0.5, 0.95]).unwrap();
        assert_eq!((sample.count(), sample.kept.len()), (1_000_000, KEPT));
        assert!(
            (p50 - 500_000.0).abs() < 30_000.0 && (p95 - 950_000.0).abs() < 15_000.0,
            "{p50} {p95}"
        );
    }

    #[test]
    fn what_is_no_number_is_not_taken_in() {
        let mut sample = Sample::default();
        sample.add(f64::NAN);
        sample.add(f64::INFINITY);
        assert_eq!((sample.count(), sample.quantiles([0.5])), (0, None));
    }

    proptest! {
        #[test]
        fn quantiles_stay_within_the_values_and_in_order(values in proptest::collection::vec(-1e6_f64..1e6, 1..50)) {
            let mut sample = Sample::default();
            for value in &values {
                sample.add(*value);
            }
            let [low, middle, high] = sample.quantiles([0.0, 0.5, 1.0]).unwrap();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!((low, high), (least, most));
            prop_assert!(low <= middle && middle <= high);
        }
    }
}
