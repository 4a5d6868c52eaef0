//! Host keys: what a host shows, and putting it into the operator's known_hosts once a person has said yes.
//!
//! Invariant: nothing is written by looking. What a host sends is parsed into a strict form, and the name in front of
//! it is ours. Deliberately absent: the question, which is the command line's.

use super::Fleet;
use super::classify;
use super::ssh::{destination, tool};
use crate::model::fault::Fault;
use crate::model::limits::STDERR_BYTES_MAX;
use crate::model::names::HostName;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Keys that a host shows now, and where they would be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The host.
    pub host: HostName,
    /// Its name in known_hosts: `[10.0.0.1]:2222`, or an alias of the operator's configuration.
    pub name: String,
    /// Its keys, never empty.
    pub keys: Vec<HostKey>,
    /// The known_hosts file that ssh writes to by its configuration.
    pub file: PathBuf,
    /// Whether the file has keys for that name already, which accepting removes.
    pub replaces: bool,
}

/// One public key of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519`.
    pub algorithm: String,
    /// In base64.
    pub key: String,
    /// `SHA256:...`, as ssh shows it.
    pub fingerprint: String,
}

/// What ssh's configuration says about a host.
struct Resolved {
    address: String,
    port: u16,
    alias: Option<String>,
    file: PathBuf,
}

impl Fleet {
    /// Asks a host for its keys; changes nothing. The network in between is trusted as little as the host, so a person
    /// must compare the fingerprints.
    pub async fn offer(&self, host: &HostName) -> Result<Offer, Fault> {
        let within = Duration::from_millis(self.shared.limits.connect_ms_max);
        let seconds = within.as_secs().max(1);
        let resolved = self.resolve(host, within).await?;
        let mut scan = tool("ssh-keyscan");
        scan.args([format!("-T{seconds}"), format!("-p{}", resolved.port), "--".into(), resolved.address.clone()]);
        let output = run(scan, b"", within + Duration::from_millis(500)).await?;
        let mut keys = Vec::new();
        for (algorithm, key) in String::from_utf8_lossy(&output.stdout).lines().filter_map(parse_key) {
            let fingerprint = fingerprint(&algorithm, &key, within).await?;
            keys.push(HostKey { algorithm, key, fingerprint });
        }
        if keys.is_empty() {
            return Err(classify::ssh_log(&String::from_utf8_lossy(&output.stderr)));
        }
        let name = known_name(&resolved);
        let mut find = tool("ssh-keygen");
        find.arg("-F").arg(&name).arg("-f").arg(&resolved.file);
        let replaces = run(find, b"", within).await?.status.success();
        Ok(Offer { host: host.clone(), name, keys, file: resolved.file, replaces })
    }

    /// What `ssh -G` says of the host, so that the operator's aliases, ports and files hold here too.
    async fn resolve(&self, host: &HostName, within: Duration) -> Result<Resolved, Fault> {
        let transport = &self.shared.host(host)?.transport;
        let Some(ours) = &self.shared.ssh else {
            return Err(Fault::Other("it is a directory of this machine and has no host key".into()));
        };
        let mut ssh = tool("ssh");
        ssh.arg("-G").arg("-F").arg(ours.config()).args(destination(host, transport));
        let output = run(ssh, b"", within).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse_resolved(&text).ok_or_else(|| classify::ssh_log(&String::from_utf8_lossy(&output.stderr)))
    }
}

impl Offer {
    /// Writes the keys into [`Offer::file`], in place of older ones of that name. Call it only after a person said yes.
    pub async fn accept(&self) -> io::Result<()> {
        if self.replaces {
            let mut remove = tool("ssh-keygen");
            remove.arg("-R").arg(&self.name).arg("-f").arg(&self.file);
            let status = remove.status().await?;
            if !status.success() {
                return Err(io::Error::other(format!("ssh-keygen cannot change {}", self.file.display())));
            }
        }
        let line = |key: &HostKey| format!("{} {} {}\n", self.name, key.algorithm, key.key);
        let lines: String = self.keys.iter().map(line).collect();
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.file)?;
        file.write_all(lines.as_bytes())?;
        file.sync_all()
    }
}

