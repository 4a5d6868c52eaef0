//! groups.yaml as it is written: its shape, from which the JSON Schema for editors is made.
//!
//! Invariant: nothing here is checked beyond its shape, and every value that can be wrong carries its place. The keys
//! of a mapping are its `KEYS`; a test holds them against the schema. These types are filled by `decode`, not by a
//! derived `Deserialize`, which would stop at the first mistake.

use super::diagnostic::Place;
use super::notify::entry::NotifyEntry;
use super::policy::Role;
use super::rights::entry::PolicyEntry;
use super::yaml::Node;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it begins.
    pub place: Place,
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// The names of roles.
pub const ROLES: [(&str, Role); 6] = [
    ("canary", Role::Canary),
    ("debug", Role::Debug),
    ("appserver", Role::Appserver),
    ("deploy", Role::Deploy),
    ("proxy", Role::Proxy),
    ("other", Role::Other),
];

/// The names of transports.
pub const TRANSPORTS: [&str; 2] = ["ssh", "local"];

/// The whole file; a section that is missing or of no use is `None`, and was noted.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "groups.yaml")]
pub struct File {
    /// Directories.
    #[schemars(required)]
    pub deploy: Option<At<Deploy>>,
    /// Directories below staging, beside the version trees, that are synced as configuration.
    pub configuration: Option<Vec<At<String>>>,
    /// Every wiki there is.
    #[schemars(required)]
    pub wikis: Option<At<Wikis>>,
    /// Groups in the order of promotion; disjoint, and together every wiki.
    #[schemars(required)]
    pub groups: Option<At<Vec<GroupEntry>>>,
    /// Every host.
    #[schemars(required)]
    pub hosts: Option<At<Vec<HostEntry>>>,
    /// Wikis and hosts that are held on a version.
    pub pins: Option<Vec<PinEntry>>,
    /// Commands of the site, each a list of arguments that no shell sees.
    pub hooks: Option<HooksEntry>,
    /// What each host builds in a version's tree.
    pub artefacts: Option<Vec<ArtefactEntry>>,
    /// Numbers, with their units in their names.
    pub limits: Option<LimitsEntry>,
    /// How ssh is called.
    pub ssh: Option<SshEntry>,
    /// Named checks that a promotion needs; see docs/gates.md.
    #[schemars(with = "Option<super::gates::Schema>")]
    pub gates: Option<Vec<Node>>,
    /// How long gates are asked.
    pub soak: Option<SoakEntry>,
    /// Where the web servers of hosts listen.
    pub web: Option<WebEntry>,
    /// How stages differ from production.
    pub environments: Option<Vec<EnvironmentEntry>>,
    /// Where hosts can fetch content; see docs/mirrors.md.
    pub mirrors: Option<Vec<MirrorEntry>>,
    /// Who is told what became of rollouts; see docs/notifications.md.
    pub notify: Option<Vec<NotifyEntry>>,
    /// Who may do what; whoever can write the books when it is not said. See docs/rights.md.
    pub policy: Option<At<PolicyEntry>>,
    /// Sections in which something was wrong, so that nothing is concluded from what is missing there.
    #[schemars(skip)]
    pub broken: BTreeSet<&'static str>,
}

/// Directories.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Deploy {
    /// Where hosts serve from, absolute, the same on each host.
    pub root: At<String>,
    /// Where the agent keeps its state on hosts, absolute, not below root.
    pub state: At<String>,
    /// The source trees on the deploy host.
    pub staging: At<String>,
    /// The directory of the books on the deploy host.
    pub books: At<String>,
    /// Where the address of a PostgreSQL server stands that keeps the books for several deploy hosts:
    /// `env:POINTSMAN_BOOKS` or `file:/etc/pointsman/books`.
    pub store: Option<At<String>>,
    /// A file of PEM certificates that the server's is verified against, instead of the system's.
    pub ca_file: Option<At<String>>,
    /// Whether hosts take nothing but content that somebody signed; see docs/signed.md.
    pub signed: Option<At<bool>>,
}

/// Every wiki: a list of names, or the dblist that has them.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Wikis {
    /// By name.
    Names(Vec<At<String>>),
    /// By file.
    Dblist(DblistEntry),
}

/// A list of wikis in a file.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DblistEntry {
    /// The file, relative to groups.yaml.
    pub dblist: At<String>,
}

/// A group; its wikis are named by exactly one of `wikis`, `dblist` and `expression`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GroupEntry {
    /// Its name.
    pub name: At<String>,
    /// Its wikis by name.
    pub wikis: Option<At<Vec<At<String>>>>,
    /// The file that lists them, relative to groups.yaml.
    pub dblist: Option<At<String>>,
    /// An expression over dblists: `%% all.dblist - group0.dblist`.
    pub expression: Option<At<String>>,
}

