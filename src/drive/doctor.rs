//! An examination of this machine and of the fleet: what would fail later, found before.
//!
//! Invariant: nothing is changed on any host and no agent is installed. As `check` and `canary` do, what hosts and gates
//! were seen to be goes to the books, if there are any.

use super::canary::{Check, canary};
use super::clock;
use super::deploy::Deploy;
use super::look::{Look, LookError};
use crate::config::policy::{HostPolicy, Policy, Transport};
use crate::fleet::{runtime, ssh};
use crate::model::books::Books;
use crate::model::component::Component;
use crate::model::fault::Fault;
use crate::model::limits::{CLOCK_SKEW_MS_MAX, DOCTOR_FREE_BYTES, DOCTOR_TOOL_MS_MAX, DOCTOR_WINDOW_MS};
use crate::model::names::HostName;
use crate::model::protocol::Observation;
use crate::model::ranges::fold;
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::model::verdict::Verdict;
use crate::model::words::count;
use crate::plan::permit;
use crate::report::canary::Asked;
use crate::report::doctor::{Finding, Part};
use crate::report::stale;
use crate::report::words::{bytes, moment};
use crate::store::Store;
use crate::store::error::StoreError;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// The oldest client whose configuration may include others, as ours does.
const SSH_OLDEST: (u32, u32) = (7, 3);

/// What this machine needs, but for the books.
pub async fn machine(policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    if policy.hosts.values().any(is_by_ssh) {
        findings.extend(ssh(policy).await);
    }
    findings.extend(rights(policy));
    findings.extend(staging(policy));
    findings.extend(tools(policy));
    findings
}

/// What this user may do, where not everybody may do everything.
fn rights(policy: &Policy) -> Option<Finding> {
    let line = policy.rights.as_ref()?.line;
    let person = super::deploy::person();
    Some(match permit::all(policy, &person) {
        Some(rights) => Finding::well(Part::Rights, format!("{} may {rights}", person.name)),
        None => {
            let mend = format!("ask whoever keeps groups.yaml for a rule, below line {line}; looking needs none");
            Finding::doubt(Part::Rights, format!("{} may do nothing", person.name), mend)
        }
    })
}

fn is_by_ssh(host: &HostPolicy) -> bool {
    matches!(host.transport, Transport::Ssh { .. })
}

async fn ssh(policy: &Policy) -> Vec<Finding> {
    let install = "install OpenSSH's client: apt-get install openssh-client";
    let mut asked = ssh::tool("ssh");
    asked.arg("-V").stderr(Stdio::piped());
    let within = Duration::from_millis(DOCTOR_TOOL_MS_MAX);
    let client = match tokio::time::timeout(within, asked.output()).await {
        Ok(Ok(output)) => version(&String::from_utf8_lossy(&output.stderr), install),
        Ok(Err(error)) => Finding::bad(Part::Ssh, format!("ssh can't be run: {error}"), install),
        Err(_) => Finding::bad(Part::Ssh, "ssh -V does not end", install),
    };
    let place = match runtime::place() {
        Ok(place) => Finding::well(Part::Ssh, format!("connections are kept below {}", place.display())),
        Err(error) => Finding::bad(Part::Ssh, error.to_string(), "set XDG_RUNTIME_DIR to a directory of yours"),
    };
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let names = fs::read_dir(home.join(".ssh")).into_iter().flatten().flatten();
    let has_key = names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("id_"));
    let key = match (std::env::var_os("SSH_AUTH_SOCK").is_some(), has_key) {
        (true, _) => Finding::well(Part::Ssh, "there is an ssh agent"),
        (false, true) => Finding::well(Part::Ssh, "there is a key in ~/.ssh"),
        (false, false) => {
            let mend = format!("start ssh-agent and ssh-add a key, or name one in {}", where_ssh(policy));
            Finding::doubt(Part::Ssh, "there is neither an ssh agent nor a key in ~/.ssh", mend)
        }
    };
    vec![client, place, key]
}

fn where_ssh(policy: &Policy) -> String {
    match &policy.ssh.config {
        crate::config::policy::SshConfig::File(path) => path.display().to_string(),
        _ => "~/.ssh/config".to_owned(),
    }
}

