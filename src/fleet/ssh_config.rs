//! The configuration file that every ssh of ours reads: our options first, because ssh keeps the first value it finds,
//! then the operator's own file where groups.yaml says so.
//!
//! Invariant: nothing from groups.yaml gets in here that could begin another line or another word: what is not of the
//! expected form is refused, not quoted. Deliberately absent: options of one host, which are arguments.

use crate::config::policy::{SshConfig, SshPolicy};
use std::path::Path;

/// Options that hold whatever the operator's own configuration says.
const OURS: &str = "\
# Written by pointsman for one run. The first value of an option wins.
BatchMode yes
NumberOfPasswordPrompts 0
StrictHostKeyChecking yes
UpdateHostKeys no
VerifyHostKeyDNS no
PermitLocalCommand no
RemoteCommand none
RequestTTY no
ForwardAgent no
ForwardX11 no
Tunnel no
ClearAllForwardings yes
AddKeysToAgent no
EscapeChar none
LogLevel INFO
";

/// Why no configuration can be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `ssh.kex` is not a list of algorithm names.
    #[error("`ssh.kex` is not a comma-separated list of key exchange algorithms")]
    Kex,
    /// The path has a character that ssh gives a meaning to.
    #[error("`ssh.config` has a character that ssh_config gives a meaning to: {0}")]
    Path(String),
    /// There is no such file, which ssh itself would pass over in silence.
    #[error("`ssh.config` names no file: {0}")]
    Missing(String),
}

/// The text of the file.
pub fn text(policy: &SshPolicy) -> Result<String, ConfigError> {
    let mut text = OURS.to_owned();
    if let Some(kex) = &policy.kex {
        text += &format!("KexAlgorithms {}\n", checked_kex(kex)?);
    }
    match &policy.config {
        SshConfig::Own => {}
        SshConfig::User => text += "Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n",
        SshConfig::File(path) => text += &format!("Include \"{}\"\n", checked_path(path)?),
    }
    Ok(text)
}

fn checked_kex(kex: &str) -> Result<&str, ConfigError> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"@.,-".contains(&b);
    let body = kex.strip_prefix(['+', '^', '-']).unwrap_or(kex);
    let plain = !body.is_empty() && !body.starts_with('-') && body.bytes().all(legal);
    plain.then_some(kex).ok_or(ConfigError::Kex)
}

fn checked_path(path: &Path) -> Result<&str, ConfigError> {
    let shown = || path.display().to_string();
    let text = path.to_str().ok_or_else(|| ConfigError::Path(shown()))?;
    let special = |c: char| c.is_control() || "\"'\\*?[]{}$%~#".contains(c);
    if !path.is_absolute() || text.contains(special) {
        return Err(ConfigError::Path(shown()));
    }
    path.is_file().then_some(text).ok_or_else(|| ConfigError::Missing(shown()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn ours_stand_first_and_theirs_last() {
        let kex = Some("curve25519-sha256,ecdh-sha2-nistp256".to_owned());
        let text = text(&SshPolicy { config: SshConfig::User, kex, keep_s: 0 }).expect("both are legal");
        let own = text.strip_prefix(OURS).expect("our options come first");
        expect![[r#"
            KexAlgorithms curve25519-sha256,ecdh-sha2-nistp256
            Include ~/.ssh/config
            Include /etc/ssh/ssh_config
        "#]]
        .assert_eq(own);
    }

    #[test]
    fn s02_a_value_that_would_become_another_option_is_refused() {
        for kex in ["a\nProxyCommand x", "a b", "", "-", "--x", "a\"", "%h", "$(x)"] {
            let policy = SshPolicy { config: SshConfig::Own, kex: Some(kex.to_owned()), keep_s: 0 };
            assert_eq!(text(&policy), Err(ConfigError::Kex), "{kex:?}");
        }
        for path in ["/etc/a\nProxyCommand x", "/etc/\"b", "/etc/*", "relative", "/etc/%h", "/etc/${x}", "~/x"] {
            let policy = SshPolicy { config: SshConfig::File(path.into()), kex: None, keep_s: 0 };
            assert!(matches!(text(&policy), Err(ConfigError::Path(_))), "{path:?}");
        }
        let policy = SshPolicy { config: SshConfig::File("/no/such/file".into()), kex: None, keep_s: 0 };
        assert!(matches!(text(&policy), Err(ConfigError::Missing(_))));
    }
}
