//! The numbers of other programs that the tests are held against; where they come from is in `tests/fixtures/gates/README.md`.

use serde_json::Value;

/// Ranks and counts.
pub fn stat() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/gates/stat_vectors.json")).expect("the fixture is JSON")
}

/// The sequential test.
pub fn sequential() -> Value {
    let text = include_str!("../../../tests/fixtures/gates/sequential_vectors.json");
    serde_json::from_str(text).expect("the fixture is JSON")
}

/// Eight fleets.
pub fn attribution() -> Value {
    let text = include_str!("../../../tests/fixtures/gates/attribution_vectors.json");
    serde_json::from_str(text).expect("the fixture is JSON")
}

/// The members of a list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// A number.
pub fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Holds when the relative error is at most 1e-9.
pub fn assert_close(got: f64, want: f64, what: &str) {
    let close = got == want || ((got - want) / want).abs() <= 1e-9;
    assert!(close, "{what}: got {got:e}, want {want:e}");
}
