//! The two command lines that ever run on a host, and what they answer.
//!
//! Invariant: both are compile-time constants; everything variable travels on stdin. They are POSIX shell for whatever
//! login shell the host has (`sh -c` in single quotes), and use nothing of the host but coreutils or busybox: sh, ls,
//! env, uname, mkdir, mktemp, cat, sha256sum, chmod, sync, mv, rm, df; and gzip, where it works. The agent lies in a
//! directory of the login's own, under the SHA-256 of its content, so that several versions of pointsman live beside each
//! other; that digest is checked after the content is unpacked.

use super::classify;
use crate::model::fault::Fault;

/// Reads a digest (64 hexadecimal digits and a newline), then becomes that agent; without one it says what form the
/// agent may come in (`gzip` where that was tried and works, else `plain`) and what machine it is.
pub const RUN: &str = concat!(
    "exec sh -c 'umask 077; IFS= read -r h || exit 64; ",
    "case $h in *[!0-9a-f]*) exit 64;; esac; [ ${#h} -eq 64 ] || exit 64; ",
    "d=${HOME:-/nonexistent}/.pointsman; a=$d/agent-$h; ",
    "if [ -e \"$d\" ]; then case $(ls -ldn \"$d\") in drwx------*) [ -O \"$d\" ];; *) false;; esac || ",
    "{ printf \"\\npointsman-boot %s unsafe\\n\" \"$h\"; exit 65; }; ",
    "[ -f \"$a\" ] && [ -x \"$a\" ] && exec env -i \"PATH=$PATH\" \"$a\" agent; fi; ",
    "z=plain; [ \"$({ printf x | gzip -c | gzip -dc; } 2>/dev/null)\" = x ] && z=gzip; ",
    "printf \"\\npointsman-boot %s absent %s %s\\n\" \"$h\" \"$z\" \"$(uname -s -m)\"; exit 66'"
);

/// Reads a digest as [`RUN`] does and the form of what follows, `gzip` or `plain`, then the program in that form until
/// the end of stdin, and puts it in place when it is whole.
pub const UPLOAD: &str = concat!(
    "exec sh -c 'umask 077; LC_ALL=C; export LC_ALL; IFS= read -r h || exit 64; ",
    "case $h in *[!0-9a-f]*) exit 64;; esac; [ ${#h} -eq 64 ] || exit 64; ",
    "IFS= read -r z || exit 64; case $z in gzip) z=\"gzip -dc\";; plain) z=cat;; *) exit 64;; esac; ",
    "d=${HOME:-/nonexistent}/.pointsman; t=; ",
    "say() { [ -z \"$t\" ] || rm -f \"$t\"; [ \"$1\" = done ] || df -Pk \"$HOME\" >&2; ",
    "printf \"\\npointsman-boot %s %s\\n\" \"$h\" \"$1\"; exit 67; }; ",
    "trap \"exit 68\" HUP INT PIPE TERM; trap \"[ -z \\\"\\$t\\\" ] || rm -f \\\"\\$t\\\"\" EXIT; ",
    "[ -e \"$d\" ] || mkdir -m 700 \"$d\" || [ -d \"$d\" ] || say write; ",
    "case $(ls -ldn \"$d\") in drwx------*) [ -O \"$d\" ];; *) false;; esac || say unsafe; ",
    "t=$(mktemp \"$d/upload.XXXXXXXX\") || say write; $z >\"$t\" || say write; ",
    "s=$(sha256sum <\"$t\") || say hash; [ \"${s%% *}\" = \"$h\" ] || say hash; ",
    "chmod 700 \"$t\" || say write; [ -x \"$t\" ] || say noexec; ",
    "sync \"$t\" 2>/dev/null || sync; mv -f \"$t\" \"$d/agent-$h\" || say write; ",
    "sync \"$d\" 2>/dev/null || sync; t=; say done'"
);

/// What a bootstrap line said instead of becoming an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// There is no such agent.
    Absent(Bare),
    /// There is no such agent, and what runs here takes none: `contrib/locked-down/pointsman-door`.
    Locked,
    /// `~/.pointsman` is there and others could write to it.
    Unsafe,
    /// The agent is in place.
    Done,
    /// A file could not be written; stderr says why.
    Write,
    /// What arrived has another digest.
    Hash,
    /// Nothing may be executed there.
    NoExec,
}

/// A host without the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// System and machine as `uname -s -m` has them.
    pub machine: String,
    /// Whether it can unpack what gzip packed.
    pub gzip: bool,
}