/// A line of ssh-keyscan: its algorithm and key when both have the strict form; its name is not used.
fn parse_key(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let (_, algorithm, key, None) = (words.next()?, words.next()?, words.next()?, words.next()) else { return None };
    let named = algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b));
    let base64 = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let plain = named && base64 && algorithm.len() <= 64 && (32..=4096).contains(&key.len());
    plain.then(|| (algorithm.to_owned(), key.to_owned()))
}

fn parse_resolved(text: &str) -> Option<Resolved> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::trim);
    let files = value("userknownhostsfile")?;
    let file = files.split(' ').next().filter(|path| *path != "/dev/null" && path.starts_with('/'))?;
    Some(Resolved {
        address: value("hostname").filter(|name| !name.starts_with('-'))?.to_owned(),
        port: value("port")?.parse().ok()?,
        alias: value("hostkeyalias").map(str::to_owned),
        file: file.into(),
    })
}

fn known_name(resolved: &Resolved) -> String {
    match (&resolved.alias, resolved.port) {
        (Some(alias), _) => alias.clone(),
        (None, 22) => resolved.address.clone(),
        (None, port) => format!("[{}]:{port}", resolved.address),
    }
}

/// The fingerprint as `ssh-keygen -l` computes it.
async fn fingerprint(algorithm: &str, key: &str, within: Duration) -> Result<String, Fault> {
    let mut keygen = tool("ssh-keygen");
    keygen.args(["-l", "-f", "-"]);
    let output = run(keygen, format!("{algorithm} {key}\n").as_bytes(), within).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.split(' ').nth(1).filter(|word| word.starts_with("SHA256:") && word.len() < 80);
    word.map(str::to_owned).ok_or_else(|| Fault::Protocol("it shows something that is no host key".into()))
}

/// Runs a tool with `input` on stdin; what it says is bounded, and it is killed after `within`.
async fn run(mut command: Command, input: &[u8], within: Duration) -> Result<Output, Fault> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let work = async {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).await?;
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let streams = (child.stdout.take(), child.stderr.take());
        let (Some(out), Some(err)) = streams else { return Err(io::Error::other("a stream is not piped")) };
        let most = STDERR_BYTES_MAX as u64;
        let (mut out, mut err) = (out.take(most), err.take(most));
        tokio::try_join!(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr))?;
        drop((out, err));
        Ok(Output { status: child.wait().await?, stdout, stderr })
    };
    match tokio::time::timeout(within, work).await {
        Ok(result) => result.map_err(|e| Fault::Other(format!("here: cannot run an OpenSSH tool: {e}"))),
        Err(_) => Err(Fault::TimedOut("asking for the host key".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_keys_of_the_strict_form_are_taken() {
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIHx5";
        let key = &format!("{key}{key}");
        assert_eq!(parse_key(&format!("[127.0.0.1]:22 ssh-ed25519 {key}")), Some(("ssh-ed25519".into(), key.clone())));
        for line in [
            "# 127.0.0.1:22 SSH-2.0-OpenSSH_9.2",
            "host ssh-ed25519",
            "host ssh-ed25519 short",
            &format!("host ssh-ed25519 {key} @cert-authority"),
            &format!("host ssh\u{1b}[2J {key}"),
            &format!("host ssh-ed25519 {key}\u{7}"),
        ] {
            assert_eq!(parse_key(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_operators_alias_port_and_file_hold() {
        let text =
            "hostname 10.0.0.1\nport 2222\nuserknownhostsfile /home/a/.ssh/known_hosts /home/a/.ssh/known_hosts2\n";
        let resolved = parse_resolved(text).expect("all is there");
        assert_eq!(
            (known_name(&resolved).as_str(), resolved.file),
            ("[10.0.0.1]:2222", "/home/a/.ssh/known_hosts".into())
        );
        let aliased = parse_resolved(&format!("{text}hostkeyalias mw2020\n")).expect("all is there");
        assert_eq!(known_name(&aliased), "mw2020");
        assert!(parse_resolved("hostname -oProxyCommand=x\nport 22\nuserknownhostsfile /x\n").is_none());
    }
}