/// Hosts of one kind.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HostEntry {
    /// Names and ranges: `mw[2001-2020].codfw.wmnet`.
    pub name: At<String>,
    /// What they are for.
    #[schemars(schema_with = "roles_schema")]
    pub roles: At<Vec<At<String>>>,
    /// Where they stand.
    pub datacenter: At<String>,
    /// How to reach them; ssh when it is not said.
    #[schemars(schema_with = "transport_schema")]
    pub transport: Option<At<String>>,
    /// ssh: the login.
    pub user: Option<At<String>>,
    /// ssh: the port.
    pub port: Option<At<u16>>,
    /// ssh, one host only: the address when it is not the name.
    pub address: Option<At<String>>,
    /// local: the directory in which each host has a directory of its name.
    pub directory: Option<At<String>>,
    /// One host only: the address and port at which it serves content to its datacenter; see docs/mirrors.md.
    pub proxy: Option<At<String>>,
}

/// A wiki or a host that is held on a version.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PinEntry {
    /// Which wiki; or `host`.
    pub wiki: Option<At<String>>,
    /// Which host; or `wiki`.
    pub host: Option<At<String>>,
    /// On which version, in quotes.
    pub version: At<String>,
    /// Why.
    pub reason: At<String>,
    /// Who answers for it.
    pub owner: At<String>,
    /// When it expires: a date (from 00:00 UTC of that day) or an RFC 3339 time.
    pub until: Option<At<String>>,
}

/// Commands of the site.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HooksEntry {
    /// On a host, in a version's tree: makes the artefacts.
    pub build: Option<At<Vec<At<String>>>>,
    /// On a host, after a switch.
    pub restart: Option<At<Vec<At<String>>>>,
    /// On the deploy host: takes a host out of service.
    pub depool: Option<At<Vec<At<String>>>>,
    /// On the deploy host: puts it back.
    pub pool: Option<At<Vec<At<String>>>>,
}

/// What each host builds in a version's tree.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ArtefactEntry {
    /// The directory that the build step fills, relative to the version's tree.
    pub path: At<String>,
    /// How many files the build makes there.
    pub files: At<u64>,
    /// The parts of the tree that the build reads; none named: all of it.
    pub inputs: Option<Vec<At<String>>>,
}

/// Numbers.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LimitsEntry {
    /// Hosts that are talked to at the same time.
    pub parallel_hosts_max: Option<At<u64>>,
    /// Connecting and authenticating, ms.
    pub connect_ms_max: Option<At<u64>>,
    /// One command without a transfer, ms.
    pub command_ms_max: Option<At<u64>>,
    /// Bringing one component to one host, its build included, ms.
    pub prepare_ms_max: Option<At<u64>>,
    /// The age of a proof at which a switch asks for another, ms.
    pub proof_age_ms_max: Option<At<u64>>,
    /// Time that a rollback gives to repairs, ms.
    pub repair_budget_ms_max: Option<At<u64>>,
    /// Hosts that may be stale when a promotion begins, and fail while it runs.
    pub stale_hosts_max: Option<At<u64>>,
    /// What share of a component's files a sync may delete without `--delete`, percent.
    pub delete_percent_max: Option<At<u64>>,
}

/// How ssh is called.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SshEntry {
    /// Whose configuration is read beside ours: `user`, `own` (none but ours) or a file.
    pub config: Option<At<String>>,
    /// Key exchange algorithms, by comma.
    pub kex: Option<At<String>>,
    /// How long connections are kept for the next command; a duration like `10m`, `0s` for not at all.
    #[schemars(with = "Option<String>")]
    pub keep: Option<At<u64>>,
}

/// How long gates are asked; durations like `20s`, `30m`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SoakEntry {
    /// After each wave, at least.
    #[schemars(with = "Option<String>")]
    pub wave: Option<u64>,
    /// After the last wave of a group, at least.
    #[schemars(with = "Option<String>")]
    pub group: Option<u64>,
    /// At one place, before a person is asked.
    #[schemars(with = "Option<String>")]
    pub max: Option<u64>,
    /// After a promotion ended.
    #[schemars(with = "Option<String>")]
    pub watch: Option<u64>,
}

/// Where the web servers of hosts listen.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WebEntry {
    /// Whether they speak TLS.
    pub tls: Option<At<bool>>,
    /// The port; 80, or 443 with TLS.
    pub port: Option<At<u16>>,
    /// A file with a line `HOST ADDRESS:PORT` for each host that is elsewhere.
    pub addresses: Option<At<String>>,
    /// A file of PEM certificates that are trusted instead of the system's.
    pub ca: Option<At<String>>,
}

/// How a stage differs from production.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EnvironmentEntry {
    /// Its name.
    pub name: At<String>,
    /// The groups whose evidence comes from it.
    pub groups: At<Vec<At<String>>>,
    /// What differs.
    pub differs: At<Vec<DifferenceEntry>>,
}

/// One difference.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DifferenceEntry {
    /// One word, which gates name under `needs`: `tls`.
    #[schemars(rename = "trait")]
    pub word: At<String>,
    /// In words: `no TLS here, production ends TLS at nginx`.
    pub how: At<String>,
}

