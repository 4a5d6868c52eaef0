//! From the shape of groups.yaml to its meaning: names pass their grammars, paths become absolute, ranges are expanded.
//!
//! Invariant: a section is judged by itself first; what joins sections (pins of known wikis, groups that cover all) is
//! judged only where both sides were sound, so that one mistake is reported once and not for all that follows from it.

use super::dblist::{Lists, Reader};
use super::diagnostic::Sink;
use super::gates;
use super::hosts;
use super::mirrors;
use super::notify;
use super::pins::{Known, pins};
use super::policy::{Hooks, Limits, Policy, SshConfig, SshPolicy};
use super::raw::{ArtefactEntry, At, Deploy, File, HooksEntry, LimitsEntry, SshEntry};
use super::rights;
use super::sections::{self, Files};
use super::stages;
use super::store;
use super::wikis;
use crate::model::component::{ArtefactRule, Component};
use crate::model::limits::{
    LINE_BYTES_MAX, SITE_LIMIT_MS_MAX, SITE_PARALLEL_HOSTS_MAX, SSH_KEEP_S, SSH_KEEP_S_MAX, TREE_FILES_MAX,
};
use crate::model::names::{HostName, NameError, Wiki};
use std::cell::RefCell;
use std::path::{Component as Part, Path, PathBuf};
use std::str::FromStr;

/// The policy that `raw` means; what is wrong is noted, and the value is of use only if nothing was.
pub fn policy(raw: &File, text: &str, read: Reader<'_>, sink: &mut Sink) -> Option<Policy> {
    let file = std::path::absolute(sink.file()).unwrap_or_else(|_| sink.file().to_owned());
    let base = file.parent().unwrap_or(Path::new("/")).to_owned();
    let files = RefCell::new(Files::from([(super::FILE_NAME.to_owned(), sections::of_yaml(text))]));
    let beside = sink.file().parent().unwrap_or(Path::new("")).to_owned();
    let noted = |path: &Path| {
        let text = read(path)?;
        files.borrow_mut().insert(sections::name(path, [&base, &beside]), sections::of_list(&text));
        Ok(text)
    };
    let mut lists = Lists::new(&noted);
    let deploy = raw.deploy.as_ref().and_then(|deploy| directories(&deploy.value, &base, sink));
    let store = raw.deploy.as_ref().and_then(|deploy| store::store(&deploy.value, &base, sink));
    let configuration = configuration(raw.configuration.as_deref().unwrap_or_default(), sink);
    let all = wikis::all(raw, &mut lists, sink);
    let groups = wikis::groups(raw, all.as_ref(), &mut lists, sink);
    let (hosts, ssh) = (hosts::hosts(raw, &base, sink), ssh(raw.ssh.as_ref(), &base, sink));
    let known = Known {
        wikis: all.as_ref().map(|wikis| wikis.iter().map(Wiki::as_str).collect()),
        hosts: hosts.as_ref().map(|hosts| hosts.keys().map(HostName::as_str).collect()),
    };
    let pins = pins(raw.pins.as_deref().unwrap_or_default(), &known, sink);
    let hooks = raw.hooks.as_ref().map(|hooks| hooks_of(hooks, sink)).unwrap_or_default();
    let artefacts = artefacts(raw.artefacts.as_deref().unwrap_or_default(), sink);
    let limits = raw.limits.as_ref().map(|limits| limits_of(limits, sink)).unwrap_or_default();
    let (groups, hosts) = (groups?, hosts?);
    let known = gates::Known { base: &base, groups: &groups, hosts: &hosts, read: &noted };
    let gates = gates::gates(raw.gates.as_deref().unwrap_or_default(), &known, sink);
    let (soak, web) = (stages::soak(raw.soak.as_ref()), stages::web(raw.web.as_ref(), &base, sink));
    let environments = stages::environments(raw.environments.as_deref().unwrap_or_default(), &groups, sink);
    let mirrors = mirrors::mirrors(raw.mirrors.as_deref().unwrap_or_default(), &hosts, &base, sink);
    let notify = notify::notify(raw.notify.as_deref().unwrap_or_default(), &base, sink);
    let rights = raw.policy.as_ref().and_then(|at| rights::rights((at, raw), &groups, &gates, sink));
    let [root, state, staging, books] = deploy?;
    Some(Policy {
        files: files.into_inner(),
        file,
        root,
        state,
        staging,
        books,
        store,
        signed: raw.deploy.as_ref().is_some_and(|at| at.value.signed.as_ref().is_some_and(|at| at.value)),
        configuration,
        groups,
        hosts,
        pins,
        hooks,
        artefacts,
        limits,
        ssh,
        gates,
        soak,
        web,
        environments,
        mirrors,
        notify,
        rights,
    })
}

