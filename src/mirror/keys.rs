//! The keys of a bucket: out of the environment, or out of a file that belongs to this user alone.
//!
//! Invariant: no error and no output has a part of a key. Deliberately absent: the instance's own keys by its metadata
//! service, profiles, and programs that print keys; a deploy host is told what it uses.

use crate::config::policy::Reference;
use crate::model::limits::CREDENTIALS_BYTES_MAX;
use crate::model::secret::Secret;
use object_store::StaticCredentialProvider;
use object_store::aws::AwsCredential;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the keys are called in the environment, and in lower case in a file.
const NAMES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Reads the keys.
///
/// # Errors
///
/// They are not there, or others could read the file; in words without any of them.
pub fn read(file: Option<&Path>) -> Result<StaticCredentialProvider<AwsCredential>, String> {
    let found = match file {
        None => NAMES.map(|name| std::env::var(name).ok().filter(|value| !value.is_empty())),
        Some(file) => {
            let why = |why| format!("has no keys: {}: {why}", file.display());
            parse(text(file).map_err(why)?.expose())
        }
    };
    let place = file.map_or("the environment".to_owned(), |file| file.display().to_string());
    let [Some(key_id), Some(secret_key), token] = found else {
        return Err(format!("has no keys: {} and {} are not both in {place}", NAMES[0], NAMES[1]));
    };
    Ok(StaticCredentialProvider::new(AwsCredential { key_id, secret_key, token }))
}

/// The secret that a reference leads to, without space around it.
///
/// # Errors
///
/// It is not there, or others could read it; in words without any of it.
pub fn referred(reference: &Reference) -> Result<Secret, String> {
    let text = match reference {
        Reference::Env(name) => std::env::var(name).map(Secret::new).map_err(|_| "this variable is not set".to_owned()),
        Reference::File(path) => text(path),
    };
    text.map(|text| text.trimmed())
}

/// The text of a file with a secret in it, which nobody but its owner and root can read.
///
/// # Errors
///
/// Why it can't be read or trusted, in words without any of it.
pub fn text(path: &Path) -> Result<Secret, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let uid = rustix::process::geteuid().as_raw();
    if !metadata.is_file() || metadata.mode() & 0o077 != 0 {
        return Err(format!("others could read it; type `chmod 600 {}`", path.display()));
    }
    if metadata.uid() != uid && metadata.uid() != 0 {
        return Err(format!("it belongs to uid {}, neither root nor you", metadata.uid()));
    }
    let mut text = String::new();
    file.take(CREDENTIALS_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.kind().to_string())?;
    Ok(Secret::new(text))
}

/// Lines `name = value` as in the file that Amazon's own tools read; the first of a name counts.
fn parse(text: &str) -> [Option<String>; 3] {
    NAMES.map(|name| {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let mut of_name = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        of_name.next().map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn s10_a_file_that_others_can_read_is_refused_and_nothing_of_it_is_said() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("keys");
        std::fs::write(&file, "[default]\naws_access_key_id = CANARYID\naws_secret_access_key=CANARYSECRET\n")
            .expect("ours");
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("ours");
            let said = read(Some(&file)).map(|_| ());
            assert_eq!(said.is_ok(), good, "{mode:o}");
            assert!(said.err().is_none_or(|why| why.contains("chmod 600") && !why.contains("CANARY")));
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
        std::fs::write(&file, "aws_secret_access_key=CANARYSECRET\n").expect("ours");
        let why = read(Some(&file)).map(|_| ()).expect_err("one is missing");
        assert!(why.contains("AWS_ACCESS_KEY_ID") && !why.contains("CANARY"), "{why}");
        assert!(read(Some(&directory.path().join("gone"))).is_err());
    }
}
