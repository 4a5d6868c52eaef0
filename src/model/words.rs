//! Small words that everybody uses, so that no message ever says "1 hosts".

/// `1 host`, `2 hosts`.
pub fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

/// The known name that `text` was most probably meant to be, by Damerau's and Levenshtein's distance; `None` when none
/// is near.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const CHARS_COMPARED_MAX: usize = 256;
    if text.len() > CHARS_COMPARED_MAX {
        return None;
    }
    let far = (text.len() / 4).clamp(1, 4);
    let distances = known.into_iter().map(|k| (strsim::damerau_levenshtein(text, k), k));
    distances.filter(|(distance, _)| *distance <= far).min().map(|(_, known)| known)
}
