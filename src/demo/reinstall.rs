//! What happened to mw2020: a new machine under an old name, filled straight from staging.
//!
//! A reinstall knows nothing of pointsman. It fetches all of staging and the map of the moment, and builds
//! localisation for the versions that are active at that moment: the version that a rollback would return to is there
//! with its code and without its localisation, which is what nobody noticed.

use super::error::{DemoError, Result, at};
use super::site::Site;
use super::trees;
use crate::fleet::classify::last_line;
use crate::model::limits::MAP_BYTES_MAX;
use crate::model::map::VersionMap;
use crate::model::names::{HostName, Version};
use std::collections::BTreeSet;
use std::fs::{File, copy, create_dir_all, read_dir, remove_dir_all};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// The compiled map, relative to a host's root: what its web tier serves by.
pub const SERVED: &str = "wikiversions.php";

/// Reinstalls a host; returns the versions for which it now has localisation.
///
/// # Errors
///
/// The site has no such host, it served nothing, or the disk or the build step refuses.
pub fn reinstall(site: &Site, host: &HostName) -> Result<BTreeSet<Version>> {
    let hosts = site.hosts();
    let Some(directory) = hosts.get(host) else {
        return Err(DemoError::NotADemo { file: site.policy.file.clone(), why: format!("it has no host {host}") });
    };
    let map = active(&site.root(directory))?;
    for gone in [site.state(directory), site.root(directory)] {
        match remove_dir_all(&gone) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => at("remove", &gone, other)?,
        }
    }
    site.empty_host(directory, |path| path.to_owned())?;
    serve(site, directory, &map)
}

/// Fills the host in `directory` from staging and lets it serve by `map`; localisation is built for active versions.
pub fn serve(site: &Site, directory: &Path, map: &VersionMap) -> Result<BTreeSet<Version>> {
    let root = site.root(directory);
    copy_tree(&site.policy.staging, &root)?;
    let active: BTreeSet<Version> = map.counts().into_keys().collect();
    for version in &active {
        build(&root.join(version.directory()))?;
    }
    for (name, bytes) in [("wikiversions.json", map.to_json()), (SERVED, map.to_php())] {
        let path = root.join(name);
        at("write", &path, std::fs::write(&path, bytes))?;
    }
    Ok(active)
}

/// The map that a host serves by, below its root.
pub fn active(root: &Path) -> Result<VersionMap> {
    let path = root.join(SERVED);
    let mut bytes = Vec::new();
    let file = at("open", &path, File::open(&path))?;
    at("read", &path, file.take(MAP_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))?;
    VersionMap::from_php(&bytes).map_err(|why| DemoError::Map { path, why: why.to_string() })
}

/// Copies directories and plain files with their modes; there is nothing else in the demo's staging.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    at("make", to, create_dir_all(to))?;
    for entry in at("list", from, read_dir(from))? {
        let entry = at("list", from, entry)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = at("look at", &source, entry.file_type())?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_file() {
            at("copy", &source, copy(&source, &target))?;
        }
    }
    Ok(())
}

/// Runs the build step of a tree, as a host would. By name of its shell: a file that was just written may not be
/// executed while a process that is being started beside this one still has it open.
fn build(tree: &Path) -> Result<()> {
    let mut command = Command::new("sh");
    command.arg(trees::BUILD).current_dir(tree).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    let output = at("run the build step in", tree, command.stdin(Stdio::null()).output())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(DemoError::Build {
            tree: tree.to_owned(),
            status: output.status.to_string(),
            stderr: last_line(&output.stderr).unwrap_or_default(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fixture;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_reinstalled_host_has_all_code_and_only_active_localisation() {
        let (_directory, site) = fixture::site();
        let host: HostName = "mw2020.codfw.wmnet".parse().expect("a host");
        let new: Version = "1.27.0-wmf.11".parse().expect("a version");
        let map = fixture::serving(&[&host], &site, |mut map| {
            map.0.values_mut().for_each(|version| *version = new.clone());
            map
        });
        let directory = site.hosts()[&host].clone();
        let (root, state) = (site.root(&directory), site.state(&directory));
        create_dir_all(&state).expect("made");
        std::fs::write(state.join("incarnation"), "old").expect("written");
        std::fs::write(root.join("php-1.27.0-wmf.10/left"), "old").expect("written");
        let built = reinstall(&site, &host).expect("it is reinstalled");
        assert_eq!(built, BTreeSet::from([new.clone()]));
        assert!(!state.exists(), "it is another machine");
        assert!(!root.join("php-1.27.0-wmf.10/left").exists());
        assert!(root.join("php-1.27.0-wmf.10").join(trees::SETTINGS).exists(), "it has the code of .10");
        assert!(!root.join("php-1.27.0-wmf.10").join(trees::BUILT).exists(), "and not its localisation");
        assert_eq!(fixture::files(&root.join(new.directory()).join(trees::BUILT)), trees::LANGUAGES);
        assert_eq!(active(&root).expect("it serves"), map);
        let script = root.join(new.directory()).join(trees::BUILD);
        assert_eq!(script.metadata().expect("there").permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn hosts_that_are_unknown_or_never_served_are_not_emptied() {
        let (_directory, site) = fixture::site();
        crate::demo::fleet::create(&site).expect("it is made");
        let unknown = reinstall(&site, &"mw3000".parse().expect("a host"));
        assert!(matches!(unknown, Err(DemoError::NotADemo { .. })));
        let host = "mw2020.codfw.wmnet".parse().expect("a host");
        let left = site.root(&site.hosts()[&host]).join("left");
        std::fs::write(&left, "").expect("written");
        assert!(matches!(reinstall(&site, &host), Err(DemoError::Io { .. })));
        assert!(left.exists());
    }

    #[test]
    fn the_build_fills_untranslated_messages_from_english_and_needs_its_input() {
        let (_directory, site) = fixture::site();
        let version: Version = "1.27.0-wmf.11".parse().expect("a version");
        let tree = site.directory.join("tree");
        trees::write(&tree, &version, &["de", "en"].map(str::to_owned).into()).expect("written");
        build(&tree).expect("it is built");
        let read = |language: &str| std::fs::read_to_string(tree.join(trees::built(language))).expect("it is there");
        expect_test::expect![[r#"
            {
                "login": "Log in (en, 1.27.0-wmf.11)",
                "logout": "Log out (de, 1.27.0-wmf.11)",
                "mainpage": "Main Page (de, 1.27.0-wmf.11)",
                "session-fail": "There seems to be a problem with your login session (de, 1.27.0-wmf.11)",
                "sitesubtitle": "The free encyclopedia (en, 1.27.0-wmf.11)",
                "viewsource": "View source (de, 1.27.0-wmf.11)"
            }
        "#]]
        .assert_eq(&read("de"));
        let json: serde_json::Value = serde_json::from_str(&read("en")).expect("it is JSON");
        assert_eq!(json["login"], "Log in (en, 1.27.0-wmf.11)");
        std::fs::remove_file(tree.join("languages/i18n/en.json")).expect("removed");
        let error = build(&tree).expect_err("there is no input").to_string();
        assert!(error.contains("ended with exit status: 1: build-l10n: no languages/i18n/en.json here"), "{error}");
    }
}
