//! The agent as a file: the one that was built with this program and lies beside it, else this very program.
//!
//! Invariant: the file is opened once, and digest and upload read that same open file, so a program that is replaced
//! while it runs is never sent under another's digest. It is packed once for all hosts, and only if one needs it.

use crate::model::version;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tokio::sync::OnceCell;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// gzip's level: the highest takes five times as long for five percent less.
const LEVEL: u32 = 3;

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
}

impl Program {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, digest: OnceLock::new(), packed: OnceCell::new() })
    }

    /// Where it lies here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of its content as 64 hexadecimal digits, which a host can check with `sha256sum`; computed once.
    pub fn digest(&self) -> io::Result<&str> {
        if let Some(known) = self.digest.get() {
            return Ok(known);
        }
        let mut hasher = Sha256::new();
        let mut offset = 0;
        while let Some(chunk) = self.chunk(offset)? {
            offset += chunk.len() as u64;
            hasher.update(&chunk);
        }
        let digest = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self.digest.get_or_init(|| digest))
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
        let program = Program::open(&path).expect("it is there");
        std::fs::write(dir.path().join("other"), "xyz").expect("it is ours");
        std::fs::rename(dir.path().join("other"), &path).expect("it is ours");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(program.digest().expect("it reads"), known);
        assert_eq!(program.chunk(0).expect("it reads"), Some(b"abc".to_vec()));
        assert_eq!(program.chunk(3).expect("it reads"), None);
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
        let program = Program::open(&path).expect("it is there");
        std::fs::rename(&path, dir.path().join("other")).expect("it is ours");
        let packed = program.packed().await.expect("it reads");
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut unpacked).expect("it is gzip");
        assert!(unpacked == content && packed.len() < CHUNK_BYTES);
    }
}
