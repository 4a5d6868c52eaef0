//! Removing content that nothing refers to any more from the deploy host's store.
//!
//! Invariant: nothing goes while somebody takes content in, and what was just taken in stays although the books do not
//! want it yet: a manifest that is young counts as wanted. A wanted manifest that can't be read ends this before
//! anything is removed.

use super::content::{ContentError, ContentStore, at};
use super::manifest::EntryKind;
use crate::model::digest::Digest;
use std::collections::BTreeSet;
use std::fs::{DirEntry, Metadata};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long a manifest stays that nothing refers to: the time between taking content in and wanting it.
const YOUNG: Duration = Duration::from_secs(24 * 3600);
/// How long a signature stays whose content is not here. It may have been made ahead of the content.
const SIGNATURES: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long frames stay. They only save work, and are made again.
const BUNDLES: Duration = Duration::from_secs(7 * 24 * 3600);

type Result<T> = std::result::Result<T, ContentError>;

/// What is no longer in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Contents of whole components.
    pub manifests: u64,
    /// Files.
    pub files: u64,
    /// Frames of bundles.
    pub frames: u64,
    /// Signatures of contents that are not here.
    pub signatures: u64,
    /// The bytes of all of them.
    pub bytes: u64,
}

impl ContentStore {
    /// Removes what neither the contents `wanted` nor young ones refer to. With `dry` it only counts.
    ///
    /// # Errors
    ///
    /// A wanted manifest is damaged; the system's own. What is wanted is whole then.
    pub fn collect(&self, wanted: &BTreeSet<Digest>, now: SystemTime, dry: bool) -> Result<Removed> {
        // A dry run changes nothing, the lock neither.
        let _held = (!dry).then(|| self.begin()).transpose()?;
        let mut removed = Removed::default();
        let (mut kept, mut contents, mut old) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (entry, found) in entries(&self.manifest_directory())? {
            let id = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
            let is_kept = id.is_some_and(|id| wanted.contains(&id)) || age(&found, now) < YOUNG;
            match (is_kept, id) {
                (true, Some(id)) => {
                    contents.insert(id);
                    self.refers_to(id, &mut kept)?;
                }
                (true, None) => {}
                (false, _) => old.push((entry, found)),
            }
        }
        for (entry, found) in old {
            remove(&entry, &found, dry, &mut removed.manifests, &mut removed.bytes)?;
        }
        self.collect_files(&kept, dry, &mut removed)?;
        for (entry, found) in entries(&self.signature_directory())? {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.rsplit_once('@')?.1.parse::<Digest>().ok());
            if id.is_some_and(|id| !contents.contains(&id)) && age(&found, now) >= SIGNATURES {
                remove(&entry, &found, dry, &mut removed.signatures, &mut removed.bytes)?;
            }
        }
        for (entry, found) in entries(&self.bundle_directory())? {
            if age(&found, now) >= BUNDLES {
                remove(&entry, &found, dry, &mut removed.frames, &mut removed.bytes)?;
            }
        }
        Ok(removed)
    }

    fn refers_to(&self, id: Digest, kept: &mut BTreeSet<Digest>) -> Result<()> {
        let manifest = self.manifest(id)?;
        let entries = manifest.iter().flat_map(|manifest| manifest.entries());
        kept.extend(entries.filter_map(|entry| match entry.kind {
            EntryKind::File { digest, .. } => Some(digest),
            EntryKind::Symlink { .. } => None,
        }));
        Ok(())
    }

    fn collect_files(&self, kept: &BTreeSet<Digest>, dry: bool, removed: &mut Removed) -> Result<()> {
        for (directory, _) in entries(&self.file_directory())? {
            let prefix = directory.file_name();
            for (entry, found) in entries(&directory.path())? {
                let name = [prefix.to_string_lossy(), entry.file_name().to_string_lossy()].concat();
                if !name.parse::<Digest>().is_ok_and(|digest| kept.contains(&digest)) {
                    remove(&entry, &found, dry, &mut removed.files, &mut removed.bytes)?;
                }
            }
        }
        Ok(())
    }
}

/// What is in a directory; nothing when it is not there.
fn entries(directory: &Path) -> Result<Vec<(DirEntry, Metadata)>> {
    let listed = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => at(directory, listed)?,
    };
    let one = |entry: std::io::Result<DirEntry>| {
        let entry = entry?;
        let found = entry.metadata()?;
        Ok((entry, found))
    };
    at(directory, listed.map(one).collect())
}

/// How long ago a file was put there; nothing when the clock went back.
fn age(found: &Metadata, now: SystemTime) -> Duration {
    found.modified().ok().and_then(|then| now.duration_since(then).ok()).unwrap_or_default()
}

