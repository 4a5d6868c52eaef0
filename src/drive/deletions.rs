//! The guard before content that lacks much of what was there before is wanted by the whole fleet.
//!
//! Invariant: a sync that would delete more of a component than groups.yaml lets it is refused before the books want
//! it, unless a person said that it is meant. A half-finished checkout, a wrong directory or a staging that somebody
//! else's deploy server wiped all look like this. An empty source is refused earlier, by the import itself.

use super::staging::Taken;
use crate::model::limits::DELETED_FILES_FREE;
use crate::model::words::count;
use crate::plan::goal::{Blocked, Why};
use crate::report::words;

/// Refuses when one of these would lose more than `percent_max` percent of its files, and more than a handful.
///
/// # Errors
///
/// The first such component, with numbers.
pub fn check(taken: &[&Taken], percent_max: u64) -> Result<(), Blocked> {
    let too_many = |taken: &&&Taken| {
        let (removed, before) = (taken.diff.removed.len() as u64, taken.files_before as u64);
        removed > DELETED_FILES_FREE && removed.saturating_mul(100) > before.saturating_mul(percent_max)
    };
    let Some(taken) = taken.iter().find(too_many) else { return Ok(()) };
    let removed = &taken.diff.removed;
    let names: Vec<String> = removed.iter().map(ToString::to_string).collect();
    let what = format!(
        "{} of staging lacks {} of {} that are wanted now ({}), and `limits.delete_percent_max` is {percent_max}",
        taken.component,
        removed.len(),
        count(taken.files_before, "file"),
        words::names(&names)
    );
    let hint = "see that staging is whole; if all this is to be deleted everywhere, add --delete".to_owned();
    Err(Blocked { hint: Some(hint), ..Blocked::new(Why::Refused, what) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::tree::diff::TreeDiff;
    use expect_test::expect;

    fn taken(removed: usize, files_before: usize) -> Taken {
        let path = |n: usize| format!("f{n:03}").parse().expect("a path");
        let diff = TreeDiff { removed: (0..removed).map(path).collect(), ..TreeDiff::default() };
        let (component, manifest) = ("wmf-config".parse().expect("a component"), Default::default());
        Taken { component, id: Digest::of(b"x"), manifest, diff, files_before }
    }

    #[test]
    fn many_deletions_are_refused_with_numbers_and_few_are_not() {
        for (removed, before) in [(0, 0), (0, 100), (25, 100), (4, 4), (4, 5)] {
            assert!(check(&[&taken(removed, before)], 25).is_ok(), "{removed} of {before}");
        }
        for (removed, before) in [(26, 100), (5, 5), (99, 100)] {
            assert!(check(&[&taken(0, 9), &taken(removed, before)], 25).is_err(), "{removed} of {before}");
        }
        assert!(check(&[&taken(99, 100)], 100).is_ok(), "a site may allow all");
        let blocked = check(&[&taken(30, 100)], 25).expect_err("refused");
        assert_eq!(blocked.why, Why::Refused);
        expect![[r#"wmf-config of staging lacks 30 of 100 files that are wanted now (f000, f001, f002, f003, f004, f005, f006, f007 and 22 more), and `limits.delete_percent_max` is 25"#]].assert_eq(&blocked.what);
    }
}
