//! How much those agree who rate the same things.
//!
//! A unit is one thing and what each said of it. Who said what counts for [`cohens_kappa`] alone. Each figure is 1 where
//! all agree, about 0 where they agree as often as chance would, and below where less often. Held against scikit-learn,
//! statsmodels, krippendorff and NLTK by `tests/agreement.rs`.

use std::collections::{BTreeMap, BTreeSet};

/// How far two answers are apart that are only equal or not: 0 or 1.
pub fn nominal<V: PartialEq>(a: &V, b: &V) -> f64 {
    f64::from(a != b)
}

/// How far two numbers are apart: the square of their difference (Krippendorff 2011, interval data).
pub fn interval(a: &f64, b: &f64) -> f64 {
    (a - b) * (a - b)
}

/// How far two sets are apart: what is in one only, of what is in any (Jaccard's distance); 0 of two empty ones.
pub fn jaccard(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let both = a.intersection(b).count();
    let any = a.len() + b.len() - both;
    if any == 0 {
        return 0.0;
    }
    1.0 - number(both) / number(any)
}

/// Of all pairs of ratings of one unit, the part that is equal. `None` when no unit has two.
pub fn percent_agreement<V: Ord>(units: &[Vec<V>]) -> Option<f64> {
    let pairs = |count: usize| number(count) * number(count.saturating_sub(1)) / 2.0;
    let all: f64 = units.iter().map(|unit| pairs(unit.len())).sum();
    let equal: f64 = units
        .iter()
        .flat_map(|unit| counts(unit).into_values())
        .map(pairs)
        .sum();
    (all > 0.0).then(|| equal / all)
}

/// Cohen's kappa of two raters, `κ = (p_o - p_e) / (1 - p_e)`: the part of the units on which they agree, against what is
/// expected of two who answer by chance, each as often as they did (Cohen 1960, A Coefficient of Agreement for Nominal
/// Scales). `None` of no units, or where both always gave one and the same answer.
pub fn cohens_kappa<V: Ord>(pairs: &[(V, V)]) -> Option<f64> {
    let all = number(pairs.len());
    let observed = number(pairs.iter().filter(|(a, b)| a == b).count()) / all;
    let firsts = counts(pairs.iter().map(|(a, _)| a));
    let seconds = counts(pairs.iter().map(|(_, b)| b));
    let both = firsts.iter().map(|(answer, count)| {
        let other = seconds.get(answer).copied().unwrap_or(0);
        number(*count) * number(other)
    });
    beyond_chance(observed, both.sum::<f64>() / (all * all))
}

/// Fleiss' kappa of any number of raters, `κ = (P̄ - P̄_e) / (1 - P̄_e)`: the mean over units of the part of pairs that are
/// equal, against the sum of squares of how often each answer was given (Fleiss 1971, Measuring Nominal Scale Agreement Among
/// Many Raters). `None` unless each unit was rated equally often, at least twice, or where there is one answer only.
pub fn fleiss_kappa<V: Ord>(units: &[Vec<V>]) -> Option<f64> {
    let raters = units.first()?.len();
    if raters < 2 || units.iter().any(|unit| unit.len() != raters) {
        return None;
    }
    let all = number(units.len() * raters);
    let observed = percent_agreement(units)?;
    let squares = counts(units.iter().flatten())
        .into_values()
        .map(|count| (number(count) / all).powi(2));
    beyond_chance(observed, squares.sum())
}

/// Krippendorff's alpha, `α = 1 - D_o / D_e`: how far ratings of one unit are apart, against how far any two of all are
/// (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability). Units that were rated once do not count; a unit of m
/// ratings counts m times, each of its pairs by `1 / (m - 1)`. `None` when no unit was rated twice, or where all answers are
/// the same.
pub fn krippendorffs_alpha<V: Ord>(units: &[Vec<V>], distance: impl Fn(&V, &V) -> f64) -> Option<f64> {
    let units: Vec<_> = units.iter().filter(|unit| unit.len() > 1).collect();
    // Each of the answers once, with how often it was given: of many ratings few answers are different.
    let apart = |counts: &BTreeMap<&V, usize>| -> f64 {
        let of = |(a, count): (&&V, &usize)| -> f64 {
            let to_others = counts.iter().map(|(b, other)| number(*other) * distance(a, b));
            number(*count) * to_others.sum::<f64>()
        };
        counts.iter().map(of).sum()
    };
    let all = counts(units.iter().flat_map(|unit| unit.iter()));
    let ratings = number(units.iter().map(|unit| unit.len()).sum());
    let observed: f64 = units
        .iter()
        .map(|unit| apart(&counts(unit.iter())) / number(unit.len() - 1))
        .sum::<f64>()
        / ratings;
    let expected = apart(&all) / (ratings * (ratings - 1.0));
    (expected > 0.0).then(|| 1.0 - observed / expected)
}

