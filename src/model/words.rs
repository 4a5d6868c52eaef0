//! Small words that everybody uses, so that no message ever says "1 hosts".

/// `1 host`, `2 hosts`.
pub fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}