/// A place that holds content by its hash.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MirrorEntry {
    /// `s3://BUCKET/PREFIX`, `https://...` or `http://...`.
    pub source: At<String>,
    /// The datacenters that it is near to; all when it is not said.
    pub datacenters: Option<At<Vec<At<String>>>>,
    /// S3: the region; `us-east-1` when it is not said.
    pub region: Option<At<String>>,
    /// S3: the server's URL when it is not Amazon's.
    pub endpoint: Option<At<String>>,
    /// S3: a file of mode 600 with the keys; they are in the environment when it is not said.
    pub credentials: Option<At<String>>,
    /// A file of PEM certificates that are trusted instead of the system's.
    pub ca: Option<At<String>>,
}

macro_rules! keys {
    ($($name:ident: $($key:literal)*;)*) => {$(
        impl $name {
            /// Its keys, in the order in which they are documented.
            pub const KEYS: &'static [&'static str] = &[$($key),*];
        }
    )*};
}

keys! {
    File: "deploy" "configuration" "wikis" "groups" "hosts" "pins" "hooks" "artefacts" "limits" "ssh"
        "gates" "soak" "web" "environments" "mirrors" "notify" "policy";
    MirrorEntry: "source" "datacenters" "region" "endpoint" "credentials" "ca";
    SoakEntry: "wave" "group" "max" "watch";
    WebEntry: "tls" "port" "addresses" "ca";
    EnvironmentEntry: "name" "groups" "differs";
    DifferenceEntry: "trait" "how";
    Deploy: "root" "state" "staging" "books" "store" "ca_file" "signed";
    DblistEntry: "dblist";
    GroupEntry: "name" "wikis" "dblist" "expression";
    HostEntry: "name" "roles" "datacenter" "transport" "user" "port" "address" "directory" "proxy";
    PinEntry: "wiki" "host" "version" "reason" "owner" "until";
    HooksEntry: "build" "restart" "depool" "pool";
    ArtefactEntry: "path" "files" "inputs";
    LimitsEntry: "parallel_hosts_max" "connect_ms_max" "command_ms_max" "prepare_ms_max" "proof_age_ms_max"
        "repair_budget_ms_max" "stale_hosts_max" "delete_percent_max";
    SshEntry: "config" "kex" "keep";
}

fn roles_schema(_: &mut SchemaGenerator) -> Schema {
    let names = ROLES.map(|(name, _)| name);
    json_schema!({"type": "array", "minItems": 1, "items": {"type": "string", "enum": names}})
}

fn transport_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "null"], "enum": ["ssh", "local", null]})
}

/// The JSON Schema (2020-12) of groups.yaml, pretty-printed, with a newline at its end.
pub fn schema() -> String {
    let schema = schemars::schema_for!(File);
    serde_json::to_string_pretty(&schema).expect("a schema is plain JSON") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rights::entry::RuleEntry;
    use serde_json::Value;

    fn keys_of(schema: &Value) -> Vec<String> {
        let mut keys: Vec<String> =
            schema["properties"].as_object().expect("properties").keys().map(String::clone).collect();
        keys.sort();
        keys
    }

    #[test]
    fn the_schema_has_the_keys_that_the_reader_accepts() {
        let schema: Value = serde_json::from_str(&schema()).expect("JSON");
        let definition = |name: &str| &schema["$defs"][name];
        let pairs: [(&Value, &[&str]); 18] = [
            (&schema, File::KEYS),
            (definition("Deploy"), Deploy::KEYS),
            (definition("DblistEntry"), DblistEntry::KEYS),
            (definition("GroupEntry"), GroupEntry::KEYS),
            (definition("HostEntry"), HostEntry::KEYS),
            (definition("PinEntry"), PinEntry::KEYS),
            (definition("HooksEntry"), HooksEntry::KEYS),
            (definition("ArtefactEntry"), ArtefactEntry::KEYS),
            (definition("LimitsEntry"), LimitsEntry::KEYS),
            (definition("SshEntry"), SshEntry::KEYS),
            (definition("SoakEntry"), SoakEntry::KEYS),
            (definition("WebEntry"), WebEntry::KEYS),
            (definition("EnvironmentEntry"), EnvironmentEntry::KEYS),
            (definition("DifferenceEntry"), DifferenceEntry::KEYS),
            (definition("MirrorEntry"), MirrorEntry::KEYS),
            (definition("NotifyEntry"), NotifyEntry::KEYS),
            (definition("PolicyEntry"), PolicyEntry::KEYS),
            (definition("RuleEntry"), RuleEntry::KEYS),
        ];
        for (schema, keys) in pairs {
            let mut keys: Vec<String> = keys.iter().map(|k| k.to_string()).collect();
            keys.sort();
            assert_eq!(keys_of(schema), keys);
            assert_eq!(schema["additionalProperties"], Value::Bool(false));
        }
        assert_eq!(schema["$defs"].as_object().expect("definitions").len(), 18, "seventeen mappings and `Wikis`");
        assert_eq!(schema["required"], serde_json::json!(["deploy", "wikis", "groups", "hosts"]));
    }
}
