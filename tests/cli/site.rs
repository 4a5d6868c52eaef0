//! A site in a temporary directory: groups.yaml, staging with three versions, and hosts that are directories.
//!
//! Invariant: hosts are judged by the bytes in their directories, never by what the program says of them. Nothing in
//! here knows the program's own types, so that a mistake in them cannot hide itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub const V9: &str = "1.27.0-wmf.9";
pub const V10: &str = "1.27.0-wmf.10";
pub const V11: &str = "1.27.0-wmf.11";

/// The wikis of a small site, in groups.
pub const GROUPS: [(&str, &[&str]); 3] = [
    ("group0", &["test2wiki", "testwiki"]),
    ("group1", &["cawiki", "hewiki", "labswiki"]),
    ("group2", &["dewiki", "enwiki"]),
];

/// What one run of the program did.
#[derive(Debug)]
pub struct Ran {
    pub arguments: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails with everything that was said unless it ended with `code`.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Fails unless `words` stand somewhere in what was said.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.stdout.contains(words) || self.stderr.contains(words), "`{words}` is not said\n{self}");
        self
    }

    /// Fails if `words` stand somewhere in what was said.
    #[track_caller]
    pub fn hides(self, words: &str) -> Self {
        assert!(!self.stdout.contains(words) && !self.stderr.contains(words), "`{words}` is said\n{self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { arguments, code, stdout, stderr } = self;
        write!(f, "$ pointsman {arguments}\n{stdout}{stderr}[code {code}]")
    }
}

/// A site that lives as long as this value.
pub struct Site {
    home: tempfile::TempDir,
    hosts: Vec<String>,
}

impl Site {
    /// Three hosts and seven wikis, synced and serving `.10`; `more` is appended to groups.yaml.
    pub fn small(more: &str) -> Self {
        let site = Self::unsynced(more);
        site.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
        site
    }

    /// The small site before its first sync.
    pub fn unsynced(more: &str) -> Self {
        Self::unsynced_on("mw1017 mw1018 mw1019", more)
    }

    /// The same on other hosts: the first is for debugging, the second a canary.
    pub fn unsynced_on(hosts: &str, more: &str) -> Self {
        let groups: String =
            GROUPS.iter().map(|(name, wikis)| format!("  - {{name: {name}, wikis: {wikis:?}}}\n")).collect();
        let all: Vec<&str> = GROUPS.iter().flat_map(|(_, wikis)| wikis.iter().copied()).collect();
        let wikis = format!("wikis: {all:?}\ngroups:\n{groups}");
        let map = all.iter().map(|wiki| ((*wiki).to_owned(), V10.to_owned())).collect();
        Self::build(&wikis, hosts, &map, more)
    }

