//! What a web server of the demo answers for a wiki: decided by what lies on its host at this moment.
//!
//! As MediaWiki does, it looks the wiki up in the compiled map, loads that version's settings and then its localisation
//! cache, and fails when one of them is not there. Nothing is remembered between two requests.
//!
//! Invariant: paths are made of [`Wiki`] and [`Version`] only, whose grammars allow no way out of the root.

use super::session::{self, Manners};
use super::trees;
use super::{error::DemoError, reinstall};
use crate::model::limits::DEMO_PAGE_BYTES_MAX;
use crate::model::names::{Version, Wiki};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A page of this version, with a message in the wiki's language.
    Page {
        /// The version whose code answered, as its own settings say.
        version: Version,
        /// The name of the main page.
        title: String,
        /// How this version treats sessions.
        manners: Manners,
    },
    /// The map has no such wiki.
    UnknownWiki,
    /// Something is missing on this host; the text is what stands on the page.
    Broken(String),
}

/// Serves `wiki` from the host's `root`.
pub fn answer(root: &Path, wiki: &Wiki) -> Answer {
    let map = match reinstall::active(root) {
        Ok(map) => map,
        Err(DemoError::Map { why, .. }) => return Answer::Broken(format!("wikiversions.php: {why}")),
        Err(_) => return Answer::Broken("no wikiversions.php on this host".to_owned()),
    };
    let Some(version) = map.0.get(wiki) else { return Answer::UnknownWiki };
    page(&root.join(version.directory()), wiki).unwrap_or_else(Answer::Broken)
}

/// The page of a wiki from a version's tree, or what is missing there.
fn page(tree: &Path, wiki: &Wiki) -> Result<Answer, String> {
    let settings = read(&tree.join(trees::SETTINGS)).ok_or_else(|| format!("{}: no such file", trees::SETTINGS))?;
    let said = settings.lines().find_map(|line| line.strip_prefix("$wgVersion = '")?.strip_suffix("';"));
    let version = said.and_then(|text| text.parse().ok()).ok_or_else(|| format!("{}: no version", trees::SETTINGS))?;
    let language = trees::language(wiki).filter(|code| tree.join(format!("languages/i18n/{code}.json")).is_file());
    let language = language.unwrap_or_else(|| "en".to_owned());
    let missing = || format!("MWException: No localisation cache found for language `{language}` ({version})");
    let messages = read(&tree.join(trees::built(&language))).ok_or_else(missing)?;
    let messages: serde_json::Value = serde_json::from_str(&messages).map_err(|_| missing())?;
    let title = messages["mainpage"].as_str().ok_or_else(missing)?.to_owned();
    let manners = read(&tree.join(session::FILE)).and_then(|text| Manners::from_php(&text));
    let manners = manners.ok_or_else(|| format!("{}: no such file", session::FILE))?;
    Ok(Answer::Page { version, title, manners })
}

/// A text file, cut after [`DEMO_PAGE_BYTES_MAX`]; `None` when it is not there or not text.
fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(DEMO_PAGE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fixture;
    use crate::model::map::VersionMap;

    fn ask(root: &Path, wiki: &str) -> String {
        match answer(root, &wiki.parse().expect("a wiki")) {
            Answer::Page { version, title, .. } => format!("{version}: {title}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_lies_on_the_host_decides_at_every_request() {
        let (_directory, site) = fixture::site();
        let host = "mw2020.codfw.wmnet".parse().expect("a host");
        let root = site.root(&site.hosts()[&host]);
        assert_eq!(ask(&root, "enwiki"), "Broken(\"no wikiversions.php on this host\")");
        let map = fixture::serving(&[&host], &site, |map| map);
        assert_eq!(ask(&root, "enwiki"), "1.27.0-wmf.10: Main Page (en, 1.27.0-wmf.10)");
        assert_eq!(ask(&root, "dewiki"), "1.27.0-wmf.10: Main Page (de, 1.27.0-wmf.10)");
        assert_eq!(ask(&root, "commonswiki"), "1.27.0-wmf.10: Main Page (en, 1.27.0-wmf.10)");
        assert_eq!(ask(&root, "labswiki"), "1.27.0-wmf.9: Main Page (en, 1.27.0-wmf.9)");
        assert_eq!(ask(&root, "nosuchwiki"), "UnknownWiki");
        let bad = map.0.into_keys().map(|wiki| (wiki, "1.27.0-wmf.11".parse().expect("a version"))).collect();
        std::fs::write(root.join(reinstall::SERVED), VersionMap(bad).to_php()).expect("written");
        let said = "Broken(\"MWException: No localisation cache found for language `de` (1.27.0-wmf.11)\")";
        assert_eq!(ask(&root, "dewiki"), said);
        std::fs::remove_dir_all(root.join("php-1.27.0-wmf.11")).expect("removed");
        assert_eq!(ask(&root, "dewiki"), "Broken(\"includes/DefaultSettings.php: no such file\")");
        std::fs::write(root.join(reinstall::SERVED), "<?php return [];").expect("written");
        let said = "Broken(\"wikiversions.php: not a version map: not written by pointsman\")";
        assert_eq!(ask(&root, "dewiki"), said);
    }
}
