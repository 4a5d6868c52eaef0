//! The source trees of the demo: a few hundred small files a version, and the step that builds localisation.
//!
//! Invariant: the same version has the same bytes on every machine and in every run; between two versions about a
//! third of the code differs, as from one week to the next. Nothing here reads a clock or draws a random number.

use super::error::{Result, at};
use super::session::{self, Manners};
use crate::config::policy::Policy;
use crate::model::names::{Version, Wiki};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Code files of one version.
const CODE_FILES: usize = 240;
/// The version whose sessions are broken, as they were in 2016.
pub const BROKEN: &str = "1.27.0-wmf.11";
/// Languages of one version, each a file before and after the build.
pub const LANGUAGES: usize = 449;
/// The build step, relative to the tree.
pub const BUILD: &str = "maintenance/build-l10n";
/// What the build step makes, relative to the tree.
pub const BUILT: &str = "cache/l10n";
/// Where a tree says its version, relative to it.
pub const SETTINGS: &str = "includes/DefaultSettings.php";

const BUILD_SCRIPT: &str = include_str!("build-l10n");
const ROOMS: [&str; 6] = ["includes", "includes/api", "includes/session", "includes/user", "extensions/Echo", "skins"];
const MESSAGES: [(&str, &str); 6] = [
    ("login", "Log in"),
    ("logout", "Log out"),
    ("mainpage", "Main Page"),
    ("session-fail", "There seems to be a problem with your login session"),
    ("sitesubtitle", "The free encyclopedia"),
    ("viewsource", "View source"),
];

/// The languages of the demo: those of its Wikipedias, filled up with codes that are reserved for private use.
pub fn languages(policy: &Policy) -> BTreeSet<String> {
    let wikis = policy.groups.iter().flat_map(|group| &group.wikis);
    let mut found: BTreeSet<String> = BTreeSet::from(["en".to_owned()]);
    let private =
        (b'a'..=b't').flat_map(|x| (b'a'..=b'z').map(move |y| format!("q{}{}", char::from(x), char::from(y))));
    let codes = wikis.filter_map(language);
    for code in codes.chain(private) {
        if found.len() == LANGUAGES {
            break;
        }
        found.insert(code);
    }
    found
}

/// The language that a wiki's name says: `zh-min-nan` for `zh_min_nanwiki`, none for `commonswiki`: languages have two
/// or three letters before the first `-`.
pub fn language(wiki: &Wiki) -> Option<String> {
    let code = wiki.as_str().strip_suffix("wiki")?.replace('_', "-");
    let first = code.split('-').next()?;
    ((2..=3).contains(&first.len()) && code.len() <= 12).then_some(code)
}

/// The built file of a language, relative to the tree.
pub fn built(language: &str) -> String {
    format!("{BUILT}/l10n_cache-{language}.cdb.json")
}

/// Writes the tree of `version` to `tree`, which does not exist yet.
pub fn write(tree: &Path, version: &Version, languages: &BTreeSet<String>) -> Result<()> {
    for room in ROOMS.iter().chain(&["languages/i18n", "maintenance"]) {
        let path = tree.join(room);
        at("make", &path, std::fs::create_dir_all(&path))?;
    }
    put(&tree.join(SETTINGS), &format!("<?php\n\n$wgVersion = '{version}';\n"))?;
    let manners = if version.as_str() == BROKEN { Manners::BROKEN } else { Manners::SOUND };
    put(&tree.join(session::FILE), &manners.to_php())?;
    for n in 0..CODE_FILES {
        let (name, text) = code(n, version);
        put(&tree.join(name), &text)?;
    }
    for (n, language) in languages.iter().enumerate() {
        put(&tree.join("languages/i18n").join(format!("{language}.json")), &messages(n, language, version))?;
    }
    let build = tree.join(BUILD);
    put(&build, BUILD_SCRIPT)?;
    at("make executable", &build, std::fs::set_permissions(&build, PermissionsExt::from_mode(0o755)))
}

/// How many files [`write`] makes with all languages: code, settings, sessions, messages and the build step.
pub fn files() -> usize {
    CODE_FILES + 2 + LANGUAGES + 1
}

/// Writes a text file.
pub fn put(path: &Path, text: &str) -> Result<()> {
    at("write", path, std::fs::write(path, text))
}

/// The path and the text of the code file `n`. Each version changes every third file, another third each time.
fn code(n: usize, version: &Version) -> (String, String) {
    let week = week(version);
    let changed = (0..=week).rev().find(|w| (w + n).is_multiple_of(3)).unwrap_or(0);
    let name = format!("{}/Class{n:03}.php", ROOMS[n % ROOMS.len()]);
    let methods: String = (0..3 + n % 5)
        .map(|m| {
            format!("\n    public function step{m}( $x ) {{\n        return $x + {};\n    }}\n", n * 7 + changed * m)
        })
        .collect();
    (name, format!("<?php\n\n/** Last changed in week {changed}. */\nclass Class{n:03} {{{methods}}}\n"))
}

/// The last number of a version.
fn week(version: &Version) -> usize {
    version.as_str().rsplit('.').next().and_then(|week| week.parse().ok()).unwrap_or(0)
}

/// The messages of a language; all but English leave some untranslated, which the build fills in.
fn messages(n: usize, language: &str, version: &Version) -> String {
    let translated = MESSAGES.iter().enumerate().filter(|(i, _)| language == "en" || !(i + n).is_multiple_of(4));
    let lines: Vec<String> =
        translated.map(|(_, (key, text))| format!("    \"{key}\": \"{text} ({language}, {version})\"")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fixture;

    fn code_of(version: &str) -> Vec<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let tree = directory.path().join("php");
        let version = version.parse().expect("a version");
        write(&tree, &version, &BTreeSet::from(["en".to_owned()])).expect("written");
        let read = |name: &str| std::fs::read_to_string(tree.join(name)).expect("it is there");
        let manners = Manners::from_php(&read(session::FILE)).expect("it says so");
        assert_eq!(manners == Manners::BROKEN, version.as_str() == BROKEN, "one version is broken");
        assert_eq!(read(SETTINGS), format!("<?php\n\n$wgVersion = '{version}';\n"));
        (0..CODE_FILES).map(|n| read(&code(n, &version).0)).collect()
    }

    #[test]
    fn a_third_of_the_code_changes_from_week_to_week() {
        let (old, new) = (code_of("1.27.0-wmf.10"), code_of("1.27.0-wmf.11"));
        assert_eq!(old, code_of("1.27.0-wmf.10"), "deterministic");
        let changed = old.iter().zip(&new).filter(|(old, new)| old != new).count();
        assert_eq!(changed, CODE_FILES / 3);
    }

    #[test]
    fn there_are_449_languages_that_are_safe_in_paths() {
        let languages = languages(&fixture::policy());
        assert_eq!(languages.len(), LANGUAGES);
        let plain = |code: &String| code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        assert!(languages.iter().all(plain));
        for code in ["en", "de", "he", "zh-min-nan", "qaa"] {
            assert!(languages.contains(code), "{code}");
        }
        for code in ["commons", "test", "labs", ""] {
            assert!(!languages.contains(code), "{code}");
        }
    }
}