/// A text of a strict grammar; what does not pass is noted.
pub fn parsed<T: FromStr<Err = NameError>>(text: &At<String>, what: &str, sink: &mut Sink) -> Option<T> {
    match text.value.parse() {
        Ok(value) => Some(value),
        Err(why) => {
            sink.add(text.place, format!("`{}` is not {what}: {why}", text.value));
            None
        }
    }
}

/// A path below something: relative, without `.`, `..`, empty parts or control characters.
pub fn relative(path: &At<String>, sink: &mut Sink) -> Option<PathBuf> {
    match is_plain(&path.value) {
        true => Some(PathBuf::from(&path.value)),
        false => {
            let hint = "write it without a leading or trailing `/`, and without `.` and `..`".to_owned();
            sink.hint(path.place, format!("`{}` is not a plain relative path", path.value), Some(hint));
            None
        }
    }
}

/// Whether a text is a relative path that leads nowhere but down.
pub fn is_plain(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.len() <= 255 && part != "." && part != "..";
    path.len() <= 4096 && path.split('/').all(plain) && !path.contains(char::is_control)
}

/// A path on this machine: absolute, or relative to `base`; `.` and `..` are worked out.
pub fn local_path(path: &At<String>, base: &Path, sink: &mut Sink) -> Option<PathBuf> {
    if path.value.is_empty() || path.value.len() > 4096 || path.value.contains(char::is_control) {
        sink.add(path.place, "a path must stand here");
        return None;
    }
    let mut whole = PathBuf::new();
    for part in base.join(&path.value).components() {
        match part {
            Part::ParentDir => drop(whole.pop()),
            Part::CurDir => {}
            part => whole.push(part),
        }
    }
    Some(whole)
}

/// An absolute path on hosts, as it will be used there.
pub fn host_path(path: &At<String>, what: &str, sink: &mut Sink) -> Option<PathBuf> {
    match path.value.strip_prefix('/').is_some_and(is_plain) {
        true => Some(PathBuf::from(&path.value)),
        false => {
            let message = format!("`{what}` is a path on every host and must be absolute and plain");
            sink.hint(path.place, message, Some("as in `/srv/mediawiki`, without `.` and `..`".to_owned()));
            None
        }
    }
}

fn directories(deploy: &Deploy, base: &Path, sink: &mut Sink) -> Option<[PathBuf; 4]> {
    let root = host_path(&deploy.root, "root", sink);
    let state = host_path(&deploy.state, "state", sink);
    let staging = local_path(&deploy.staging, base, sink);
    let books = local_path(&deploy.books, base, sink);
    let (root, state, staging, books) = (root?, state?, staging?, books?);
    for (inner, outer, names, place) in [
        (&state, &root, ["state", "root"], deploy.state.place),
        (&root, &state, ["root", "state"], deploy.root.place),
        (&books, &staging, ["books", "staging"], deploy.books.place),
        (&staging, &books, ["staging", "books"], deploy.staging.place),
    ] {
        if inner.starts_with(outer) {
            let message = format!("`{}` must not lie in `{}`", names[0], names[1]);
            sink.hint(place, message, Some("give each a directory of its own".to_owned()));
        }
    }
    Some([root, state, staging, books])
}

fn configuration(entries: &[At<String>], sink: &mut Sink) -> Vec<Component> {
    let mut found = Vec::new();
    for entry in entries {
        match parsed::<Component>(entry, "a directory of configuration", sink) {
            Some(Component::Version(_)) => sink.add(
                entry.place,
                format!("`{}` is a version's tree, not configuration; versions need not be listed", entry.value),
            ),
            Some(component) if found.contains(&component) => {
                sink.add(entry.place, format!("`{component}` is listed twice"));
            }
            Some(component) => found.push(component),
            None => {}
        }
    }
    found
}

/// One line for people.
pub fn line(text: &At<String>, what: &str, sink: &mut Sink) -> Option<String> {
    let plain = !text.value.trim().is_empty() && text.value.len() <= LINE_BYTES_MAX;
    match plain && !text.value.contains(char::is_control) {
        true => Some(text.value.clone()),
        false => {
            sink.add(text.place, format!("{what} is one line of 1 to {LINE_BYTES_MAX} bytes"));
            None
        }
    }
}

fn hooks_of(hooks: &HooksEntry, sink: &mut Sink) -> Hooks {
    let mut argv =
        |entry: &Option<At<Vec<At<String>>>>| entry.as_ref().map(|entry| argv(entry, sink)).unwrap_or_default();
    let (build, restart) = (argv(&hooks.build), argv(&hooks.restart));
    let (depool, pool) = (argv(&hooks.depool), argv(&hooks.pool));
    Hooks { build, restart, depool, pool }
}

/// A program and its arguments.
pub fn argv(entry: &At<Vec<At<String>>>, sink: &mut Sink) -> Vec<String> {
    let words: Vec<String> = entry.value.iter().map(|word| word.value.clone()).collect();
    if words.first().is_some_and(|program| program.trim().is_empty() || program.starts_with('-')) {
        sink.add(entry.place, "the first argument is the program to run");
    }
    for word in entry.value.iter().filter(|word| word.value.contains('\0')) {
        sink.add(word.place, "an argument cannot hold a NUL character");
    }
    words
}

