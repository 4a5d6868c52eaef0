//! The agent as a file: the one that was built with this program and lies beside it, else this very program.
//!
//! Invariant: the file is opened once, and digest and upload read that same open file, so a program that is replaced
//! while it runs is never sent under another's digest. It is packed once for all hosts, and only if one needs it.
//! The digest is noted for the next command, beside the device, inode, length and times of the file that it was read from:
//! a file that was written to since is hashed again, and so is one that is so new that its times could stay the same.

use crate::model::version;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;
use tokio::sync::OnceCell;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// gzip's level: the highest takes five times as long for five percent less.
const LEVEL: u32 = 3;
/// The note's file.
const NOTE: &str = "agent-digest";
/// A file that was changed more lately is not noted: file systems count time in steps.
const NOTED_AGE: Duration = Duration::from_secs(2);

/// The agent alone, where it lies beside the program `own` and was built with it. Another build's is left alone, since a
/// program and its agent are tested together.
pub fn beside(own: &Path) -> Option<PathBuf> {
    let path = own.with_file_name("pointsman-agent");
    let said = Command::new(&path).arg("--version").env_clear().stdin(Stdio::null()).output().ok()?;
    let same = String::from_utf8_lossy(&said.stdout).trim_end() == version::agent_line();
    if !same {
        tracing::warn!(path = %path.display(), "is of another build and not sent to hosts");
    }
    same.then_some(path)
}

/// A program that can be an agent.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    file: File,
    bytes: u64,
    digest: OnceLock<String>,
    packed: OnceCell<Vec<u8>>,
    /// Where a note of its digest is written, which is kept one further up.
    run: Option<PathBuf>,
}

impl Program {
    /// Opens the file at `path`. Its digest is noted beside `run`, a directory of this run in one of this user alone, if there
    /// is one.
    pub fn open(path: &Path, run: Option<&Path>) -> io::Result<Self> {
        let (file, run) = (File::open(path)?, run.map(Path::to_owned));
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, digest: OnceLock::new(), packed: OnceCell::new(), run })
    }

    /// Where it lies here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of its content as 64 hexadecimal digits, which a host can check with `sha256sum`; computed once, or by an
    /// earlier command.
    pub fn digest(&self) -> io::Result<&str> {
        if let Some(known) = self.digest.get() {
            return Ok(known);
        }
        let before = self.file.metadata()?;
        if let Some(noted) = self.noted(&before) {
            return Ok(self.digest.get_or_init(|| noted));
        }
        let mut hasher = Sha256::new();
        let mut offset = 0;
        while let Some(chunk) = self.chunk(offset)? {
            offset += chunk.len() as u64;
            hasher.update(&chunk);
        }
        let digest: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if let Err(error) = self.take_note(&before, &digest) {
            tracing::debug!(%error, "the agent's digest is not noted, and computed by each command");
        }
        Ok(self.digest.get_or_init(|| digest))
    }

    /// What an earlier command noted of this file in this state.
    fn noted(&self, found: &Metadata) -> Option<String> {
        let text = fs::read_to_string(self.run.as_ref()?.with_file_name(NOTE)).ok()?;
        let digest = text.strip_prefix(&state(found))?.strip_suffix('\n')?;
        let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (digest.len() == 64 && digest.bytes().all(hexadecimal)).then(|| digest.to_owned())
    }

    fn take_note(&self, before: &Metadata, digest: &str) -> io::Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(before.ctime().max(0).cast_unsigned(), 0);
        let settled = changed.elapsed().is_ok_and(|age| age > NOTED_AGE);
        if settled && state(&self.file.metadata()?) == state(before) {
            let mut file = NamedTempFile::new_in(run)?;
            file.write_all(format!("{}{digest}\n", state(before)).as_bytes())?;
            file.persist(run.with_file_name(NOTE))?;
        }
        Ok(())
    }

    /// Some bytes from `offset` on; `None` at the end.
    pub fn chunk(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        chunk(&self.file, offset)
    }

    /// Its content as gzip packs it, kept in memory; made once, beside whatever else goes on.
    pub async fn packed(&self) -> io::Result<&[u8]> {
        let pack = || async {
            let file = self.file.try_clone()?;
            tokio::task::spawn_blocking(move || pack(&file)).await.map_err(io::Error::other)?
        };
        self.packed.get_or_try_init(pack).await.map(Vec::as_slice)
    }
}

