//! From a YAML tree to the shape of groups.yaml, every mistake noted.
//!
//! Invariant: a value that is missing or of the wrong kind is left out only after it was noted, and the reading goes on
//! beside it. Texts must be texts: what YAML reads as a number or a truth value is refused with the way to quote it.

use super::diagnostic::{Place, Sink, did_you_mean};
use super::raw::{
    ArtefactEntry, At, DblistEntry, Deploy, File, GroupEntry, HooksEntry, HostEntry, LimitsEntry, PinEntry, SshEntry,
    Wikis,
};
use super::yaml::{Node, Value};
use std::collections::BTreeSet;

/// Reads the whole file's tree.
pub fn file(node: &Node, sink: &mut Sink) -> Option<File> {
    let mut f = Fields::of(node, File::KEYS, "groups.yaml", sink)?;
    let deploy = f.need("deploy", deploy);
    let configuration = f.optional("configuration", texts);
    let wikis = f.need("wikis", wikis);
    let groups = f.need("groups", |n, s| list(n, "groups", group, s));
    let hosts = f.need("hosts", |n, s| list(n, "hosts", host, s));
    let pins = f.optional("pins", |n, s| list(n, "pins", pin, s));
    let hooks = f.optional("hooks", hooks);
    let artefacts = f.optional("artefacts", |n, s| list(n, "artefacts", artefact, s));
    let limits = f.optional("limits", limits);
    let ssh = f.optional("ssh", ssh);
    let broken = f.broken;
    Some(File {
        deploy,
        configuration: value(configuration),
        wikis,
        groups,
        hosts,
        pins: value(pins),
        hooks: value(hooks),
        artefacts: value(artefacts),
        limits: value(limits),
        ssh: value(ssh),
        broken,
    })
}

fn value<T>(at: Option<Option<At<T>>>) -> Option<T> {
    at.flatten().map(|at| at.value)
}

fn deploy(node: &Node, sink: &mut Sink) -> Option<Deploy> {
    let mut f = Fields::of(node, Deploy::KEYS, "`deploy`", sink)?;
    let (root, state) = (f.need("root", text), f.need("state", text));
    let (staging, books) = (f.need("staging", text), f.need("books", text));
    Some(Deploy { root: root?, state: state?, staging: staging?, books: books? })
}

fn wikis(node: &Node, sink: &mut Sink) -> Option<Wikis> {
    match &node.value {
        Value::List(_) => texts(node, sink).map(Wikis::Names),
        Value::Map(_) => {
            let mut f = Fields::of(node, DblistEntry::KEYS, "`wikis`", sink)?;
            let dblist = f.need("dblist", text);
            Some(Wikis::Dblist(DblistEntry { dblist: dblist? }))
        }
        _ => {
            let hint = "write `wikis: {dblist: dblists/all.dblist}`, or one `- name` a line";
            sink.hint(node.place, "`wikis` must be a list of wikis or name a dblist", Some(hint.to_owned()));
            None
        }
    }
}

fn group(node: &Node, sink: &mut Sink) -> Option<GroupEntry> {
    let mut f = Fields::of(node, GroupEntry::KEYS, "a group", sink)?;
    let name = f.need("name", text);
    let wikis = f.optional("wikis", texts);
    let dblist = f.optional("dblist", text);
    let expression = f.optional("expression", text);
    Some(GroupEntry { name: name?, wikis: wikis?, dblist: dblist?, expression: expression? })
}

fn host(node: &Node, sink: &mut Sink) -> Option<HostEntry> {
    let mut f = Fields::of(node, HostEntry::KEYS, "a host", sink)?;
    let (name, roles) = (f.need("name", text), f.need("roles", texts));
    let datacenter = f.need("datacenter", text);
    let (transport, user) = (f.optional("transport", text), f.optional("user", text));
    let port = f.optional("port", port);
    let (address, directory) = (f.optional("address", text), f.optional("directory", text));
    Some(HostEntry {
        name: name?,
        roles: roles?,
        datacenter: datacenter?,
        transport: transport?,
        user: user?,
        port: port?,
        address: address?,
        directory: directory?,
    })
}

fn pin(node: &Node, sink: &mut Sink) -> Option<PinEntry> {
    let mut f = Fields::of(node, PinEntry::KEYS, "a pin", sink)?;
    let (wiki, host) = (f.optional("wiki", text), f.optional("host", text));
    let version = f.need("version", text);
    let (reason, owner) = (f.need("reason", text), f.need("owner", text));
    let until = f.optional("until", text);
    Some(PinEntry { wiki: wiki?, host: host?, version: version?, reason: reason?, owner: owner?, until: until? })
}

fn hooks(node: &Node, sink: &mut Sink) -> Option<HooksEntry> {
    let mut f = Fields::of(node, HooksEntry::KEYS, "`hooks`", sink)?;
    let (build, restart) = (f.optional("build", argv), f.optional("restart", argv));
    let (depool, pool) = (f.optional("depool", argv), f.optional("pool", argv));
    Some(HooksEntry { build: build?, restart: restart?, depool: depool?, pool: pool? })
}

fn artefact(node: &Node, sink: &mut Sink) -> Option<ArtefactEntry> {
    let mut f = Fields::of(node, ArtefactEntry::KEYS, "an artefact", sink)?;
    let (path, files) = (f.need("path", text), f.need("files", number));
    let inputs = f.optional("inputs", texts);
    Some(ArtefactEntry { path: path?, files: files?, inputs: inputs?.map(|at| at.value) })
}

