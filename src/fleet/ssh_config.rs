//! The configuration file that every ssh of ours reads: our options first, because ssh keeps the first value it finds,
//! then the operator's own file where groups.yaml says so.
//!
//! Invariant: nothing from groups.yaml gets in here that could begin another line or another word: what is not of the
//! expected form is refused, not quoted. A file that groups.yaml names is refused when somebody else can write it.
//! Deliberately absent: options of one host, which are arguments.

use crate::config::policy::{SshConfig, SshPolicy};
use crate::config::trust::{self, Invoker};
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
    /// Somebody else can write it, and with it decide what ssh runs here.
    #[error("`ssh.config` is not trusted: {0}")]
    Untrusted(String),
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
    if !path.is_file() {
        return Err(ConfigError::Missing(shown()));
    }
    match trust::check(path, Invoker::of_process()) {
        Ok(()) => Ok(text),
        Err(error) => Err(ConfigError::Untrusted(format!("{text}: {error}"))),
    }
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

    /// What ssh itself makes of our file when the operator's own one wants the opposite of everything.
    #[test]
    fn s02_ssh_itself_takes_our_values_over_those_of_a_hostile_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let (theirs, file) = (dir.path().join("theirs"), dir.path().join("config"));
        let hostile = "StrictHostKeyChecking no\nPermitLocalCommand yes\nRemoteCommand touch x\nForwardAgent yes\n\
            ForwardX11 yes\nBatchMode no\nNumberOfPasswordPrompts 3\nUpdateHostKeys yes\nVerifyHostKeyDNS yes\n\
            RequestTTY force\nTunnel yes\nAddKeysToAgent yes\nEscapeChar ~\nLogLevel QUIET\nClearAllForwardings no\n\
            LocalForward 9999 localhost:22\nRemoteForward 9998 localhost:22\n";
        std::fs::write(&theirs, hostile).expect("it is ours");
        let policy = SshPolicy { config: SshConfig::File(theirs), kex: None, keep_s: 0 };
        std::fs::write(&file, text(&policy).expect("it is legal")).expect("it is ours");
        let resolved =
            std::process::Command::new("ssh").arg("-G").arg("-F").arg(&file).arg("mw2020.codfw.wmnet").output();
        let resolved = String::from_utf8(resolved.expect("there is an ssh").stdout).expect("it is text");
        for (option, ours) in [
            ("stricthostkeychecking", Some("true")),
            ("permitlocalcommand", Some("no")),
            ("remotecommand", None),
            ("forwardagent", Some("no")),
            ("forwardx11", Some("no")),
            ("batchmode", Some("yes")),
            ("numberofpasswordprompts", Some("0")),
            ("updatehostkeys", Some("false")),
            ("verifyhostkeydns", Some("false")),
            ("requesttty", Some("false")),
            ("tunnel", Some("false")),
            ("addkeystoagent", Some("false")),
            ("escapechar", Some("none")),
            ("loglevel", Some("INFO")),
            ("localforward", None),
            ("remoteforward", None),
        ] {
            let found = resolved.lines().find_map(|line| line.strip_prefix(option)?.strip_prefix(' '));
            assert_eq!(found, ours, "{option} in\n{resolved}");
        }
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

    #[test]
    fn s22_an_ssh_configuration_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ssh_config");
        std::fs::write(&path, "").expect("it is ours");
        for (of, mode, good) in
            [(&path, 0o644, true), (&path, 0o646, false), (&path, 0o600, true), (&dir.path().to_owned(), 0o777, false)]
        {
            std::fs::set_permissions(of, std::fs::Permissions::from_mode(mode)).expect("it is ours");
            let policy = SshPolicy { config: SshConfig::File(path.clone()), kex: None, keep_s: 0 };
            let said = text(&policy).map(drop);
            assert_eq!(said.is_ok(), good, "{mode:o}: {said:?}");
            assert!(said.err().is_none_or(|why| why.to_string().contains("type `chmod o-w ")), "{mode:o}");
        }
    }
}
