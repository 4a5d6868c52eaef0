//! Reading files that decide where code goes: only those that nobody but root and the invoking user could have written.
//!
//! Invariant (rule S22): what is read is what was checked: the opened file, not its path. World-writable files and
//! files of strangers are refused, and directories too, since who writes a directory can replace its files.

use crate::model::limits::CONFIG_BYTES_MAX;
use rustix::fs::OFlags;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Who asks: the real user id, and under sudo the id of the user who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invoker {
    /// The real user id.
    pub uid: u32,
    /// The user behind sudo; only root's word for it counts.
    pub sudo_uid: Option<u32>,
}

impl Invoker {
    /// Of this process. `SUDO_UID` is believed only when root runs, who could write any file anyway.
    pub fn of_process() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let sudo = || std::env::var("SUDO_UID").ok()?.parse().ok();
        Self { uid, sudo_uid: if uid == 0 { sudo() } else { None } }
    }
}

/// Reads at most [`CONFIG_BYTES_MAX`] bytes of a regular file, which with its directory passes rule S22.
///
/// # Errors
///
/// `PermissionDenied` with the reason and what to type, `FileTooLarge`, `InvalidData` when it is not UTF-8, or the
/// system's own.
pub fn read(path: &Path, invoker: Invoker) -> Result<String> {
    read_at_most(path, invoker, CONFIG_BYTES_MAX)
}

/// The same of a file that may be of another size, bytes.
///
/// # Errors
///
/// As [`read`].
pub fn read_at_most(path: &Path, invoker: Invoker, bytes_max: u64) -> Result<String> {
    let mut bytes = Vec::new();
    open(path, invoker)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it is larger than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// The same checks of a file that another program reads. Between the two only root and the invoking user can replace it.
///
/// # Errors
///
/// As [`read`], without those about its content.
pub fn check(path: &Path, invoker: Invoker) -> Result<()> {
    open(path, invoker).map(drop)
}

fn open(path: &Path, invoker: Invoker) -> Result<File> {
    let nonblock = i32::try_from((OFlags::NONBLOCK | OFlags::CLOEXEC).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    refuse(&File::open(directory)?.metadata()?, "its directory", directory, invoker)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    refuse(&metadata, "it", path, invoker)?;
    Ok(file)
}

fn refuse(metadata: &Metadata, what: &str, path: &Path, invoker: Invoker) -> Result<()> {
    match distrust(metadata.mode(), metadata.uid(), invoker) {
        None => Ok(()),
        Some(why) => {
            let text = format!("{what} is {}: {}", why.0, why.1.replace("PATH", &path.to_string_lossy()));
            Err(Error::new(ErrorKind::PermissionDenied, text))
        }
    }
}

/// Why a file of this mode and owner is not trusted, and what to type; `None` when it is.
fn distrust(mode: u32, owner: u32, invoker: Invoker) -> Option<(String, &'static str)> {
    if mode & 0o002 != 0 {
        return Some(("writable by everybody".into(), "type `chmod o-w PATH`"));
    }
    let trusted = owner == 0 || owner == invoker.uid || Some(owner) == invoker.sudo_uid;
    (!trusted).then(|| (format!("owned by uid {owner}, neither root nor you"), "have its owner changed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn s22_only_root_and_the_invoking_user_are_trusted() {
        let user = Invoker { uid: 1000, sudo_uid: None };
        let sudo = Invoker { uid: 0, sudo_uid: Some(1000) };
        for (mode, owner, invoker, trusted) in [
            (0o644, 0, user, true),
            (0o644, 1000, user, true),
            (0o664, 1000, user, true),
            (0o644, 1001, user, false),
            (0o666, 1000, user, false),
            (0o602, 0, user, false),
            (0o1777, 0, user, false),
            (0o644, 1000, sudo, true),
            (0o644, 1001, sudo, false),
            (0o644, 1000, Invoker { uid: 0, sudo_uid: None }, false),
        ] {
            assert_eq!(distrust(mode, owner, invoker).is_none(), trusted, "{mode:o} {owner} {invoker:?}");
        }
    }

    fn message(path: &Path, invoker: Invoker) -> String {
        read(path, invoker).map_or_else(|e| e.to_string(), |text| format!("read {text}"))
    }

    #[test]
    fn s22_what_is_opened_is_what_is_checked() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("groups.yaml");
        let invoker = Invoker::of_process();
        std::fs::write(&path, "x").expect("written");
        let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
        mode(&path, 0o644);
        assert_eq!(message(&path, invoker), "read x");
        mode(&path, 0o646);
        let hint = format!("it is writable by everybody: type `chmod o-w {}`", path.display());
        assert_eq!(message(&path, invoker), hint);
        mode(&path, 0o644);
        mode(directory.path(), 0o777);
        assert!(message(&path, invoker).starts_with("its directory is writable by everybody"));
        mode(directory.path(), 0o700);
        let fifo = directory.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .expect("a fifo");
        assert_eq!(message(&fifo, invoker), "it is not a regular file");
        std::fs::write(&path, vec![b'x'; CONFIG_BYTES_MAX as usize + 1]).expect("written");
        assert_eq!(message(&path, invoker), "it is larger than 1048576 bytes");
        std::fs::write(&path, [0xff]).expect("written");
        assert_eq!(message(&path, invoker), "it is not UTF-8 text");
    }
}