/// Judges what `ssh -V` says: `OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15 3 Sep 2024`.
fn version(said: &str, install: &str) -> Finding {
    let first = said.lines().next().unwrap_or_default();
    let number = first.strip_prefix("OpenSSH_").and_then(|rest| {
        let (major, rest) = rest.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    match number {
        Some(number) if number >= SSH_OLDEST => Finding::well(Part::Ssh, first.to_owned()),
        Some((major, minor)) => {
            let (a, b) = SSH_OLDEST;
            Finding::bad(Part::Ssh, format!("OpenSSH {major}.{minor} is older than {a}.{b}, which is needed"), install)
        }
        None => Finding::doubt(Part::Ssh, format!("`ssh -V` says no version of OpenSSH: {first}"), install),
    }
}

/// Bytes free for us where `path` is, or would be made.
fn free(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn staging(policy: &Policy) -> Vec<Finding> {
    let shown = policy.staging.display();
    let trees = match super::staging::versions(policy) {
        Ok(versions) => versions.len(),
        Err(error) => {
            let why = causes_of(&error);
            let mend = "name the directory of the version trees in groups.yaml, deploy: staging";
            return vec![Finding::bad(Part::Staging, format!("{shown}: {why}"), mend)];
        }
    };
    match trees {
        0 => {
            let mend = "put one php-<version> a version there; the first sync takes them in";
            vec![Finding::bad(Part::Staging, format!("{shown} has no version tree"), mend)]
        }
        trees => vec![Finding::well(Part::Staging, format!("{shown} has {}", count(trees, "version tree")))],
    }
}

/// An error with its causes, in one line.
fn causes_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Programs that commands call on this machine.
fn tools(policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let path = std::env::var_os("PATH").unwrap_or_default();
    findings.push(match found("php", path.to_str().unwrap_or_default()) {
        Some(php) => Finding::well(Part::Tools, format!("{} checks PHP files before a sync-file", php.display())),
        None => {
            let mend = "apt-get install php-cli, or go on without the check";
            Finding::doubt(Part::Tools, "there is no php, so sync-file can't check PHP files", mend)
        }
    });
    for (name, argv) in [("depool", &policy.hooks.depool), ("pool", &policy.hooks.pool)] {
        let Some(program) = argv.first() else { continue };
        findings.push(match found(program, super::hook::PATH) {
            Some(_) => Finding::well(Part::Tools, format!("the hook {name} is there: {program}")),
            None => {
                let mend = format!("put it there and make it executable, or correct hooks: {name} in groups.yaml");
                Finding::bad(Part::Tools, format!("the hook {name} can't be run: {program}"), mend)
            }
        });
    }
    findings
}

/// A program as the system would find it.
fn found(program: &str, path: &str) -> Option<PathBuf> {
    let runs =
        |file: &PathBuf| fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    match program.contains('/') {
        true => Some(PathBuf::from(program)).filter(runs),
        false => path.split(':').map(|directory| Path::new(directory).join(program)).find(runs),
    }
}

/// How the books are; `None` as books: there are none yet.
pub fn books(policy: &Policy, store: Result<&dyn Store, &StoreError>) -> (Vec<Finding>, Option<Books>) {
    let mut findings = vec![room(policy)];
    let shown = match &policy.store {
        Some(store) => store.source.to_string(),
        None => policy.books.display().to_string(),
    };
    let read = store.map_err(|error| causes_of(error)).and_then(|store| {
        let books = store.load().map_err(|error| causes_of(&error))?;
        let newest = store.rollouts(1).map_err(|error| causes_of(&error))?.first().map(|rollout| rollout.at);
        Ok((books, newest))
    });
    let (books, newest) = match read {
        Ok(read) => read,
        Err(_) if policy.store.is_none() && !policy.books.join("books.sqlite").exists() => {
            findings.push(Finding::well(Part::Books, format!("{shown}: none yet; the first sync makes them")));
            return (findings, None);
        }
        Err(why) => {
            findings.push(Finding::bad(Part::Books, format!("{shown}: {why}"), "pointsman journal verify"));
            return (findings, None);
        }
    };
    findings.push(Finding::well(Part::Books, format!("{shown}: readable")));
    if let Some(lock) = &books.lock {
        let said = format!("{} holds the lock since {}: {}", lock.holder, moment(lock.since), lock.reason);
        findings.push(Finding::doubt(Part::Books, said, "pointsman status"));
    }
    if let Some(newest) = newest.filter(|newest| newest.0 > clock::now().0 + CLOCK_SKEW_MS_MAX) {
        let said = format!("the newest entry of the books is of {}, which is not yet", moment(newest));
        findings.push(Finding::bad(Part::Clock, said, "set this machine's clock: timedatectl set-ntp true"));
    }
    (findings, Some(books))
}

fn room(policy: &Policy) -> Finding {
    let shown = policy.books.display();
    match free(&policy.books) {
        Some(free) if free < DOCTOR_FREE_BYTES => {
            let mend = "make room there; `pointsman gc` removes content that nobody needs";
            Finding::doubt(Part::Books, format!("{} free at {shown}", bytes(free)), mend)
        }
        Some(free) => Finding::well(Part::Books, format!("{} free at {shown}", bytes(free))),
        None => Finding::doubt(Part::Books, format!("nobody says how much is free at {shown}"), format!("df {shown}")),
    }
}

/// Every host that serves wikis: whether it answers, has room, and what its clock says.
pub async fn hosts(deploy: &Deploy) -> Vec<Finding> {
    let serve = deploy.policy.hosts.iter().filter(|(_, host)| host.serves());
    let asked = serve.map(|(name, _)| (name.clone(), Vec::new())).collect();
    let limits = &deploy.policy.limits;
    let looked = Look::new(&deploy.fleet, limits.contact_ms_max()).marked(&asked).await;
    let now = clock::now();
    let need = largest_tree(&deploy.policy);
    let mut findings = Vec::new();
    let mut wrong: Vec<(StaleReason, Vec<HostName>)> = Vec::new();
    for (host, looked) in &looked {
        let reason = match looked {
            Ok(seen) => {
                findings.extend(one(host, seen, need, now));
                continue;
            }
            Err(LookError::Fault(Fault::NoAgent)) => {
                let said = "reached; it has no agent yet, the first sync brings it";
                findings.push(Finding::well(Part::Hosts, said).at(host));
                continue;
            }
            Err(LookError::Fault(fault)) => StaleReason::Fault(fault.clone()),
            Err(LookError::Refused(refusal)) => StaleReason::Refused(refusal.clone()),
        };
        match wrong.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, hosts)) => hosts.push(host.clone()),
            None => wrong.push((reason, vec![host.clone()])),
        }
    }
    findings.extend(wrong.into_iter().map(|(reason, hosts)| {
        let finding = Finding::bad(Part::Hosts, stale::reason(&reason), mend(&reason, &hosts));
        Finding { hosts: hosts.into_iter().collect(), ..finding }
    }));
    findings
}