/// Finds what a bootstrap line said about `digest` in its output, noise of the login shell around it.
pub fn parse(output: &[u8], digest: &str) -> Option<Said> {
    let text = String::from_utf8_lossy(output);
    let mark = format!("pointsman-boot {digest} ");
    let line = text.lines().rev().find_map(|line| line.strip_prefix(&mark))?;
    match line.split_once(' ').unwrap_or((line, "")) {
        ("absent", rest) => {
            let (form, machine) = rest.split_once(' ').unwrap_or((rest, ""));
            let machine = classify::last_line(machine.as_bytes()).unwrap_or_default();
            Some(Said::Absent(Bare { machine, gzip: form == "gzip" }))
        }
        ("locked", _) => Some(Said::Locked),
        ("unsafe", _) => Some(Said::Unsafe),
        ("done", _) => Some(Said::Done),
        ("write", _) => Some(Said::Write),
        ("hash", _) => Some(Said::Hash),
        ("noexec", _) => Some(Said::NoExec),
        _ => None,
    }
}

/// The fault that an upload's answer means, `None` when the agent is in place. `bytes` is the agent's size.
pub fn upload_fault(said: &Said, stderr: &str, bytes: u64) -> Option<Fault> {
    match said {
        Said::Done => None,
        Said::Write => Some(match classify::disk(stderr) {
            Some(Fault::DiskFull(_)) => Fault::DiskFull(room(stderr, bytes)),
            Some(other) => other,
            None => Fault::Other(format!("cannot write the agent: {}", first_line(stderr))),
        }),
        Said::Hash => Some(Fault::Other("the agent arrived there with other content".into())),
        Said::NoExec => Some(Fault::Other("the home directory is mounted noexec, so no agent can run from it".into())),
        Said::Unsafe => Some(unsafe_directory()),
        // Only what reads the other line says it.
        Said::Locked => Some(Fault::Other("its login became another one just now".into())),
        Said::Absent(_) => Some(Fault::NoAgent),
    }
}

/// The fault of a `~/.pointsman` that others could write to.
pub fn unsafe_directory() -> Fault {
    Fault::Other("~/.pointsman there is not a directory of its login alone (mode 700)".into())
}

/// Whether this program can run on the machine that `uname -s -m` names so; otherwise why not.
pub fn check_machine(machine: &str) -> Result<(), Fault> {
    let same = match machine.strip_prefix("Linux ") {
        Some("amd64") => "x86_64",
        Some("arm64") => "aarch64",
        Some("i386" | "i486" | "i586" | "i686") => "x86",
        Some("ppc64le") => "powerpc64",
        Some(other) if other.starts_with("armv") => "arm",
        Some(other) => other,
        None => "",
    };
    let host = machine.strip_prefix("Linux ").unwrap_or(machine).to_owned();
    let agent = std::env::consts::ARCH;
    (same == agent).then_some(()).ok_or_else(|| Fault::WrongArchitecture { host, agent: agent.to_owned() })
}

/// Numbers for a full disk, out of what `df -Pk` said.
fn room(stderr: &str, bytes: u64) -> String {
    let free = stderr.lines().rev().find_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let need = bytes.div_ceil(1024);
    match free {
        Some(free) => format!("the agent needs {need} kB in the home directory, {free} kB are free"),
        None => format!("the agent needs {need} kB in the home directory"),
    }
}

