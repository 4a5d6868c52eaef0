//! ssh's own words and a host's last words, turned into a [`Fault`].
//!
//! Invariant: any text gives some fault, and what is kept of a host's words is one bounded line without control
//! characters. ssh's exit code says nothing (it is 255 for everything), so the texts decide; they were recorded from
//! OpenSSH 9.2 against real servers, and ssh does not translate them.

use crate::model::fault::Fault;
use crate::model::limits::FAULT_CHARS_MAX;

/// Makes the fault that a text means.
type Meaning = fn() -> Fault;

/// Texts of ssh and what they mean, the most telling first: the first entry that any line holds decides.
const SSH_TEXTS: [(&str, Meaning); 19] = [
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", || Fault::HostKeyChanged),
    ("has changed and you have requested strict checking", || Fault::HostKeyChanged),
    ("host key is known for", || Fault::HostKeyUnknown),
    ("Host key verification failed", || Fault::HostKeyUnknown),
    ("Too many authentication failures", || Fault::PermissionDenied),
    ("Could not resolve hostname", || Fault::Dns),
    ("Connection refused", || Fault::Refused),
    ("No route to host", || Fault::NoRoute),
    ("Network is unreachable", || Fault::NoRoute),
    ("timed out during banner exchange", || Fault::TimedOut("waiting for the SSH banner".into())),
    ("Timeout, server", || Fault::TimedOut("on a connection that went silent".into())),
    ("Connection timed out", || Fault::TimedOut("connecting".into())),
    ("Operation timed out", || Fault::TimedOut("connecting".into())),
    ("Connection closed by", || Fault::ClosedEarly),
    ("Connection reset by", || Fault::ClosedEarly),
    ("closed by remote host", || Fault::ClosedEarly),
    ("Broken pipe", || Fault::ClosedEarly),
    ("kex_exchange_identification:", || Fault::ClosedEarly),
    ("Received disconnect from", || Fault::ClosedEarly),
];

/// What ssh's log says of a connection that failed or ended.
pub fn ssh_log(text: &str) -> Fault {
    if let Some(methods) = text.split("Permission denied (").nth(1) {
        let methods = methods.split(')').next().unwrap_or_default();
        let asks = methods.split(',').any(|m| matches!(m, "password" | "keyboard-interactive"));
        return if asks { Fault::PasswordPrompt } else { Fault::PermissionDenied };
    }
    let known = SSH_TEXTS.iter().find(|(words, _)| text.contains(words));
    match (known, last_line(text.as_bytes())) {
        (Some((_, fault)), _) => fault(),
        (None, Some(words)) => Fault::Other(words),
        (None, None) => Fault::ClosedEarly,
    }
}

/// What a host's shell or agent said on stderr, when it names a full or read-only disk.
pub fn disk(stderr: &str) -> Option<Fault> {
    if stderr.contains("Read-only file system") {
        return Some(Fault::ReadOnly);
    }
    let full = stderr.contains("No space left on device") || stderr.contains("Disk quota exceeded");
    full.then(|| Fault::DiskFull("no room for the agent in the home directory".into()))
}

/// The last line that is not empty, control characters escaped, at most [`FAULT_CHARS_MAX`] characters.
pub fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let plain = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    let line: String = line.chars().take(FAULT_CHARS_MAX).map(plain).collect();
    Some(line.chars().take(FAULT_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(log: &str, fault: Fault) {
        assert_eq!(ssh_log(log), fault, "{log}");
    }

    #[test]
    fn recorded_failures_before_authentication() {
        check("ssh: connect to host 127.77.3.1 port 2299: Connection refused\r\n", Fault::Refused);
        check("ssh: Could not resolve hostname a.invalid: Name or service not known\r\n", Fault::Dns);
        check("ssh: connect to host 127.255.255.255 port 22: Network is unreachable\r\n", Fault::NoRoute);
        check("ssh: connect to host 192.0.2.1 port 22: No route to host\r\n", Fault::NoRoute);
        let connecting = Fault::TimedOut("connecting".into());
        check("ssh: connect to host 127.77.3.1 port 2299: Connection timed out\r\n", connecting);
        let banner = Fault::TimedOut("waiting for the SSH banner".into());
        check("Connection timed out during banner exchange\r\nConnection to 127.1.1.1 port 22 timed out\r\n", banner);
        check("kex_exchange_identification: read: Connection reset by peer\r\n", Fault::ClosedEarly);
        check("kex_exchange_identification: Connection closed by remote host\r\n", Fault::ClosedEarly);
        check("Connection reset by 127.77.3.1 port 2299\r\n", Fault::ClosedEarly);
        check("", Fault::ClosedEarly);
    }

    #[test]
    fn recorded_failures_of_trust() {
        let unknown = "No ED25519 host key is known for [127.77.3.1]:2299 and you have requested strict checking.\r\n\
                       Host key verification failed.\r\n";
        check(unknown, Fault::HostKeyUnknown);
        let changed = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n\
                       Offending ED25519 key in /tmp/fl/kh:1\r\n\
                       Host key for [127.77.3.1]:2299 has changed and you have requested strict checking.\r\n\
                       Host key verification failed.\r\n";
        check(changed, Fault::HostKeyChanged);
        check("root@127.77.3.1: Permission denied (publickey).\r\n", Fault::PermissionDenied);
        let password = "root@127.77.3.1: Permission denied (publickey,password,keyboard-interactive).\r\n";
        check(password, Fault::PasswordPrompt);
        let many = "Received disconnect from 127.77.3.1 port 2299:2: Too many authentication failures\r\n";
        check(many, Fault::PermissionDenied);
    }

    #[test]
    fn an_established_connection_that_is_lost() {
        let silent = Fault::TimedOut("on a connection that went silent".into());
        check("Timeout, server mw2020 not responding.\r\n", silent);
        check("Connection to mw2020 closed by remote host.\r\n", Fault::ClosedEarly);
    }

    #[test]
    fn other_words_are_kept_on_one_bounded_line() {
        let words = "Unable to negotiate with 127.1.1.1 port 22: no matching host key type found.";
        check(&format!("{words}\r\n\r\n"), Fault::Other(words.into()));
        check("\u{1b}]52;c;x\u{7}", Fault::Other("\\u{1b}]52;c;x\\u{7}".into()));
    }

    proptest! {
        #[test]
        fn any_text_gives_a_fault_that_is_safe_to_show(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let shown = ssh_log(&String::from_utf8_lossy(&bytes)).to_string();
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.chars().count() <= FAULT_CHARS_MAX);
        }
    }
}
