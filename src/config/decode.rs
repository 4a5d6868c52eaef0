//! From a YAML tree to the shape of groups.yaml, every mistake noted.
//!
//! Invariant: a value that is missing or of the wrong kind is left out only after it was noted, and the reading goes on
//! beside it. Texts must be texts: what YAML reads as a number or a truth value is refused with the way to quote it.

use super::diagnostic::Sink;
use super::fields::{Fields, argv, duration, flag, list, number, port, text, texts};
use super::notify;
use super::raw::{
    ArtefactEntry, At, DblistEntry, Deploy, DifferenceEntry, EnvironmentEntry, File, GroupEntry, HooksEntry, HostEntry,
    LimitsEntry, MirrorEntry, PinEntry, SoakEntry, SshEntry, WebEntry, Wikis,
};
use super::rights;
use super::yaml::{Node, Value};

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
    let gates = f.optional("gates", |n, s| list(n, "gates", |n, _| Some(n.clone()), s));
    let soak = f.optional("soak", soak);
    let web = f.optional("web", web);
    let environments = f.optional("environments", |n, s| list(n, "environments", environment, s));
    let mirrors = f.optional("mirrors", |n, s| list(n, "mirrors", mirror, s));
    let notify = f.optional("notify", |n, s| list(n, "notify", notify::entry::entry, s));
    let policy = f.optional("policy", rights::entry::policy);
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
        gates: value(gates),
        soak: value(soak),
        web: value(web),
        environments: value(environments),
        mirrors: value(mirrors),
        notify: value(notify),
        policy: policy.flatten(),
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
    let (store, ca_file) = (f.optional("store", text), f.optional("ca_file", text));
    let signed = f.optional("signed", flag);
    let (staging, books) = (staging?, books?);
    Some(Deploy { root: root?, state: state?, staging, books, store: store?, ca_file: ca_file?, signed: signed? })
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
    let proxy = f.optional("proxy", text);
    Some(HostEntry {
        name: name?,
        roles: roles?,
        datacenter: datacenter?,
        transport: transport?,
        user: user?,
        port: port?,
        address: address?,
        directory: directory?,
        proxy: proxy?,
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
    let (stale, delete) = (get("stale_hosts_max"), get("delete_percent_max"));
    Some(LimitsEntry {
        parallel_hosts_max: parallel?,
        connect_ms_max: connect?,
        command_ms_max: command?,
        prepare_ms_max: prepare?,
        proof_age_ms_max: proof?,
        repair_budget_ms_max: repair?,
        stale_hosts_max: stale?,
        delete_percent_max: delete?,
    })
}

fn ssh(node: &Node, sink: &mut Sink) -> Option<SshEntry> {
    let mut f = Fields::of(node, SshEntry::KEYS, "`ssh`", sink)?;
    let (config, kex, keep) = (f.optional("config", text), f.optional("kex", text), f.optional("keep", duration));
    Some(SshEntry { config: config?, kex: kex?, keep: keep? })
}

fn soak(node: &Node, sink: &mut Sink) -> Option<SoakEntry> {
    let mut f = Fields::of(node, SoakEntry::KEYS, "`soak`", sink)?;
    let mut get = |key| f.optional(key, duration).map(|at| at.map(|at| at.value));
    let (wave, group, max, watch) = (get("wave"), get("group"), get("max"), get("watch"));
    Some(SoakEntry { wave: wave?, group: group?, max: max?, watch: watch? })
}

fn web(node: &Node, sink: &mut Sink) -> Option<WebEntry> {
    let mut f = Fields::of(node, WebEntry::KEYS, "`web`", sink)?;
    let (tls, port) = (f.optional("tls", flag), f.optional("port", port));
    let (addresses, ca) = (f.optional("addresses", text), f.optional("ca", text));
    Some(WebEntry { tls: tls?, port: port?, addresses: addresses?, ca: ca? })
}

fn environment(node: &Node, sink: &mut Sink) -> Option<EnvironmentEntry> {
    let mut f = Fields::of(node, EnvironmentEntry::KEYS, "an environment", sink)?;
    let (name, groups) = (f.need("name", text), f.need("groups", texts));
    let differs = f.need("differs", |n, s| list(n, "differs", difference, s));
    Some(EnvironmentEntry { name: name?, groups: groups?, differs: differs? })
}

fn mirror(node: &Node, sink: &mut Sink) -> Option<MirrorEntry> {
    let mut f = Fields::of(node, MirrorEntry::KEYS, "a mirror", sink)?;
    let (source, datacenters) = (f.need("source", text), f.optional("datacenters", texts));
    let (region, endpoint) = (f.optional("region", text), f.optional("endpoint", text));
    let (credentials, ca) = (f.optional("credentials", text), f.optional("ca", text));
    Some(MirrorEntry {
        source: source?,
        datacenters: datacenters?,
        region: region?,
        endpoint: endpoint?,
        credentials: credentials?,
        ca: ca?,
    })
}

fn difference(node: &Node, sink: &mut Sink) -> Option<DifferenceEntry> {
    let mut f = Fields::of(node, DifferenceEntry::KEYS, "a difference", sink)?;
    let (word, how) = (f.need("trait", text), f.need("how", text));
    Some(DifferenceEntry { word: word?, how: how? })
}
