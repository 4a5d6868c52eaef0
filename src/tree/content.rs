//! The deploy host's own store of content: every file of every wanted version by its digest, and manifests by their id.
//!
//! Layout below the books' directory: `content/files/ab/cdef...` (a file by its BLAKE3), `content/manifests/ID`,
//! `content/signatures/COMPONENT@ID` (who signed what, as hosts verify it), `content/bundles` (frames that were sent, see `packing`), `content/tmp` (staged, swept by the next import), `content/lock`, and `stat-index/` beside it. Everything is 0700.
//!
//! Invariant: a name appears by rename only, after its bytes were written, read back, found to hash to that name and
//! synced; a manifest appears after all of its files. So whatever is there is whole, at any power cut. Proofs and
//! repairs read from here, never from staging as it happens to lie there. Taking staging in is `import`.
//!
//! Deliberately absent: removal. What may be forgotten is decided by the books; `collect` removes it.

use super::listing::Listings;
use super::manifest::{Manifest, ManifestError};
use super::packing::Chosen;
use super::scan::ScanError;
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::limits::{HASH_THREADS_MAX, MESSAGE_BYTES_MAX};
use crate::model::signed::Signed;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZero;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a bundle's name begins with before it is hashed; another way of making them needs another.
const BUNDLE_FORM: &str = "pointsman bundle 2 ";
/// Files up to which each is synced on its own; more are cheaper to sync as a whole file system.
const SYNC_EACH_MAX: usize = 32;

/// The store below one directory of books.
#[derive(Debug, Clone)]
pub struct ContentStore {
    content: PathBuf,
    indexes: PathBuf,
    chosen: Arc<Chosen>,
    listings: Arc<Listings>,
}

