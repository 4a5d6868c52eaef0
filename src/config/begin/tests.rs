//! What `init` writes is read back by the reader of every groups.yaml.

use super::*;
use crate::config::parse;
use crate::config::policy::Policy;
use expect_test::expect;
use std::io;

const FILES: [(&str, &str); 5] = [
    ("all.dblist", "aawiki\nenwiki\nfrwiki\nlabswiki\ntestwiki\n"),
    ("group0.dblist", "testwiki\n"),
    ("group2.dblist", "enwiki\nfrwiki\n"),
    ("wikipedia.dblist", "enwiki\nfrwiki\naawiki\n"),
    ("small.dblist", "%% all.dblist - wikipedia.dblist\n"),
];

fn read(path: &Path) -> io::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let found = FILES.iter().find(|(file, _)| *file == name);
    found.map(|(_, text)| (*text).to_owned()).ok_or(io::ErrorKind::NotFound.into())
}

fn some_hosts(text: &str) -> Hosts {
    let (hosts, _) = hosts::read(hosts::Format::Plain, text, &mut Sink::new(Path::new("hosts")));
    hosts
}

fn found() -> Found {
    let names: Vec<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let dblists = dblists(Path::new("/site/dblists"), &names, &read).expect("they are sound");
    let versions = r#"{"aawiki":"php-1.27.0-wmf.10","enwiki":"php-1.27.0-wmf.10","labswiki":"php-1.27.0-wmf.9"}"#;
    Found {
        dblists,
        directory: "dblists".to_owned(),
        versions: wikiversions(Path::new("wikiversions.json"), versions).expect("it is sound"),
        hosts: some_hosts("mw[2001-2003].codfw.wmnet deploy1"),
        staging: "/srv/mediawiki-staging".to_owned(),
        configuration: vec!["wmf-config".to_owned()],
        ssh_config: None,
    }
}

fn parsed(found: &Found) -> Policy {
    let text = text(found);
    parse(Path::new("/site/groups.yaml"), &text, &read).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

#[test]
fn what_was_found_is_written_with_what_was_concluded() {
    let text = text(&found());
    let (_, told) = text.split_once("# Every wiki").expect("it has the section");
    let (told, _) = told.split_once("# What a site usually adds").expect("it has the section");
    expect![[r#"
         there is.
        wikis: {dblist: "dblists/all.dblist"}

        # Groups, in the order in which they are promoted. Each wiki is in exactly one.
        # group1 has the 2 wikis that no other list named group<N> has.
        groups:
          - name: group0
            dblist: "dblists/group0.dblist"
          - name: group1
            expression: "%% all.dblist - group0.dblist - group2.dblist"
          - name: group2
            dblist: "dblists/group2.dblist"

        # Hosts, by name or by range. Roles: debug and canary hosts are switched first, then appserver; deploy is where
        # pointsman runs; other serves no wikis. Roles were concluded from names of groups, datacenters from names of hosts.
        hosts:
          - name: "mw[2001-2003].codfw.wmnet"
            roles: [appserver]
            datacenter: "codfw"
          - name: "deploy1"
            roles: [appserver]
            datacenter: "main"

        # Wikis and hosts that stay on a version whatever is promoted or rolled back.
        # wikiversions.json has: 1.27.0-wmf.9 1 wiki, 1.27.0-wmf.10 2 wikis.
        # These few are alone on theirs; are they pinned?
        # pins:
        #   - {wiki: labswiki, version: "1.27.0-wmf.9", reason: WHY, owner: WHO}

    "#]]
    .assert_eq(told);
}

#[test]
fn what_is_written_is_a_groups_yaml() {
    let policy = parsed(&found());
    let groups: Vec<String> = policy.groups.iter().map(|g| format!("{} {}", g.name, g.wikis.len())).collect();
    assert_eq!(groups, ["group0 1", "group1 2", "group2 2"]);
    assert_eq!(policy.hosts.len(), 4);
    // Without one list of all, and without any list.
    let mut parts = found();
    parts.dblists.retain(|name, _| name.starts_with("group"));
    parts.versions.clear();
    assert_eq!(parsed(&parts).groups.len(), 2);
    parts = Found { dblists: BTreeMap::new(), versions: found().versions, ..parts };
    assert_eq!(parsed(&parts).groups[0].wikis.len(), 3);
}

#[test]
fn names_that_yaml_would_read_otherwise_stay_names() {
    let mut odd = found();
    odd.staging = "/srv/a: {b} # c \"d\" 'e' \u{7f}".to_owned();
    odd.configuration = vec!["yes".to_owned()];
    odd.ssh_config = Some(PathBuf::from("/etc/ssh/a b: c"));
    odd.hosts = some_hosts("1e3 0x10 no");
    let policy = parsed(&odd);
    assert_eq!(policy.staging, Path::new(&odd.staging));
    assert_eq!(policy.hosts.len(), 3);
}

#[test]
fn a_wikiversions_that_is_none_is_refused() {
    let wrong = |text: &str| wikiversions(Path::new("wikiversions.json"), text).expect_err("it is wrong").to_string();
    expect![
        "wikiversions.json: it is not an object of texts: invalid type: sequence, expected a map at line 1 column 0"
    ]
    .assert_eq(&wrong("[]"));
    let said = wrong(r#"{"enwiki": "php-../../etc"}"#);
    assert!(said.starts_with("wikiversions.json: `../../etc` of enwiki is not a version: "), "{said}");
}