/// A figure in words, as Landis and Koch (1977, The Measurement of Observer Agreement for Categorical Data) put them: a
/// convention, no test.
pub fn interpretation(figure: f64) -> &'static str {
    match figure {
        _ if figure < 0.0 => "poor",
        _ if figure <= 0.2 => "slight",
        _ if figure <= 0.4 => "fair",
        _ if figure <= 0.6 => "moderate",
        _ if figure <= 0.8 => "substantial",
        _ => "almost perfect",
    }
}

/// `None` also where either is no number: there were no units.
fn beyond_chance(observed: f64, expected: f64) -> Option<f64> {
    (expected < 1.0).then(|| (observed - expected) / (1.0 - expected))
}

fn counts<V: Ord>(answers: impl IntoIterator<Item = V>) -> BTreeMap<V, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer).or_insert(0) += 1;
    }
    counts
}

#[expect(clippy::cast_precision_loss, reason = "a count of ratings in memory")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: Option<f64>, expected: f64, within: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < within, "{found} is not {expected}");
    }

    #[test]
    fn cohens_example_is_0_4() {
        // 20 times both yes, 5 yes-no, 10 no-yes, 15 both no: p_o = 0.7, p_e = 0.5.
        let table = [((1, 1), 20), ((1, 0), 5), ((0, 1), 10), ((0, 0), 15)];
        let pairs: Vec<_> = table
            .iter()
            .flat_map(|(pair, count)| vec![*pair; *count])
            .collect();
        close(cohens_kappa(&pairs), 0.4, 1e-12);
    }

    #[test]
    fn fleiss_example_is_0_210() {
        // 10 subjects, 14 raters, 5 categories: the worked example of the article on Fleiss' kappa in Wikipedia.
        let table = [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ];
        let unit = |counts: &[usize; 5]| {
            counts
                .iter()
                .enumerate()
                .flat_map(|(answer, count)| vec![answer; *count])
                .collect()
        };
        let units: Vec<Vec<_>> = table.iter().map(unit).collect();
        close(fleiss_kappa(&units), 0.210, 5e-4);
        assert_eq!(fleiss_kappa(&[vec![1, 2], vec![1]]), None);
    }

    #[test]
    fn krippendorffs_example_is_0_743_and_0_849() {
        // Four observers, twelve units, some not rated (Krippendorff 2011, section C and D).
        let observers: [[u8; 12]; 4] = [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ];
        let unit = |nth: usize| {
            observers
                .iter()
                .map(|observer| observer[nth])
                .filter(|value| *value > 0)
                .collect()
        };
        let units: Vec<Vec<u8>> = (0..12).map(unit).collect();
        close(krippendorffs_alpha(&units, nominal), 0.743, 5e-4);
        close(
            krippendorffs_alpha(&units, |a, b| interval(&f64::from(*a), &f64::from(*b))),
            0.849,
            5e-4,
        );
    }

    #[test]
    fn nothing_is_said_where_nothing_can_be() {
        assert_eq!(cohens_kappa::<u8>(&[]), None);
        assert_eq!(cohens_kappa(&[(1, 1), (1, 1)]), None);
        assert_eq!(fleiss_kappa::<u8>(&[]), None);
        assert_eq!(krippendorffs_alpha(&[vec![1], vec![2]], nominal), None);
        assert_eq!(krippendorffs_alpha(&[vec![1, 1]], nominal), None);
        assert_eq!(percent_agreement(&[vec![1]]), None);
    }

    proptest! {
        #[test]
        fn full_agreement_is_1(answers in proptest::collection::vec(0_u8..4, 2..20), raters in 2_usize..5) {
            prop_assume!(answers.iter().any(|answer| *answer != answers[0]));
            let units: Vec<Vec<u8>> = answers.iter().map(|answer| vec![*answer; raters]).collect();
            let pairs: Vec<_> = answers.iter().map(|answer| (*answer, *answer)).collect();
            close(percent_agreement(&units), 1.0, 1e-12);
            close(cohens_kappa(&pairs), 1.0, 1e-12);
            close(fleiss_kappa(&units), 1.0, 1e-12);
            close(krippendorffs_alpha(&units, nominal), 1.0, 1e-12);
        }

        #[test]
        fn neither_order_nor_names_count(units in proptest::collection::vec(proptest::collection::vec(0_u8..4, 0..5), 0..12)) {
            let figures = |units: &[Vec<u8>]| [
                percent_agreement(units),
                fleiss_kappa(units),
                krippendorffs_alpha(units, nominal),
            ];
            let mut turned = units.clone();
            turned.reverse();
            for unit in &mut turned {
                unit.reverse();
                for answer in unit {
                    *answer = 9 - *answer;
                }
            }
            for (one, other) in figures(&units).into_iter().zip(figures(&turned)) {
                prop_assert_eq!(one.is_some(), other.is_some());
                if let (Some(one), Some(other)) = (one, other) {
                    prop_assert!((one - other).abs() < 1e-9 && one <= 1.0 + 1e-12);
                }
            }
        }
    }
}