    /// The 894 wikis of the repository on a dozen hosts, before the first sync: all at `.10`, and two pinned to `.9`.
    pub fn incident() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let wikis = "wikis: {dblist: dblists/all.dblist}\ngroups:\n  - {name: group0, dblist: dblists/group0.dblist}\n  - \
            name: group1\n    expression: \"%% all.dblist - group0.dblist - wikipedia.dblist + group1-wikipedia.dblist\"\n  - \
            {name: group2, dblist: dblists/group2.dblist}\n";
        let pin = |wiki: &str| format!("  - {{wiki: {wiki}, version: {V9}, reason: by hand, owner: labs}}\n");
        let more = format!("pins:\n{}{}", pin("labswiki"), pin("labtestwiki"));
        let hosts = "mw1017 mw1018 mw1019 mw1020 mw1021 mw1022 mw1023 mw2016 mw2017 mw2018 mw2019 mw2020";
        let all = fs::read_to_string(repository.join("dblists/all.dblist")).expect("the repository has it");
        let named = all.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let version = |wiki: &str| if ["labswiki", "labtestwiki"].contains(&wiki) { V9 } else { V10 };
        let map = named.map(|wiki| (wiki.to_owned(), version(wiki).to_owned())).collect();
        let site = Self::build(wikis, hosts, &map, &more);
        fs::create_dir(site.path("dblists")).expect("made");
        for list in fs::read_dir(repository.join("dblists")).expect("the repository has them") {
            let list = list.expect("listed").path();
            let name = list.file_name().expect("it has a name");
            fs::copy(&list, site.path("dblists").join(name)).expect("copied");
        }
        site
    }

    fn build(wikis: &str, hosts: &str, map: &BTreeMap<String, String>, more: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory is made");
        let hosts: Vec<String> = hosts.split(' ').map(|host| format!("{host}.{}.wmnet", datacenter(host))).collect();
        let site = Self { home, hosts };
        for version in [V9, V10, V11] {
            site.cut(version);
        }
        site.stage("wmf-config/InitialiseSettings.php", "<?php\n$wmgLog = true;\n");
        site.stage("wmf-config/limits.json", "{\"a\": 1}\n");
        site.stage("wikiversions.json", &json_map(map));
        for host in &site.hosts {
            site.empty_host(host);
        }
        site.write("groups.yaml", &site.yaml(wikis, more));
        site
    }

    fn yaml(&self, wikis: &str, more: &str) -> String {
        let role = |n: usize| ["debug", "canary", "appserver"][n.min(2)];
        let host = |(n, name): (usize, &String)| {
            format!(
                "  - {{name: {name}, roles: [{}], datacenter: {}, transport: local, directory: hosts}}\n",
                role(n),
                datacenter(name)
            )
        };
        let hosts: String = self.hosts.iter().enumerate().map(host).collect();
        let hooks = if more.contains("hooks:") { "" } else { "hooks: {build: [sh, build.sh]}\n" };
        format!(
            "deploy: {{root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}}\n\
             configuration: [wmf-config]\n{wikis}hosts:\n{hosts}\
             artefacts:\n  - {{path: cache/l10n, files: 3, inputs: [i18n]}}\n{hooks}{more}"
        )
    }

    /// A version's tree in staging, with a build step that makes three files.
    pub fn cut(&self, version: &str) {
        let tree = format!("php-{version}");
        self.stage(&format!("{tree}/index.php"), &format!("<?php\n$wgVersion = '{version}';\n"));
        self.stage(&format!("{tree}/includes/Session.php"), &format!("<?php\n// of {version}\n"));
        for language in ["de", "en", "he"] {
            self.stage(&format!("{tree}/i18n/{language}.json"), &format!("{{\"login\": \"{language} {version}\"}}\n"));
        }
        let build = "mkdir -p cache/l10n\nfor f in i18n/*.json; do cp \"$f\" \"cache/l10n/${f##*/}\"; done\n";
        self.stage(&format!("{tree}/build.sh"), build);
    }

    /// What a new machine has.
    pub fn empty_host(&self, host: &str) {
        for below in ["srv/mediawiki", "var/lib"] {
            fs::create_dir_all(self.host(host).join(below)).expect("made");
        }
    }

    /// Loses a host: a new machine has its name.
    pub fn reinstall(&self, host: &str) {
        fs::remove_dir_all(self.host(host)).expect("ours");
        self.empty_host(host);
    }

    /// Writes a file of the site, its directories too.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("made");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("chmod");
    }

    /// Writes a file of staging.
    pub fn stage(&self, name: &str, text: &str) {
        self.write(&format!("staging/{name}"), text);
    }

    /// Changes groups.yaml.
    pub fn edit(&self, old: &str, new: &str) {
        let text = fs::read_to_string(self.path("groups.yaml")).expect("it is there");
        assert!(text.contains(old), "groups.yaml has no `{old}`");
        self.write("groups.yaml", &text.replace(old, new));
    }

    /// A path of the site.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The names of the hosts, in order.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// The directory that stands for a host.
    pub fn host(&self, host: &str) -> PathBuf {
        self.path("hosts").join(host)
    }

    /// A file below the root of the web tier of a host.
    pub fn served(&self, host: &str, name: &str) -> PathBuf {
        self.host(host).join("srv/mediawiki").join(name)
    }

    /// The program, about this site.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("-C").arg(self.home.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments), arguments)
    }

    /// Starts the program and does not wait.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    }

    /// Promotes without asking.
    pub fn promote(&self, group: &str, version: &str) -> Ran {
        self.run(&["promote", group, version, "--yes", "-m", "train"])
    }

    /// What a host serves, wiki by wiki, without `php-`; its compiled map has to say the same.
    #[track_caller]
    pub fn map(&self, host: &str) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.served(host, "wikiversions.json")).expect("the host has a map");
        let map: BTreeMap<String, String> = serde_json::from_str(&text).expect("the map is JSON");
        let php = fs::read_to_string(self.served(host, "wikiversions.php")).expect("the host has a compiled map");
        let plain = |(wiki, version): (String, String)| {
            assert!(php.contains(&format!("'{wiki}' => '{version}'")), "{host}: {wiki} is not compiled: {php}");
            (wiki, version.strip_prefix("php-").expect("versions are directories").to_owned())
        };
        map.into_iter().map(plain).collect()
    }

    /// How many wikis run which version, the same on every host: `.9: 2, .10: 887, .11: 5`.
    #[track_caller]
    pub fn counts(&self) -> String {
        let maps: BTreeSet<_> = self.hosts.iter().map(|host| self.map(host)).collect();
        assert_eq!(maps.len(), 1, "hosts serve different maps");
        counts(maps.first().expect("there is one"))
    }

    /// Every path below the site with its kind, mode, modification time and content: equal exactly if not a byte moved.
    pub fn digest(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        walk(self.home.path(), &mut found);
        found
    }
}

/// Where a host stands, by its number.
fn datacenter(host: &str) -> &'static str {
    if host.starts_with("mw2") { "codfw" } else { "eqiad" }
}

/// Runs a command of the program to its end.
pub fn ran(command: &mut Command, arguments: &[&str]) -> Ran {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it says UTF-8");
    Ran {
        arguments: arguments.join(" "),
        code: output.status.code().expect("it was not killed"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A map in words, by its last numbers.
pub fn counts(map: &BTreeMap<String, String>) -> String {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for version in map.values() {
        let last = version.rsplit('.').next().and_then(|n| n.parse().ok()).expect("a version ends in a number");
        *counts.entry(last).or_default() += 1;
    }
    counts.into_iter().map(|(n, wikis)| format!(".{n}: {wikis}")).collect::<Vec<_>>().join(", ")
}

fn json_map(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(wiki, version)| format!("    \"{wiki}\": \"php-{version}\"")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn walk(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let meta = fs::symlink_metadata(path).expect("it is there");
    let head = format!("{:?} {:o}", meta.file_type(), meta.permissions().mode());
    let body = match meta.is_file() {
        true => {
            format!("{:?} {}", meta.modified().expect("it has a time"), blake3(&fs::read(path).expect("it is read")))
        }
        false => String::new(),
    };
    found.insert(path.to_owned(), format!("{head} {body}"));
    if meta.is_dir() {
        for entry in fs::read_dir(path).expect("it is listed") {
            walk(&entry.expect("it is listed").path(), found);
        }
    }
}

fn blake3(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
