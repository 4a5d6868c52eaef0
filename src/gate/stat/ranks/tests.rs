//! R's and SciPy's numbers, and what must hold for all.

use super::*;
use crate::gate::stat::vectors::{assert_close, list, number, stat};
use proptest::prelude::*;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

/// p for an alternative and a method, as R's `wilcox.test` takes them.
fn p(x: &[f64], y: &[f64], alternative: &str, exactly: bool, continuity: f64) -> f64 {
    let (m, n) = (x.len(), y.len());
    let (u, ties) = u_and_ties(x, y);
    let greater = |u: f64| if exactly { exact(u, m, n) } else { normal(u, m, n, ties, continuity) };
    let pairs = (m * n) as f64;
    match alternative {
        "greater" => greater(u),
        "less" => greater(pairs - u),
        _ => (2.0 * greater(u.max(pairs - u))).min(1.0),
    }
}

#[test]
fn the_vectors_hold() {
    let vectors = stat();
    let rows = list(&vectors["mwu"]);
    assert_eq!(rows.len(), 19);
    for row in rows {
        let (x, y) = (numbers(&row["x"]), numbers(&row["y"]));
        let what = format!("{} {} {}", row["alternative"], row["method"], row["src"]);
        assert_close(u_and_ties(&x, &y).0, number(&row["U"]), &format!("U of {what}"));
        let continuity = if row.get("continuity") == Some(&Value::Bool(false)) { 0.0 } else { 0.5 };
        let alternative = row["alternative"].as_str().expect("a word");
        let got = p(&x, &y, alternative, row["method"] == "exact", continuity);
        assert_close(got, number(&row["p"]), &format!("p of {what}"));
    }
}

#[test]
fn control_hosts_needed_are_those_of_the_vectors() {
    let vectors = stat();
    for (key, sides) in [("min_control_hosts_for_alpha_one_sided", 1.0), ("min_control_hosts_for_alpha_two_sided", 2.0)]
    {
        for (alpha, row) in vectors[key].as_object().expect("by alpha") {
            for (m, want) in row.as_object().expect("by canary hosts") {
                let alpha: f64 = alpha.parse().expect("alpha");
                let got = control_needed(m.parse().expect("hosts"), alpha / sides).map(|n| n as u64);
                assert_eq!(got, want.as_u64(), "{key}: alpha {alpha}, {m} canary hosts");
            }
        }
    }
}

#[test]
fn where_no_number_of_hosts_is_enough_none_is_named() {
    assert_eq!([control_needed(0, 0.01), control_needed(1, 1e-9), control_to_fail(1, 1e-9)], [None; 3]);
    assert_eq!((control_needed(1, 0.25), control_to_fail(1, 0.25)), (Some(3), Some(4)), "1/4 is not below it");
    assert_eq!((control_needed(1, 0.26), control_to_fail(1, 0.26)), (Some(3), Some(3)));
}

#[test]
fn effect_and_shift_of_a_small_case() {
    let ranked = compare(&[5.0, 6.0, 7.0], &[1.0, 2.0, 6.0]).expect("numbers");
    assert_eq!((ranked.u, ranked.a12, ranked.shift), (7.5, 7.5 / 9.0, 4.0));
    let shifts = [compare(&[5.0, 6.0, 9.0], &[1.0, 3.0]), compare(&[5.0, 6.0, 9.0], &[1.0])];
    assert_eq!(shifts.map(|ranked| ranked.expect("numbers").shift), [4.5, 5.0], "of six differences, and of three");
    assert_eq!(compare(&[], &[1.0]), None);
    assert_eq!(compare(&[f64::NAN], &[1.0]), None);
    assert_eq!(compare(&[2.0; 9], &[2.0; 9]).map(|ranked| ranked.p), Some(1.0));
}

#[test]
fn the_largest_exact_case_and_many_hosts_are_quick_and_sound() {
    let (low, high): (Vec<f64>, Vec<f64>) = (0..20).map(|i| (f64::from(i), 100.0 + f64::from(i))).unzip();
    assert_close(compare(&high, &low).expect("numbers").p, smallest_p(20, 20), "20 and 20 hosts");
    // Of one pair more the distribution is not counted out.
    let more = compare(&[high.as_slice(), &[1000.0]].concat(), &low).expect("numbers");
    assert_eq!(more.p, normal(420.0, 21, 20, 0.0, 0.5));
    let many: Vec<f64> = (0..5000).map(f64::from).collect();
    let moved: Vec<f64> = many.iter().map(|value| value + 250.0).collect();
    let ranked = compare(&moved, &many).expect("numbers");
    assert!((ranked.shift - 250.0).abs() < 1e-9, "{ranked:?}");
}

proptest! {
    #[test]
    fn both_directions_cover_all_arrangements(
        x in proptest::collection::vec(0i32..1000, 1..8), y in proptest::collection::vec(0i32..1000, 1..8),
    ) {
        // Made different by construction, so that nothing is tied.
        let x: Vec<f64> = x.iter().enumerate().map(|(i, v)| f64::from(*v) + i as f64 / 100.0).collect();
        let y: Vec<f64> = y.iter().enumerate().map(|(i, v)| f64::from(*v) + 0.5 + i as f64 / 100.0).collect();
        let u = u_and_ties(&x, &y).0;
        let (m, n) = (x.len(), y.len());
        let greater = exact(u, m, n);
        let less = exact((m * n) as f64 - u, m, n);
        let point = greater + less - 1.0;
        prop_assert!(point > 0.0 && point <= greater.min(less) + 1e-12);
        prop_assert!(greater >= smallest_p(m, n) - 1e-15);
    }
}
