//! The keys of a bucket: out of the environment, or out of a file that belongs to this user alone.
//!
//! Invariant: no error and no output has a part of a key. Deliberately absent: the instance's own keys by its metadata
//! service, profiles, and programs that print keys; a deploy host is told what it uses.

use crate::config::secret::text;
use object_store::StaticCredentialProvider;
use object_store::aws::AwsCredential;
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