/// All by which a file that was written to differs from what it was. An agent is of the same build as we are, so another
/// build's note is never believed, also where a file system gives no times.
fn state(found: &Metadata) -> String {
    let (modified, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    let (device, inode, bytes) = (found.dev(), found.ino(), found.len());
    format!("{}: {device} {inode} {bytes} {modified:?} {changed:?} ", version::VERSION)
}

fn chunk(file: &File, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let n = file.read_at(&mut buffer, offset)?;
    buffer.truncate(n);
    Ok((n > 0).then_some(buffer))
}

fn pack(file: &File) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    let mut offset = 0;
    while let Some(chunk) = chunk(file, offset)? {
        offset += chunk.len() as u64;
        packer.write_all(&chunk)?;
    }
    packer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s21_digest_and_content_stay_together_when_the_file_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("program");
        std::fs::write(&path, "abc").expect("it is ours");
        let program = Program::open(&path, None).expect("it is there");
        std::fs::write(dir.path().join("other"), "xyz").expect("it is ours");
        std::fs::rename(dir.path().join("other"), &path).expect("it is ours");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(program.digest().expect("it reads"), known);
        assert_eq!(program.chunk(0).expect("it reads"), Some(b"abc".to_vec()));
        assert_eq!(program.chunk(3).expect("it reads"), None);
    }

    #[test]
    fn s21_a_digest_is_noted_for_one_state_of_one_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, note, run) = (dir.path().join("program"), dir.path().join(NOTE), dir.path().join("f-run"));
        fs::create_dir(&run).expect("it is new");
        let digest = || {
            let program = Program::open(&path, Some(&run)).expect("it is there");
            program.digest().expect("it reads").to_owned()
        };
        fs::write(&path, "abc").expect("it is ours");
        let abc = digest();
        assert!(!note.exists(), "it is too new to be noted");
        std::thread::sleep(NOTED_AGE + Duration::from_millis(1100));
        assert_eq!(digest(), abc);
        assert_eq!(fs::read_dir(&run).expect("it is ours").count(), 0);
        let text = fs::read_to_string(&note).expect("it is noted");
        // Whatever the note says of this state is believed, and nothing that is no digest.
        let other = text.replace(&abc, &"0".repeat(64));
        fs::write(&note, &other).expect("it is ours");
        assert_eq!(digest(), "0".repeat(64));
        for bad in [other.replace("00", "0g"), other.replace("00", "0"), text[..80].to_owned(), String::new()] {
            fs::write(&note, bad).expect("it is ours");
            assert_eq!(digest(), abc);
        }
        // The same length, and the same time of change: the other time tells.
        let modified = fs::metadata(&path).and_then(|found| found.modified()).expect("it is there");
        fs::write(&note, &other).expect("it is ours");
        fs::write(&path, "xyz").expect("it is ours");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("it is ours");
        assert_ne!(digest(), abc);
        assert_ne!(digest(), "0".repeat(64));
    }

    #[test]
    fn an_agent_that_is_absent_or_of_another_build_is_not_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let (own, agent) = (dir.path().join("pointsman"), dir.path().join("pointsman-agent"));
        assert_eq!(beside(&own), None);
        // A program that says another version.
        std::os::unix::fs::symlink("/bin/echo", &agent).expect("it is ours");
        assert_eq!(beside(&own), None);
    }

    #[tokio::test]
    async fn what_is_packed_is_the_content_that_was_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("program");
        let content = vec![7; 3 * CHUNK_BYTES + 1];
        std::fs::write(&path, &content).expect("it is ours");
        let program = Program::open(&path, None).expect("it is there");
        std::fs::rename(&path, dir.path().join("other")).expect("it is ours");
        let packed = program.packed().await.expect("it reads");
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut unpacked).expect("it is gzip");
        assert!(unpacked == content && packed.len() < CHUNK_BYTES);
    }
}