/// What to do about hosts that a site perhaps just began with.
fn mend(reason: &StaleReason, hosts: &[HostName]) -> String {
    match reason {
        StaleReason::Fault(Fault::Dns) => "correct the name in groups.yaml, or give it an `address` there".to_owned(),
        // Keys are looked at one by one.
        StaleReason::Fault(Fault::HostKeyChanged | Fault::HostKeyUnknown) if hosts.len() > 1 => {
            format!("{}, for each", stale::remedy("HOST", reason))
        }
        reason => stale::remedy(fold(hosts), reason),
    }
}

/// What a host that answers tells of itself.
fn one(host: &HostName, seen: &Observation, need: u64, now: Time) -> Vec<Finding> {
    let mut findings = vec![Finding::well(Part::Hosts, "answers").at(host)];
    let facts = &seen.facts;
    if facts.disk_free_bytes < need {
        let free = bytes(facts.disk_free_bytes);
        let said = format!("{free} free at the deploy root, and the largest tree in staging has {}", bytes(need));
        findings.push(Finding::doubt(Part::Hosts, said, format!("pointsman gc {host}")).at(host));
    }
    let skew = facts.clock_ms.abs_diff(now.0);
    if skew > CLOCK_SKEW_MS_MAX {
        let said = format!("its clock says {}, ours {}", moment(Time(facts.clock_ms)), moment(now));
        let mend = "set the clock of whoever is wrong: timedatectl set-ntp true";
        findings.push(Finding::doubt(Part::Hosts, said, mend).at(host));
    }
    findings
}

