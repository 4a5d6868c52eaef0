//! The simulated site: its policy, and the contents that its deploy host could sync.

use crate::agent::hostfs::{Ended, HostFs, Place};
use crate::agent::memfs::Hook;
use crate::config::policy::{
    GroupPolicy, Hooks, HostPolicy, Limits, Policy, Role, Soak, SshConfig, SshPolicy, Transport, Web,
};
use crate::gate::spec::{Gate, Kind, Moment};
use crate::model::books::{Pin, PinSource, Pins};
use crate::model::component::{ArtefactRule, Component};
use crate::model::digest::Digest;
use crate::model::map::VersionMap;
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::time::Time;
use crate::tree::manifest::{Entry, EntryKind, Manifest};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where artefacts are built, and their names there.
pub const ARTEFACTS: (&str, [&str; 2]) = ("cache/l10n", ["de.cdb", "en.cdb"]);
/// What they are built from.
pub const ARTEFACT_INPUT: &str = "languages/messages.json";
/// How many contents each component can have.
pub const VARIANTS: u32 = 3;

/// `1.27.0-wmf.N`.
pub fn wmf(n: u64) -> Version {
    format!("1.27.0-wmf.{n}").parse().expect("it has the form of a version")
}

/// The bytes of an artefact that is built from `input`.
pub fn built(name: &str, input: &[u8]) -> Vec<u8> {
    format!("{name} from {}", Digest::of(input)).into_bytes()
}

/// Contents by id.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// The files of each content, by path.
    pub files: BTreeMap<Digest, BTreeMap<String, Vec<u8>>>,
    /// The manifest of each content.
    pub manifests: BTreeMap<Digest, Manifest>,
    /// The ids that each component can have.
    pub variants: BTreeMap<Component, Vec<Digest>>,
}

impl Contents {
    /// Versions `.9` to `.12` and `wmf-config`, each with [`VARIANTS`] contents.
    pub fn new() -> Self {
        let mut contents = Self::default();
        for n in 9..13 {
            for variant in 0..VARIANTS {
                let files = [
                    ("index.php", format!("index of {n} variant {variant}")),
                    ("includes/common.php", "the same in every version".to_owned()),
                    (ARTEFACT_INPUT, format!("messages of {n} variant {}", variant / 2)),
                ];
                contents.add(Component::Version(wmf(n)), &files);
            }
        }
        for variant in 0..VARIANTS {
            let settings = [("Settings.php", format!("settings variant {variant}"))];
            contents.add(Component::Config("wmf-config".to_owned()), &settings);
        }
        contents
    }

    /// One more content of a component
    pub fn add(&mut self, component: Component, files: &[(&str, String)]) {
        let entry = |(path, text): &(&str, String)| Entry {
            path: path.parse().expect("it is a path in the tree"),
            kind: EntryKind::File { exec: false, size: text.len() as u64, digest: Digest::of(text.as_bytes()) },
        };
        let manifest = Manifest::new(files.iter().map(entry).collect()).expect("no path stands there twice");
        let id = manifest.id();
        let bytes = files.iter().map(|(path, text)| ((*path).to_owned(), text.clone().into_bytes()));
        self.files.insert(id, bytes.collect());
        self.manifests.insert(id, manifest);
        self.variants.entry(component).or_default().push(id);
    }

    /// The first content of each component.
    pub fn first(&self) -> BTreeMap<Component, Digest> {
        self.variants.iter().map(|(component, ids)| (component.clone(), ids[0])).collect()
    }
}

/// The build step as hosts run it.
pub fn build_hook() -> Hook {
    Hook(Arc::new(|fs, program| {
        let input = fs.read(&program.directory.join(ARTEFACT_INPUT), 1 << 10)?;
        let (directory, names) = ARTEFACTS;
        for name in names {
            let at: Place = program.directory.join(&format!("{directory}/{name}"));
            fs.put(&at, &built(name, &input))?;
        }
        Ok(Ended { success: true, how: "exit code 0".to_owned(), output: String::new() })
    }))
}

/// Groups of 2, 3 and 2 wikis, one of them pinned on `.9`, and so many hosts.
pub fn policy(stale_hosts_max: usize, hosts: usize) -> Policy {
    let wikis = |names: &[&str]| names.iter().map(|n| wiki(n)).collect();
    let group = |name: &str, names: &[&str]| GroupPolicy {
        name: name.parse::<Group>().expect("it is a name"),
        wikis: wikis(names),
    };
    let (build, depool) = (vec!["rebuild".to_owned()], vec!["depool".to_owned()]);
    let (path, inputs) = (ARTEFACTS.0.to_owned(), vec!["languages".to_owned()]);
    Policy {
        file: PathBuf::from("/site/groups.yaml"),
        files: BTreeMap::new(),
        root: PathBuf::from("/srv/mediawiki"),
        state: PathBuf::from("/var/lib/pointsman"),
        staging: PathBuf::from("/srv/staging"),
        books: PathBuf::from("/var/lib/pointsman-books"),
        store: None,
        signed: false,
        configuration: vec![Component::Config("wmf-config".to_owned())],
        groups: vec![
            group("group0", &["testwiki", "test2wiki"]),
            group("group1", &["hewiki", "cawiki", "labswiki"]),
            group("group2", &["enwiki", "dewiki"]),
        ],
        hosts: (0..hosts).map(host).collect(),
        pins: Pins { wikis: [(wiki("labswiki"), pin(9, PinSource::Config))].into(), ..Pins::default() },
        hooks: Hooks { build, depool, ..Hooks::default() },
        artefacts: vec![ArtefactRule { path, files: ARTEFACTS.1.len() as u64, inputs }],
        limits: Limits { stale_hosts_max, proof_age_ms_max: 60_000, ..Limits::default() },
        ssh: SshPolicy { config: SshConfig::Own, kex: None, keep_s: 0 },
        gates: vec![gate()],
        soak: Soak::default(),
        web: Web::default(),
        environments: Vec::new(),
        mirrors: Vec::new(),
        notify: Vec::new(),
        rights: None,
    }
}

/// The map that the fleet serves at first.
pub fn first_map(policy: &Policy) -> VersionMap {
    let version = |wiki: &Wiki| if policy.pins.wikis.contains_key(wiki) { wmf(9) } else { wmf(10) };
    VersionMap(policy.groups.iter().flat_map(|g| &g.wikis).map(|w| (w.clone(), version(w))).collect())
}

/// A pin on `.N` without an end.
pub fn pin(n: u64, source: PinSource) -> Pin {
    let (reason, owner) = ("debugging".to_owned(), "sim".to_owned());
    Pin { version: wmf(n), reason, owner, since: Time(0), until: None, source }
}

fn wiki(name: &str) -> Wiki {
    name.parse().expect("it is a name")
}

fn host(i: usize) -> (HostName, HostPolicy) {
    let role = match i {
        0 => Role::Debug,
        1 | 2 => Role::Canary,
        _ => Role::Appserver,
    };
    let transport = Transport::Local { directory: PathBuf::from("/nowhere") };
    let policy = HostPolicy { roles: [role].into(), datacenter: "codfw".to_owned(), transport, proxy: None };
    (format!("mw{}.codfw", 2001 + i).parse().expect("it is a name"), policy)
}

/// A gate that is asked wherever gates are; what it says is up to the engine.
fn gate() -> Gate {
    let at = [Moment::Before, Moment::Wave, Moment::Group];
    Gate::new("any".parse().expect("it follows the grammar"), at, Kind::Approval)
}
