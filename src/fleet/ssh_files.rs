//! What decides how ssh connects, as one digest: our configuration's text, every file that it includes, and the
//! environment that ssh sees.
//!
//! Invariant: equal digests mean equal settings. Where that can't be told (patterns that we do not expand, a `Match` that
//! runs a program, more files than a limit), there is no digest, and nobody reuses a connection by it. What those files
//! name in turn (keys, known_hosts) is not read.

use super::ssh::environment;
use crate::model::digest::Digest;
use crate::model::limits::{CONFIG_BYTES_MAX, SSH_CONFIG_DEPTH_MAX, SSH_CONFIG_FILES_MAX};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The digest over `text` (an ssh configuration) and all that it leads to; `None` when not all of that can be known.
pub fn digest(text: &str) -> Option<Digest> {
    let mut parts: Vec<OsString> = vec![text.into()];
    for (name, value) in environment() {
        parts.extend([name.into(), value]);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let mut files = Files { home, read: Vec::new() };
    files.follow(text, 0)?;
    let mut bytes = Vec::new();
    let parts = parts.iter().map(|part| part.as_encoded_bytes());
    let files = files.read.iter().flat_map(|(path, bytes)| [path.as_os_str().as_encoded_bytes(), bytes.as_slice()]);
    for part in parts.chain(files) {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    Some(Digest::of(&bytes))
}

/// Files in the order in which ssh reads them.
struct Files {
    home: Option<PathBuf>,
    /// With their content, after a byte that tells whether they could be read.
    read: Vec<(PathBuf, Vec<u8>)>,
}

impl Files {
    /// Reads what `text` includes; `None` when something is not followed.
    fn follow(&mut self, text: &str, depth: usize) -> Option<()> {
        for line in text.lines().map(str::trim_start) {
            let (keyword, rest) = line.split_at(line.find([' ', '\t', '=']).unwrap_or(line.len()));
            let hides = |word: &str| rest.to_ascii_lowercase().contains(word);
            match keyword.to_ascii_lowercase().as_str() {
                // What such a line means depends on the world of the moment, or on ssh's reading of quotes.
                "match" if hides("exec") || hides("localnetwork") => return None,
                odd if odd.contains('"') => return None,
                "include" => {
                    for pattern in words(rest)? {
                        for path in self.expand(pattern)? {
                            self.read(path, depth + 1)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn read(&mut self, path: PathBuf, depth: usize) -> Option<()> {
        if depth > SSH_CONFIG_DEPTH_MAX || self.read.len() >= SSH_CONFIG_FILES_MAX {
            return None;
        }
        let mut bytes = Vec::new();
        // Anything but a plain file could make us wait.
        let file = fs::metadata(&path).ok().filter(fs::Metadata::is_file).and_then(|_| File::open(&path).ok());
        let found = file.is_some();
        if let Some(file) = file {
            file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes).ok().filter(|n| *n as u64 <= CONFIG_BYTES_MAX)?;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        bytes.insert(0, u8::from(found));
        self.read.push((path, bytes));
        self.follow(&text, depth)
    }

    /// The paths that ssh makes of one word after `Include`.
    fn expand(&self, word: &str) -> Option<Vec<PathBuf>> {
        if word.contains(['\'', '\\', '$', '%', '[', '{']) {
            return None;
        }
        let path = match word.strip_prefix('~') {
            Some(rest) => self.home.as_ref()?.join(rest.strip_prefix('/')?),
            None if word.starts_with('/') => PathBuf::from(word),
            None => self.home.as_ref()?.join(".ssh").join(word),
        };
        let wild = |text: &str| text.contains(['*', '?']);
        let (directory, name) = (path.parent()?, path.file_name()?.to_str()?);
        if wild(directory.to_str()?) || name.matches('*').count() > 2 {
            return None;
        }
        if !wild(name) {
            return Some(vec![path]);
        }
        let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let fits =
            |path: &Path| path.file_name().is_some_and(|found| matches(name.as_bytes(), found.as_encoded_bytes()));
        let mut paths: Vec<PathBuf> = entries.filter(|path| fits(path)).take(SSH_CONFIG_FILES_MAX + 1).collect();
        paths.sort();
        Some(paths)
    }
}

/// The words after a keyword, out of their double quotes; `None` when a quote does not end.
fn words(rest: &str) -> Option<Vec<&str>> {
    let mut rest = rest.trim_start_matches([' ', '\t', '=']);
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once([' ', '\t']).unwrap_or((rest, "")),
        };
        words.push(word.trim_end());
        rest = after.trim();
    }
    (!words.iter().any(|word| word.contains('"'))).then_some(words)
}

/// Whether a name fits a pattern of `*` and `?`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', pattern_rest)), _) if matches(pattern_rest, name) => true,
        (Some((b'*', _)), Some((_, name_rest))) => matches(pattern, name_rest),
        (Some((b'?', pattern_rest)), Some((_, name_rest))) => matches(pattern_rest, name_rest),
        (Some((a, pattern_rest)), Some((b, name_rest))) => a == b && matches(pattern_rest, name_rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of a configuration in a home that has these files, and of each of its changes, which must differ.
    #[test]
    fn a_change_in_any_file_that_ssh_reads_is_another_digest() {
        let home = tempfile::tempdir().expect("a directory");
        let put = |name: &str, text: &str| {
            let path = home.path().join(".ssh").join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("it is ours");
            fs::write(path, text).expect("it is ours");
        };
        let read = || {
            let mut files = Files { home: Some(home.path().to_owned()), read: Vec::new() };
            let text = format!("User a\nInclude ~/.ssh/config\n include=\"{}/.ssh/b\"\n", home.path().display());
            files.follow(&text, 0).map(|()| files.read)
        };
        let mut seen = vec![read().expect("nothing is there, and that is known")];
        for (name, text) in [
            ("config", "Include conf.d/*.conf deep\nHost x\n"),
            ("config", "Include conf.d/*.conf deep\nHost y\n"),
            ("conf.d/1.conf", "Port 1\n"),
            ("conf.d/2.conf", ""),
            ("deep", "Host never\n  INCLUDE deeper\n"),
            ("deeper", "Port 2\n"),
            ("b", ""),
        ] {
            put(name, text);
            let now = read().expect("all is followed");
            assert!(!seen.contains(&now), "{name}: {text}");
            seen.push(now);
        }
        put("conf.d/ignored", "Port 3\n");
        assert_eq!(read().as_ref(), seen.last());
    }

    #[test]
    fn what_is_not_followed_gives_no_digest() {
        for line in [
            "Match exec \"test -e /vpn\"",
            "match host a localnetwork 10.0.0.0/8",
            "Include /etc/*/x",
            "Include ${HOME}/x",
            "Include %d/x",
            "Include ~other/x",
            "Include [ab]",
            "\"Include\" /etc/x",
            "Include \"/etc/x",
        ] {
            assert_eq!(digest(&format!("BatchMode yes\n\t{line}\n")), None, "{line}");
        }
        assert!(digest("# Include ${x}\nIdentityFile ~/.ssh/include\nMatch host exe\n").is_some());
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a");
        fs::write(&path, format!("Include {}\n", path.display())).expect("it is ours");
        assert_eq!(digest(&format!("Include {}\n", path.display())), None);
    }
}