/// Bytes of the largest tree that a sync would bring.
fn largest_tree(policy: &Policy) -> u64 {
    let components = super::staging::components(policy).unwrap_or_default();
    let size = |component: &Component| size(&policy.staging.join(component.to_string()));
    components.iter().map(size).max().unwrap_or_default()
}

fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

/// Whether every gate's source answers. What gates say of the fleet is not for a doctor.
pub async fn gates(deploy: &Deploy, store: &mut dyn Store, well: &BTreeSet<HostName>) -> Vec<Finding> {
    if deploy.policy.gates.is_empty() {
        let mend = "see docs/gates.md; without gates nobody watches a promotion";
        return vec![Finding::doubt(Part::Gates, "groups.yaml has no gates", mend)];
    }
    let check = Check { hosts: well, narrowed: false, window_ms: DOCTOR_WINDOW_MS };
    let asked = match canary(deploy, store, check).await {
        Ok(view) => view.gates,
        Err(error) => {
            return vec![Finding::doubt(Part::Gates, format!("not tried: {}", causes_of(&error)), "pointsman canary")];
        }
    };
    let finding = |gate: &Asked| {
        let why = gate.judgement.as_ref().map_or("it gave no answer in time", |last| &last.sentence);
        match gate.verdict() {
            Verdict::Error => {
                let said = format!("{} can't be asked: {why}", gate.name);
                Finding::bad(Part::Gates, said, format!("pointsman canary --gate {}", gate.name))
            }
            Verdict::Pass | Verdict::Fail | Verdict::Inconclusive => {
                Finding::well(Part::Gates, format!("{} answers", gate.name))
            }
        }
    };
    asked.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::doctor::Grade;

    #[test]
    fn versions_of_ssh_are_compared_by_number() {
        let grade = |said: &str| version(said, "install it").grade;
        assert_eq!(grade("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15 3 Sep 2024"), Grade::Well);
        assert_eq!(grade("OpenSSH_10.0p2 Debian"), Grade::Well);
        assert_eq!(grade("OpenSSH_7.3p1"), Grade::Well);
        assert_eq!(grade("OpenSSH_7.2p2"), Grade::Bad);
        assert_eq!(grade("OpenSSH_6.9p1"), Grade::Bad);
        assert_eq!(grade("Sun_SSH_1.1"), Grade::Doubt);
        assert_eq!(grade(""), Grade::Doubt);
    }

    #[test]
    fn what_is_to_be_typed_can_be_typed() {
        let hosts: Vec<HostName> = ["mw2001", "mw2002"].map(|name| name.parse().expect("a host")).into();
        let said = |fault: Fault, hosts: &[HostName]| mend(&StaleReason::Fault(fault), hosts);
        assert_eq!(said(Fault::HostKeyUnknown, &hosts), "pointsman hosts trust HOST, for each");
        assert_eq!(said(Fault::HostKeyUnknown, &hosts[..1]), "pointsman hosts trust mw2001");
        assert!(said(Fault::Refused, &hosts).starts_with("pointsman depool mw[2001-2002] "));
        assert!(said(Fault::Dns, &hosts).contains("groups.yaml"));
    }

    #[test]
    fn a_program_is_found_as_the_system_finds_it() {
        assert_eq!(found("sh", "/nowhere:/bin"), Some(PathBuf::from("/bin/sh")));
        assert_eq!(found("/bin/sh", ""), Some(PathBuf::from("/bin/sh")));
        assert_eq!(found("sh", "/nowhere"), None);
        assert_eq!(found("/etc/passwd", ""), None, "it is not executable");
        assert_eq!(found("/etc", ""), None, "a directory");
    }
}