fn artefacts(entries: &[ArtefactEntry], sink: &mut Sink) -> Vec<ArtefactRule> {
    let mut rules: Vec<ArtefactRule> = Vec::new();
    for entry in entries {
        let path = relative(&entry.path, sink);
        let inputs = entry.inputs.iter().flatten();
        let inputs: Vec<String> =
            inputs.filter_map(|input| relative(input, sink).map(|_| input.value.clone())).collect();
        if entry.files.value == 0 || entry.files.value > TREE_FILES_MAX as u64 {
            sink.add(entry.files.place, format!("`files` is from 1 to {TREE_FILES_MAX}"));
        }
        let Some(path) = path else { continue };
        if let Some(other) =
            rules.iter().find(|rule| path.starts_with(&rule.path) || Path::new(&rule.path).starts_with(&path))
        {
            sink.add(entry.path.place, format!("`{}` and `{}` overlap", entry.path.value, other.path));
        }
        rules.push(ArtefactRule { path: entry.path.value.clone(), files: entry.files.value, inputs });
    }
    rules
}

fn limits_of(entry: &LimitsEntry, sink: &mut Sink) -> Limits {
    let default = Limits::default();
    let mut get = |value: &Option<At<u64>>, range: std::ops::RangeInclusive<u64>, default: u64| match value {
        Some(at) if range.contains(&at.value) => at.value,
        Some(at) => {
            sink.add(at.place, format!("it must be from {} to {}, not {}", range.start(), range.end(), at.value));
            default
        }
        None => default,
    };
    let ms = 1..=SITE_LIMIT_MS_MAX;
    let hosts = 1..=SITE_PARALLEL_HOSTS_MAX;
    let (parallel, stale) = (default.parallel_hosts_max as u64, default.stale_hosts_max as u64);
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Limits {
        parallel_hosts_max: size(get(&entry.parallel_hosts_max, hosts, parallel)),
        connect_ms_max: get(&entry.connect_ms_max, ms.clone(), default.connect_ms_max),
        command_ms_max: get(&entry.command_ms_max, ms.clone(), default.command_ms_max),
        prepare_ms_max: get(&entry.prepare_ms_max, ms.clone(), default.prepare_ms_max),
        proof_age_ms_max: get(&entry.proof_age_ms_max, ms.clone(), default.proof_age_ms_max),
        repair_budget_ms_max: get(&entry.repair_budget_ms_max, ms, default.repair_budget_ms_max),
        stale_hosts_max: size(get(&entry.stale_hosts_max, 0..=SITE_PARALLEL_HOSTS_MAX, stale)),
        delete_percent_max: get(&entry.delete_percent_max, 0..=100, default.delete_percent_max),
    }
}

fn ssh(entry: Option<&SshEntry>, base: &Path, sink: &mut Sink) -> SshPolicy {
    let config = match entry.and_then(|entry| entry.config.as_ref()) {
        None => SshConfig::User,
        Some(text) if text.value == "user" => SshConfig::User,
        Some(text) if text.value == "own" => SshConfig::Own,
        Some(text) if !text.value.contains('/') => {
            let hint = "write `user`, `own` or a file with a `/` in it, as in `./ssh_config`".to_owned();
            sink.hint(text.place, format!("`{}` is not a choice of ssh's configuration", text.value), Some(hint));
            SshConfig::User
        }
        Some(text) => local_path(text, base, sink).map_or(SshConfig::User, SshConfig::File),
    };
    let kex = entry.and_then(|entry| entry.kex.as_ref());
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '@' | '.' | ',');
    for text in kex.into_iter() {
        let plain = !text.value.is_empty() && text.value.len() <= LINE_BYTES_MAX && !text.value.starts_with('-');
        if !plain || !text.value.chars().all(legal) {
            let message = format!("`{}` is not a comma list of key exchange algorithms", text.value);
            sink.hint(text.place, message, Some("as in `curve25519-sha256`; `ssh -Q kex` lists them".to_owned()));
        }
    }
    let keep_s = entry.and_then(|entry| entry.keep.as_ref()).map_or(SSH_KEEP_S, |keep| keep_s(keep, sink));
    SshPolicy { config, kex: kex.map(|text| text.value.clone()), keep_s }
}

/// ssh counts in seconds, and takes 0 for "for ever".
fn keep_s(keep: &At<u64>, sink: &mut Sink) -> u64 {
    let s = keep.value / 1000;
    if !keep.value.is_multiple_of(1000) || s > SSH_KEEP_S_MAX {
        let hint = "as in `10m`, or `0s` for connections that end with their command".to_owned();
        sink.hint(keep.place, "`keep` is whole seconds, at most a day", Some(hint));
    }
    s
}
