//! Agreement held against scikit-learn, statsmodels, krippendorff and NLTK: `reference/agreement.py` writes what they say.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

use std::collections::BTreeSet;

use analysis::agreement::{cohens_kappa, fleiss_kappa, interval, jaccard, krippendorffs_alpha, nominal};
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    tables: Vec<Table>,
    sets: Vec<Sets>,
}

#[derive(Deserialize)]
struct Table {
    units: Vec<Vec<u8>>,
    alpha_nominal: Option<f64>,
    alpha_interval: Option<f64>,
    cohens_kappa: Option<f64>,
    fleiss_kappa: Option<f64>,
}

#[derive(Deserialize)]
struct Sets {
    units: Vec<Vec<BTreeSet<String>>>,
    alpha_jaccard: Option<f64>,
}

fn cases() -> Cases {
    serde_json::from_str(include_str!("reference/agreement.json")).unwrap()
}

fn same(what: &str, nth: usize, ours: Option<f64>, theirs: Option<f64>) {
    let is_same = match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() < 1e-9,
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    };
    assert!(
        is_same,
        "{what} of case {nth}: {ours:?}, by the reference {theirs:?}"
    );
}

#[test]
fn kappas_and_alphas_are_those_of_the_references() {
    let mut compared = 0;
    for (nth, case) in cases().tables.into_iter().enumerate() {
        let units = &case.units;
        same(
            "nominal alpha",
            nth,
            krippendorffs_alpha(units, nominal),
            case.alpha_nominal,
        );
        let apart = |a: &u8, b: &u8| interval(&f64::from(*a), &f64::from(*b));
        same(
            "interval alpha",
            nth,
            krippendorffs_alpha(units, apart),
            case.alpha_interval,
        );
        if case.cohens_kappa.is_some() {
            let pairs: Vec<_> = units.iter().map(|unit| (unit[0], unit[1])).collect();
            same("Cohen's kappa", nth, cohens_kappa(&pairs), case.cohens_kappa);
            compared += 1;
        }
        if case.fleiss_kappa.is_some() {
            same("Fleiss' kappa", nth, fleiss_kappa(units), case.fleiss_kappa);
            compared += 1;
        }
    }
    // 6 tables of two raters and 24 of any number, none missing.
    assert!(compared >= 28, "{compared}");
}

#[test]
fn alphas_of_sets_are_those_of_nltk() {
    for (nth, case) in cases().sets.iter().enumerate() {
        assert!(case.alpha_jaccard.is_some(), "{nth}");
        same(
            "alpha of sets",
            nth,
            krippendorffs_alpha(&case.units, jaccard),
            case.alpha_jaccard,
        );
    }
}