fn first_line(text: &str) -> String {
    classify::last_line(text.lines().next().unwrap_or_default().as_bytes()).unwrap_or_else(|| "no reason given".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Output, Stdio};

    const PROGRAM: &[u8] = b"#!/bin/sh\necho I am $1; env | sed s/=.*// | sort; cat\n";

    fn digest() -> String {
        use sha2::{Digest, Sha256};
        Sha256::digest(PROGRAM).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Runs a line as sshd would, by the login shell, with `input` on stdin and `home` as HOME.
    fn run(line: &str, home: &Path, input: &[u8]) -> Output {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]).env("HOME", home).env("SECRET", "canary");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("there is a shell");
        let mut stdin = child.stdin.take().expect("it is piped");
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    fn upload_as(form: &str, home: &Path, bytes: &[u8]) -> Option<Said> {
        let input = [digest().as_bytes(), b"\n", form.as_bytes(), b"\n", bytes].concat();
        parse(&run(UPLOAD, home, &input).stdout, &digest())
    }

    fn upload(home: &Path, program: &[u8]) -> Option<Said> {
        upload_as("plain", home, program)
    }

    fn packed() -> Vec<u8> {
        let home = tempfile::tempdir().expect("a directory");
        run("gzip -c", home.path(), PROGRAM).stdout
    }

    #[test]
    fn s11_absent_then_uploaded_then_run_with_a_clean_environment() {
        let home = tempfile::tempdir().expect("a directory");
        let hello = format!("{}\nhello", digest());
        let first = run(RUN, home.path(), hello.as_bytes());
        let Some(Said::Absent(bare)) = parse(&first.stdout, &digest()) else { panic!("{first:?}") };
        assert_eq!((check_machine(&bare.machine), bare.gzip), (Ok(()), true));
        assert_eq!(upload(home.path(), PROGRAM), Some(Said::Done));
        let second = run(RUN, home.path(), hello.as_bytes());
        assert_eq!(String::from_utf8_lossy(&second.stdout), "I am agent\nPATH\nPWD\nhello");
        let names: Vec<_> = fs::read_dir(home.path().join(".pointsman")).expect("it was made").flatten().collect();
        assert_eq!(names.len(), 1, "no leftovers: {names:?}");
        assert_eq!(names[0].metadata().expect("it is there").permissions().mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_packed_upload_is_unpacked_and_then_compared() {
        let home = tempfile::tempdir().expect("a directory");
        assert_eq!(upload_as("gzip", home.path(), &packed()), Some(Said::Done));
        let agent = home.path().join(format!(".pointsman/agent-{}", digest()));
        assert_eq!(fs::read(agent).expect("it is in place"), PROGRAM);
        let other = run("gzip -c", home.path(), b"something else").stdout;
        assert_eq!(upload_as("gzip", home.path(), &other), Some(Said::Hash));
        assert_eq!(upload_as("gzip", home.path(), &packed()[..30]), Some(Said::Write));
        assert_eq!(upload_as("sh", home.path(), PROGRAM), None, "a form that is not known is refused");
    }

    #[test]
    fn a_host_whose_gzip_is_missing_or_broken_says_so() {
        let home = tempfile::tempdir().expect("a directory");
        let bin = home.path().join("bin");
        fs::create_dir(&bin).expect("it is ours");
        for tool in ["sh", "ls", "uname", "printf"] {
            std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), bin.join(tool)).expect("it is ours");
        }
        for broken in [false, true] {
            if broken {
                std::os::unix::fs::symlink("/bin/false", bin.join("gzip")).expect("it is ours");
            }
            let line = RUN.replacen("exec sh -c '", &format!("PATH={}; export PATH; exec sh -c '", bin.display()), 1);
            let output = run(&line, home.path(), format!("{}\n", digest()).as_bytes());
            let said = parse(&output.stdout, &digest());
            assert!(matches!(&said, Some(Said::Absent(bare)) if !bare.gzip), "{said:?} {output:?}");
            assert!(output.stderr.is_empty(), "{output:?}");
        }
    }

    #[test]
    fn a_cut_upload_is_never_put_in_place() {
        let home = tempfile::tempdir().expect("a directory");
        assert_eq!(upload(home.path(), &PROGRAM[..20]), Some(Said::Hash));
        assert_eq!(fs::read_dir(home.path().join(".pointsman")).expect("it was made").count(), 0);
    }

    #[test]
    fn s06_a_directory_that_others_can_write_to_is_not_used() {
        let home = tempfile::tempdir().expect("a directory");
        assert_eq!(upload(home.path(), PROGRAM), Some(Said::Done));
        let open = fs::Permissions::from_mode(0o770);
        fs::set_permissions(home.path().join(".pointsman"), open).expect("it is ours");
        let output = run(RUN, home.path(), format!("{}\n", digest()).as_bytes());
        assert_eq!(parse(&output.stdout, &digest()), Some(Said::Unsafe));
        assert_eq!(upload(home.path(), PROGRAM), Some(Said::Unsafe));
    }

    #[test]
    fn s03_what_is_no_digest_runs_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let short = &digest()[1..];
        for line in ["../../bin/sh", "", short, "$(touch pwned)", &format!("{short}/"), &format!("{}0", digest())] {
            for script in [RUN, UPLOAD] {
                let output = run(script, home.path(), format!("{line}\nplain\n").as_bytes());
                assert_eq!(output.status.code(), Some(64), "{line}");
            }
        }
        assert_eq!(fs::read_dir(home.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn full_disks_are_told_with_numbers() {
        let stderr = "cat: write error: No space left on device\n\
                      Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs 1024 1000 24 98% /root\n";
        let fault = upload_fault(&Said::Write, stderr, 3_000_000).expect("it failed");
        assert_eq!(fault.to_string(), "disk full: the agent needs 2930 kB in the home directory, 24 kB are free");
        let stderr = "mkdir: cannot create directory '/root/.pointsman': Read-only file system\n";
        assert_eq!(upload_fault(&Said::Write, stderr, 1), Some(Fault::ReadOnly));
    }

    #[test]
    fn another_machine_is_named() {
        let fault = check_machine("Linux sparc64").expect_err("we are not built for it");
        assert!(fault.to_string().starts_with("wrong architecture: it is sparc64, the agent is for "), "{fault}");
        assert!(check_machine("Darwin arm64").is_err());
    }
}
