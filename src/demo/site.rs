//! Where a demo lives: the directory with its groups.yaml, and `.demo/` beside it, which holds everything else.
//!
//! In a clone of the repository the groups.yaml of the repository is used as it stands. Elsewhere copies of it and of
//! its dblists, which are embedded in the program, are written first.
//!
//! Invariant: a [`Site`] names no host and no directory outside of its `.demo/`, so that a demo that is started beside
//! the groups.yaml of a real site refuses instead of emptying one of its hosts.

use super::error::{DemoError, Result, at};
use crate::config::policy::{Policy, Transport};
use crate::config::{FILE_NAME, load};
use crate::fleet::local;
use crate::model::names::HostName;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The directory beside groups.yaml that the demo makes and removes.
pub const HOME: &str = ".demo";
/// Where the demo goes when the current directory has no groups.yaml.
pub const ELSEWHERE: &str = "pointsman-demo";

/// groups.yaml and what it reads, by their paths in the repository.
const EMBEDDED: [(&str, &str); 6] = [
    ("groups.yaml", include_str!("../../groups.yaml")),
    ("dblists/all.dblist", include_str!("../../dblists/all.dblist")),
    ("dblists/group0.dblist", include_str!("../../dblists/group0.dblist")),
    ("dblists/group1-wikipedia.dblist", include_str!("../../dblists/group1-wikipedia.dblist")),
    ("dblists/group2.dblist", include_str!("../../dblists/group2.dblist")),
    ("dblists/wikipedia.dblist", include_str!("../../dblists/wikipedia.dblist")),
];

/// A site that is safe to play with.
#[derive(Debug, Clone)]
pub struct Site {
    /// The directory of groups.yaml, absolute.
    pub directory: PathBuf,
    /// What groups.yaml says.
    pub policy: Policy,
}

/// The directory of the demo: the one that was named, else `here` when it has a groups.yaml, else one below it.
pub fn place(named: Option<&Path>, here: &Path) -> PathBuf {
    match named {
        Some(directory) => here.join(directory),
        None if here.join(FILE_NAME).is_file() => here.to_owned(),
        None => here.join(ELSEWHERE),
    }
}

/// Opens the site in `directory` (absolute), and writes the embedded one there when it has no groups.yaml.
///
/// # Errors
///
/// The file has mistakes or is of a real site, or the embedded one cannot be written.
pub fn prepare(directory: &Path) -> Result<Site> {
    if !directory.join(FILE_NAME).exists() {
        for (name, text) in EMBEDDED {
            let path = directory.join(name);
            let parent = path.parent().unwrap_or(directory);
            at("make", parent, std::fs::create_dir_all(parent))?;
            at("write", &path, std::fs::write(&path, text))?;
        }
    }
    open(directory)
}

/// Opens the site in `directory` (absolute).
///
/// # Errors
///
/// There is no groups.yaml, it has mistakes, or it is of a real site.
pub fn open(directory: &Path) -> Result<Site> {
    let directory = at("find", directory, directory.canonicalize())?;
    let policy = load(&directory.join(FILE_NAME))?;
    let site = Site { directory, policy };
    site.check()?;
    Ok(site)
}