fn limits(node: &Node, sink: &mut Sink) -> Option<LimitsEntry> {
    let mut f = Fields::of(node, LimitsEntry::KEYS, "`limits`", sink)?;
    let mut get = |key| f.optional(key, number);
    let (parallel, connect, command) = (get("parallel_hosts_max"), get("connect_ms_max"), get("command_ms_max"));
    let (prepare, proof, repair) = (get("prepare_ms_max"), get("proof_age_ms_max"), get("repair_budget_ms_max"));
    let stale = get("stale_hosts_max");
    Some(LimitsEntry {
        parallel_hosts_max: parallel?,
        connect_ms_max: connect?,
        command_ms_max: command?,
        prepare_ms_max: prepare?,
        proof_age_ms_max: proof?,
        repair_budget_ms_max: repair?,
        stale_hosts_max: stale?,
    })
}

fn ssh(node: &Node, sink: &mut Sink) -> Option<SshEntry> {
    let mut f = Fields::of(node, SshEntry::KEYS, "`ssh`", sink)?;
    let (config, kex) = (f.optional("config", text), f.optional("kex", text));
    Some(SshEntry { config: config?, kex: kex? })
}

fn text(node: &Node, sink: &mut Sink) -> Option<String> {
    let message = match &node.value {
        Value::Text(text) => return Some(text.clone()),
        Value::Number(number) => return quote(node.place, &number.to_string(), sink),
        Value::Other(written) => return quote(node.place, written, sink),
        Value::Null => "a text must stand here",
        Value::List(_) => "a text must stand here, not a list",
        Value::Map(_) => "a text must stand here, not a mapping",
    };
    sink.add(node.place, message);
    None
}

fn quote(place: Place, written: &str, sink: &mut Sink) -> Option<String> {
    let message = format!("`{written}` without quotes is not a text in YAML");
    sink.hint(place, message, Some(format!("write \"{written}\", in quotes")));
    None
}

fn texts(node: &Node, sink: &mut Sink) -> Option<Vec<At<String>>> {
    let at = |node: &Node, sink: &mut Sink| text(node, sink).map(|value| At { value, place: node.place });
    list(node, "a list of texts", at, sink)
}

fn argv(node: &Node, sink: &mut Sink) -> Option<Vec<At<String>>> {
    if let Value::Text(text) = &node.value {
        let words: Vec<&str> = text.split_whitespace().collect();
        let hint = format!("write it as a list of arguments, no shell reads it: [{}]", words.join(", "));
        sink.hint(node.place, "a hook is a list of arguments, not one text", Some(hint));
        return None;
    }
    texts(node, sink)
}

fn number(node: &Node, sink: &mut Sink) -> Option<u64> {
    match &node.value {
        Value::Number(number) => Some(*number),
        Value::Text(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            sink.hint(node.place, "a number stands without quotes", Some(format!("write {text}")));
            None
        }
        _ => {
            sink.add(node.place, "a whole number in decimal digits must stand here");
            None
        }
    }
}

fn port(node: &Node, sink: &mut Sink) -> Option<u16> {
    let number = number(node, sink)?;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        sink.add(node.place, format!("{number} is not a port, which is from 1 to 65535"));
    }
    port
}

/// The items of a list that are of use; the others were noted.
fn list<T>(node: &Node, what: &str, read: impl Fn(&Node, &mut Sink) -> Option<T>, sink: &mut Sink) -> Option<Vec<T>> {
    let Value::List(items) = &node.value else {
        let hint = "a list is one `- item` a line, or `[a, b]`".to_owned();
        sink.hint(node.place, format!("{what} must be a list"), Some(hint));
        return None;
    };
    Some(items.iter().filter_map(|item| read(item, sink)).collect())
}

/// The entries of a mapping, whose unknown keys were noted.
struct Fields<'a> {
    what: &'a str,
    node: &'a Node,
    sink: &'a mut Sink,
    /// Keys whose values had mistakes.
    broken: BTreeSet<&'static str>,
}

impl<'a> Fields<'a> {
    fn of(node: &'a Node, keys: &[&str], what: &'a str, sink: &'a mut Sink) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let hint = format!("its keys are {}", keys.join(", "));
            sink.hint(node.place, format!("{what} must be a mapping of keys to values"), Some(hint));
            return None;
        };
        for (key, _) in entries.iter().filter(|(key, _)| !keys.contains(&key.text.as_str())) {
            let hint = did_you_mean(&key.text, keys.iter().copied())
                .unwrap_or_else(|| format!("the keys of {what} are {}", keys.join(", ")));
            sink.hint(key.place, format!("`{}` is not a key of {what}", key.text), Some(hint));
        }
        Some(Self { what, node, sink, broken: BTreeSet::new() })
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        let Value::Map(entries) = &self.node.value else { return None };
        entries.iter().find(|(k, v)| k.text == key && v.value != Value::Null).map(|(_, value)| value)
    }

    /// A value that must be there.
    fn need<T>(&mut self, key: &'static str, read: impl Fn(&Node, &mut Sink) -> Option<T>) -> Option<At<T>> {
        if self.get(key).is_none() {
            self.broken.insert(key);
            self.sink.add(self.node.place, format!("`{key}` is missing in {}", self.what));
        }
        self.optional(key, read)?
    }

    /// A value that may be left out: `Some(None)`; `None` when it is there and wrong.
    fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Node, &mut Sink) -> Option<T>,
    ) -> Option<Option<At<T>>> {
        let Some(node) = self.get(key) else { return Some(None) };
        let before = self.sink.count();
        let value = read(node, self.sink);
        if self.sink.count() > before {
            self.broken.insert(key);
        }
        value.map(|value| Some(At { value, place: node.place }))
    }
}