/// Why content could not be taken in or given out; a fragment that fits "failed to take in content: {...}".
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The source tree cannot be taken as it is.
    #[error("the source tree cannot be taken as it is")]
    Scan(#[from] ScanError),
    /// What was found is not a tree that can be sent.
    #[error("the source tree cannot be sent")]
    Manifest(#[from] ManifestError),
    /// There is no such source directory.
    #[error("there is no directory {}", .0.display())]
    Missing(PathBuf),
    /// There is nothing in the source directory, which is more often a mistake than a wish.
    #[error("there is no file in {}", .0.display())]
    Empty(PathBuf),
    /// A path that was asked for is neither in the source directory nor in the content so far.
    #[error("there is no `{}`, neither in the source tree nor in the content so far", .0.escape_debug())]
    NoSuchPath(String),
    /// Content that is to be built on is not here.
    #[error("the store lacks the content of `{}`; sync the whole component", .0.escape_debug())]
    Lacking(String),
    /// A file was changed while it was read.
    #[error("`{}` was changed while it was read; try again when nobody writes there", .0.escape_debug())]
    Changed(String),
    /// What is stored does not hash to its name.
    #[error("{} is damaged: it does not hash to its name", .0.display())]
    Damaged(PathBuf),
    /// Others can read or write the store.
    #[error("{path} must be yours alone; type `chmod 700 {path}`, or have its owner changed", path = .0.display())]
    NotPrivate(PathBuf),
    /// The system's own reason.
    #[error("{} cannot be used", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, ContentError>;

/// Makes an error of the system one of a path.
pub fn at<T>(path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| ContentError::Io { path: path.to_owned(), source })
}

/// The lock on the store, let go when dropped or when the process ends.
#[derive(Debug)]
pub struct Taking(#[expect(dead_code, reason = "held for its lock")] File);

impl ContentStore {
    /// The store below the books' directory `books`, which may not exist yet; nothing is written.
    ///
    /// # Errors
    ///
    /// It is there and others can read or write it.
    pub fn open(books: &Path) -> Result<Self> {
        let store = Self {
            content: books.join("content"),
            indexes: books.join("stat-index"),
            chosen: Arc::default(),
            listings: Arc::default(),
        };
        for directory in [&store.content, &store.indexes] {
            match check_private(directory) {
                Err(ContentError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                checked => checked?,
            }
        }
        Ok(store)
    }

    /// The manifest whose id is `id`; `None` when it is not here.
    ///
    /// # Errors
    ///
    /// It is damaged, or the system's own.
    pub fn manifest(&self, id: Digest) -> Result<Option<Manifest>> {
        let path = self.manifest_path(id);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => at(&path, opened)?,
        };
        let mut bytes = Vec::new();
        at(&path, file.take(MESSAGE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))?;
        match Manifest::from_bytes(&bytes) {
            Ok(manifest) if manifest.id() == id => Ok(Some(manifest)),
            _ => Err(ContentError::Damaged(path)),
        }
    }

    /// Opens a file by its digest. Who reads it checks what was read: disks forget.
    ///
    /// # Errors
    ///
    /// `NotFound`, or the system's own.
    pub fn open_file(&self, digest: Digest) -> io::Result<File> {
        File::open(self.file_path(digest))
    }

    /// Whether a file of this digest and size is here.
    pub fn holds(&self, digest: Digest, size: u64) -> bool {
        std::fs::symlink_metadata(self.file_path(digest)).is_ok_and(|found| found.is_file() && found.len() == size)
    }

    /// Where the file of a digest lies, if it is here.
    pub fn file_path(&self, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        self.file_directory().join(&text[..2]).join(&text[2..])
    }

    fn manifest_path(&self, id: Digest) -> PathBuf {
        self.manifest_directory().join(id.to_string())
    }

    /// The signature that was made of this content; `None`: none is here. Hosts verify it, nobody does here.
    ///
    /// # Errors
    ///
    /// It is damaged, or the system's own.
    pub fn signed(&self, component: &Component, id: Digest) -> Result<Option<Signed>> {
        let path = self.signature_path(component, id);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => at(&path, opened)?,
        };
        let signed: Option<Signed> = serde_json::from_reader(file.take(MESSAGE_BYTES_MAX as u64)).ok();
        match signed.filter(|signed| signed.names(component, &id)) {
            Some(signed) => Ok(Some(signed)),
            None => Err(ContentError::Damaged(path)),
        }
    }

    /// Keeps a signature for every content that its text names.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn keep_signed(&self, contents: &BTreeMap<Component, Digest>, signed: &Signed) -> Result<()> {
        let held = self.begin()?;
        let directory = self.signature_directory();
        at(&directory, private().create(&directory))?;
        for (component, id) in contents {
            let path = self.signature_path(component, *id);
            let bytes = at(&path, serde_json::to_vec(signed).map_err(io::Error::from))?;
            self.write(&held, &path, &bytes)?;
        }
        Ok(())
    }

    fn signature_path(&self, component: &Component, id: Digest) -> PathBuf {
        self.signature_directory().join(format!("{component}@{id}"))
    }

    /// Where signatures are kept, each under what it is of: `wmf-config@ID`.
    pub(super) fn signature_directory(&self) -> PathBuf {
        self.content.join("signatures")
    }

    /// Where manifests are kept, each under its id.
    pub(super) fn manifest_directory(&self) -> PathBuf {
        self.content.join("manifests")
    }

    /// Where files are kept: a directory for the first two digits of their digests, and the rest as name.
    pub(super) fn file_directory(&self) -> PathBuf {
        self.content.join("files")
    }

    /// The listings that were asked for in this run.
    pub(super) fn listings(&self) -> &Listings {
        &self.listings
    }

    /// The bundles that were chosen in this run.
    pub fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    /// Where frame `number` of the bundle from `base` to `target` is kept.
    pub fn bundle_path(&self, base: Option<Digest>, target: Digest, number: usize) -> PathBuf {
        let base = base.map_or_else(String::new, |base| base.to_string());
        let name = Digest::of(format!("{BUNDLE_FORM}{base} {target} {number}").as_bytes());
        self.bundle_directory().join(name.to_string())
    }

    /// Where frames are kept.
    pub fn bundle_directory(&self) -> PathBuf {
        self.content.join("bundles")
    }

    /// Makes the directory of bundles where it is missing.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn make_bundle_directory(&self) -> Result<()> {
        let directory = self.bundle_directory();
        at(&directory, private().create(&directory))
    }

    /// Where the stat index of a source directory is kept.
    pub fn index_path(&self, source: &Path) -> PathBuf {
        let absolute = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
        self.indexes.join(Digest::of(absolute.as_os_str().as_encoded_bytes()).to_string())
    }

    /// Where staged file number `number` stands until it is put in its place.
    pub fn staged_path(&self, number: usize) -> PathBuf {
        self.content.join("tmp").join(number.to_string())
    }

    /// Makes the store where it is missing, waits for its lock and sweeps what a crash left staged.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn begin(&self) -> Result<Taking> {
        for directory in [self.content.join("files"), self.content.join("manifests"), self.indexes.clone()] {
            at(&directory, private().create(&directory))?;
        }
        check_private(&self.content)?;
        check_private(&self.indexes)?;
        // What is put below them lasts only if their own names do.
        let names = [Some(self.content.as_path()), self.content.parent()];
        for directory in names.into_iter().flatten() {
            at(directory, File::open(directory).and_then(|directory| directory.sync_all()))?;
        }
        let path = self.content.join("lock");
        let lock = at(&path, OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path))?;
        at(&path, rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(io::Error::from))?;
        let tmp = self.content.join("tmp");
        match std::fs::remove_dir_all(&tmp) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => at(&tmp, removed)?,
        }
        at(&tmp, private().create(&tmp))?;
        Ok(Taking(lock))
    }

    /// Puts staged files, verified before, in their places by digest, durably.
    ///
    /// # Errors
    ///
    /// The system's own; what is in its place then is whole.
    pub fn place(&self, _held: &Taking, staged: &BTreeMap<Digest, PathBuf>) -> Result<()> {
        self.sync(staged.values())?;
        let mut directories = BTreeSet::from([self.content.join("files")]);
        for (digest, from) in staged {
            let to = self.file_path(*digest);
            if let Some(directory) = to.parent() {
                at(directory, private().create(directory))?;
                directories.insert(directory.to_owned());
            }
            at(&to, std::fs::rename(from, &to))?;
        }
        self.sync(directories.iter())
    }

    /// Makes files or directories durable.
    fn sync<'a>(&self, paths: impl ExactSizeIterator<Item = &'a PathBuf>) -> Result<()> {
        if paths.len() > SYNC_EACH_MAX {
            let directory = at(&self.content, File::open(&self.content))?;
            return at(&self.content, rustix::fs::syncfs(&directory).map_err(io::Error::from));
        }
        for path in paths {
            at(path, File::open(path).and_then(|file| file.sync_all()))?;
        }
        Ok(())
    }

    /// Keeps a manifest, all of whose files are here.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn keep_manifest(&self, held: &Taking, manifest: &Manifest) -> Result<()> {
        self.write(held, &self.manifest_path(manifest.id()), &manifest.to_bytes())
    }

    /// Writes a small file of the store: temporary, synced, renamed, its directory synced.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn write(&self, _held: &Taking, path: &Path, bytes: &[u8]) -> Result<()> {
        let staged = self.content.join("tmp").join("written");
        let mut file = at(&staged, create(&staged))?;
        at(&staged, file.write_all(bytes).and_then(|()| file.sync_all()))?;
        at(path, std::fs::rename(&staged, path))?;
        match path.parent() {
            Some(directory) => at(directory, File::open(directory).and_then(|file| file.sync_all())),
            None => Ok(()),
        }
    }
}

/// How many threads read and hash here.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, NonZero::get).min(HASH_THREADS_MAX)
}

/// Makes a new file, readable by its owner only, for writing and reading back.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
}

fn check_private(directory: &Path) -> Result<()> {
    let found = at(directory, std::fs::symlink_metadata(directory))?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    match found.is_dir() && ours && found.mode() & 0o077 == 0 {
        true => Ok(()),
        false => Err(ContentError::NotPrivate(directory.to_owned())),
    }
}