/// Removes what [`prepare`] wrote to `directory` where it is still as it was written, and directories that are empty
/// then. Only for whoever saw that there was nothing before.
///
/// # Errors
///
/// The disk refuses.
pub fn forget(directory: &Path) -> Result<()> {
    for (name, text) in EMBEDDED {
        let path = directory.join(name);
        if std::fs::read(&path).is_ok_and(|bytes| bytes == text.as_bytes()) {
            at("remove", &path, std::fs::remove_file(&path))?;
        }
    }
    for empty in [directory.join("dblists"), directory.to_owned()] {
        match std::fs::remove_dir(&empty) {
            Err(error) if ![ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty].contains(&error.kind()) => {
                return at("remove", &empty, Err(error));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Site {
    /// `.demo/`, absolute.
    pub fn home(&self) -> PathBuf {
        self.directory.join(HOME)
    }

    /// Every host's directory, absolute.
    pub fn hosts(&self) -> BTreeMap<HostName, PathBuf> {
        let hosts = self.policy.hosts.iter();
        let local = hosts.filter_map(|(name, host)| match &host.transport {
            Transport::Local { directory } => Some((name.clone(), directory.clone())),
            Transport::Ssh { .. } => None,
        });
        local.collect()
    }

    /// What the host in `directory` serves from.
    pub fn root(&self, directory: &Path) -> PathBuf {
        local::below(directory, &self.policy.root)
    }

    /// Where the agent of the host in `directory` keeps its notes.
    pub fn state(&self, directory: &Path) -> PathBuf {
        local::below(directory, &self.policy.state)
    }

    /// Makes what a new machine has: the root, empty, and the place where an agent would make its state. `placed` says
    /// where each path is to be made.
    pub fn empty_host(&self, directory: &Path, placed: impl Fn(&Path) -> PathBuf) -> Result<()> {
        let state = self.state(directory);
        for path in [&self.root(directory), state.parent().unwrap_or(directory)] {
            let path = placed(path);
            at("make", &path, std::fs::create_dir_all(&path))?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let home = self.home();
        let refuse = |why: String| Err(DemoError::NotADemo { file: self.policy.file.clone(), why });
        // `starts_with` compares names, so a `..` could still lead out.
        let inside = |path: &Path| {
            let mut parts = path.components();
            path.starts_with(&home) && path != home && parts.all(|part| part != std::path::Component::ParentDir)
        };
        if let Some((name, _)) = self.policy.hosts.iter().find(|(_, h)| matches!(h.transport, Transport::Ssh { .. })) {
            return refuse(format!("{name} is reached by ssh"));
        }
        if let Some((name, path)) = self.hosts().into_iter().find(|(_, path)| !inside(path)) {
            return refuse(format!("{name} is {}, outside of {HOME}", path.display()));
        }
        match [&self.policy.staging, &self.policy.books].into_iter().find(|path| !inside(path)) {
            Some(path) => refuse(format!("{} is outside of {HOME}", path.display())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_embedded_site_is_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let site = prepare(directory.path()).expect("it is written and read");
        assert_eq!(site.hosts().len(), 12);
        assert_eq!(site.policy.groups.iter().map(|group| group.wikis.len()).sum::<usize>(), 894);
        assert!(site.hosts().values().all(|path| path.starts_with(site.home())));
        let again = prepare(directory.path()).expect("what is there is used");
        assert_eq!(again.policy, site.policy);
    }

    #[test]
    fn what_was_written_is_removed_and_what_was_edited_stays() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("demo");
        prepare(&directory).expect("written");
        forget(&directory).expect("removed");
        assert!(!directory.exists());
        prepare(&directory).expect("written");
        std::fs::write(directory.join("dblists/all.dblist"), "enwiki\n").expect("edited");
        forget(&directory).expect("removed");
        assert!(directory.join("dblists/all.dblist").is_file());
        assert!(!directory.join("groups.yaml").exists());
        forget(&parent.path().join("nothing")).expect("nothing to do");
    }

    #[test]
    fn a_clone_uses_its_own_file_and_other_directories_get_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let here = directory.path();
        assert_eq!(place(None, here), here.join("pointsman-demo"));
        assert_eq!(place(Some(Path::new("x")), here), here.join("x"));
        std::fs::write(here.join(FILE_NAME), "").expect("written");
        assert_eq!(place(None, here), here);
        assert_eq!(place(Some(Path::new("/x")), here), Path::new("/x"));
    }

    #[test]
    fn a_real_sites_file_is_refused_whatever_in_it_is_real() {
        let directory = tempfile::tempdir().expect("a directory");
        prepare(directory.path()).expect("written");
        let file = directory.path().join(FILE_NAME);
        let good = std::fs::read_to_string(&file).expect("read");
        let real = directory.path().canonicalize().expect("it is there");
        let said = |from: &str, to: &str| {
            std::fs::write(&file, good.replacen(from, to, 1)).expect("written");
            let error = open(directory.path()).expect_err("it is refused").to_string();
            error.replace(&*real.to_string_lossy(), "SITE")
        };
        expect!["SITE/groups.yaml is not a demo's: mw1017.eqiad.wmnet is reached by ssh; name another directory with `--dir`"]
            .assert_eq(&said("    transport: local\n    directory: .demo/hosts\n", ""));
        expect!["SITE/groups.yaml is not a demo's: mw1017.eqiad.wmnet is /srv/mw1017.eqiad.wmnet, outside of .demo; name another directory with `--dir`"]
            .assert_eq(&said("directory: .demo/hosts", "directory: /srv"));
        expect![
            "SITE/groups.yaml is not a demo's: SITE/staging is outside of .demo; name another directory with `--dir`"
        ]
        .assert_eq(&said("staging: .demo/staging", "staging: staging"));
    }
}