fn remove(entry: &DirEntry, found: &Metadata, dry: bool, count: &mut u64, bytes: &mut u64) -> Result<()> {
    *count += 1;
    *bytes = bytes.saturating_add(found.len());
    if dry {
        return Ok(());
    }
    at(&entry.path(), std::fs::remove_file(entry.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::component::Component;
    use crate::model::signed::{Signed, release_text};
    use std::fs;

    /// A store beside a source tree.
    struct Site {
        _directory: tempfile::TempDir,
        source: std::path::PathBuf,
        store: ContentStore,
    }

    fn site() -> Site {
        let directory = tempfile::tempdir().expect("a directory");
        let source = directory.path().join("source");
        fs::create_dir(&source).expect("it is made");
        let store = ContentStore::open(&directory.path().join("books")).expect("it opens");
        Site { _directory: directory, source, store }
    }

    impl Site {
        /// Takes the tree with these files in.
        fn take(&self, files: &[(&str, &str)]) -> Digest {
            fs::remove_dir_all(&self.source).expect("it goes");
            fs::create_dir(&self.source).expect("it is made");
            files.iter().for_each(|(name, text)| fs::write(self.source.join(name), text).expect("it is written"));
            self.store.import(&self.source, &[]).expect("it is taken").id()
        }

        /// A number of days from now.
        fn collect(&self, wanted: &[Digest], days: u64, dry: bool) -> Removed {
            let now = SystemTime::now() + Duration::from_secs(days * 24 * 3600 + 60);
            self.store.collect(&wanted.iter().copied().collect(), now, dry).expect("it collects")
        }

        fn holds(&self, text: &str) -> bool {
            self.store.holds(Digest::of(text.as_bytes()), text.len() as u64)
        }
    }

    #[test]
    fn only_what_nothing_refers_to_goes() {
        let site = site();
        let old = site.take(&[("a", "one"), ("b", "both")]);
        let new = site.take(&[("a", "two"), ("b", "both")]);
        assert_eq!(site.collect(&[new], 0, false), Removed::default(), "both are young");
        let counted = site.collect(&[new], 1, true);
        assert_eq!((counted.manifests, counted.files), (1, 1));
        assert!(site.holds("one"), "it was only counted");
        assert_eq!(site.collect(&[new], 1, false), counted);
        assert!(!site.holds("one") && site.holds("two") && site.holds("both"));
        assert_eq!(site.store.manifest(old).expect("it is no error"), None);
        assert!(site.store.manifest(new).expect("it is read").is_some());
        assert_eq!(site.collect(&[new], 1, false), Removed::default(), "a second time nothing is left");
        // What went can be taken in again.
        assert_eq!(site.take(&[("a", "one"), ("b", "both")]), old);
        assert!(site.holds("one"));
    }

    #[test]
    fn a_signature_goes_once_its_content_is_gone_and_it_is_not_young() {
        let site = site();
        let component: Component = "wmf-config".parse().expect("legal");
        let sign = |id: Digest| {
            let contents = [(component.clone(), id)].into();
            let signed = Signed { text: release_text(&contents), signature: "by somebody".to_owned() };
            site.store.keep_signed(&contents, &signed).expect("it is kept");
        };
        let has = |id: Digest| site.store.signed(&component, id).expect("it is no error").is_some();
        let (old, new) = (site.take(&[("a", "one")]), site.take(&[("a", "two")]));
        let ahead = Digest::of(b"what staging will have");
        [old, new, ahead].into_iter().for_each(sign);
        let foreign = site.store.signature_directory().join("notes");
        fs::write(&foreign, "by hand").expect("it is written");
        assert_eq!(site.collect(&[new], 29, false).signatures, 0);
        assert!(has(old) && has(new) && has(ahead), "they may be of what comes yet");
        assert_eq!(site.collect(&[new], 30, true).signatures, 2);
        assert!(has(old) && has(ahead), "they were only counted");
        assert_eq!(site.collect(&[new], 30, false).signatures, 2);
        assert!(!has(old) && has(new) && !has(ahead) && foreign.exists());
    }

    #[test]
    fn a_wanted_content_that_is_damaged_stops_it_before_anything_goes() {
        let site = site();
        site.take(&[("a", "one")]);
        let new = site.take(&[("a", "two")]);
        fs::write(site.store.manifest_directory().join(new.to_string()), "damaged").expect("it is written");
        let now = SystemTime::now() + Duration::from_secs(3 * 24 * 3600);
        let error = site.store.collect(&[new].into(), now, false).expect_err("it can't be known what is wanted");
        assert!(matches!(error, ContentError::Damaged(_)), "{error}");
        assert!(site.holds("one") && site.holds("two"));
    }
}
