//! The groups.yaml in the root of the repository, which is the working example, is read here as it stands.

use super::policy::{Policy, Role, Transport};
use super::select::select;
use super::{FILE_NAME, find, load, parse};
use crate::model::names::HostName;
use crate::model::ranges::fold;
use expect_test::{Expect, expect};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn example() -> Policy {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE_NAME);
    let read = |path: &Path| std::fs::read_to_string(path);
    let text = read(&file).expect("the example can be read");
    parse(&file, &text, &read).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn the_example_has_the_894_wikis_of_the_incident() {
    let policy = example();
    let sizes: Vec<(&str, usize)> = policy.groups.iter().map(|g| (g.name.as_str(), g.wikis.len())).collect();
    assert_eq!(sizes, [("group0", 5), ("group1", 594), ("group2", 295)]);
    assert_eq!(sizes.iter().map(|(_, n)| n).sum::<usize>(), 894);
    let group = |wiki: &str| {
        let wiki = wiki.parse().expect("a wiki");
        policy.groups.iter().find(|g| g.wikis.contains(&wiki)).map(|g| g.name.as_str())
    };
    for (wiki, want) in [
        ("testwikidatawiki", "group0"),
        ("hewiki", "group1"),
        ("cawiki", "group1"),
        ("loginwiki", "group1"),
        ("commonswiki", "group1"),
        ("enwiki", "group2"),
        ("dewiki", "group2"),
    ] {
        assert_eq!(group(wiki), Some(want), "{wiki}");
    }
    assert!(policy.groups[2].wikis.iter().all(|wiki| wiki.as_str().ends_with("wiki")));
    let pinned: Vec<&str> = policy.pins.wikis.keys().map(|wiki| wiki.as_str()).collect();
    assert_eq!(pinned, ["labswiki", "labtestwiki"]);
    assert!(pinned.iter().all(|wiki| group(wiki) == Some("group1")));
}

#[test]
fn the_example_has_a_dozen_local_hosts() {
    let policy = example();
    let hosts: Vec<HostName> = policy.hosts.keys().cloned().collect();
    expect!["mw[2016-2020].codfw.wmnet, mw[1017-1023].eqiad.wmnet"].assert_eq(&fold(&hosts));
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, host) in &policy.hosts {
        assert!(host.serves());
        assert_eq!(host.transport, Transport::Local { directory: base.join(".demo/hosts").join(name.as_str()) });
    }
    assert_eq!(policy.staging, base.join(".demo/staging"));
    assert_eq!(policy.limits, super::policy::Limits::default(), "the comment says that the defaults are shown");
    assert_eq!(policy.hosts.values().filter(|h| h.roles.contains(&Role::Canary)).count(), 2);
}

fn selected(selector: &str, want: Expect) {
    want.assert_eq(&match select(&example().hosts, selector) {
        Ok(hosts) => fold(&hosts.into_iter().collect::<Vec<_>>()),
        Err(error) => {
            format!("error: {error}{}", error.hint.as_ref().map(|h| format!("; hint: {h}")).unwrap_or_default())
        }
    });
}

#[test]
fn selectors_name_hosts_and_never_nothing() {
    selected("mw2020.codfw.wmnet", expect!["mw2020.codfw.wmnet"]);
    selected("role:canary, mw[2016-2017].codfw.wmnet", expect!["mw[2016-2017].codfw.wmnet, mw[1018-1019].eqiad.wmnet"]);
    selected("dc:codfw", expect!["mw[2016-2020].codfw.wmnet"]);
    selected("all", expect!["mw[2016-2020].codfw.wmnet, mw[1017-1023].eqiad.wmnet"]);
    selected(
        "mw2021.codfw.wmnet",
        expect!["error: there is no host `mw2021.codfw.wmnet`; hint: did you mean `mw2020.codfw.wmnet`?"],
    );
    selected(
        "mw[2019-2022].codfw.wmnet",
        expect!["error: there is no host `mw2021.codfw.wmnet`; hint: did you mean `mw2020.codfw.wmnet`?"],
    );
    selected(
        "role:canaries",
        expect!["error: there is no role `canaries`; hint: known: appserver, canary, debug, deploy, other, proxy"],
    );
    selected("role:proxy", expect!["error: no host has the role `proxy`"]);
    selected("dc:cofdw", expect!["error: there is no datacenter `cofdw`; hint: did you mean `codfw`?"]);
    selected("rack:4", expect!["error: there is no selector `rack`; hint: known: dc, role"]);
    selected("mw[3-1]", expect!["error: `mw[3-1]`: the range `3-1` runs backwards; write `1-3`"]);
    selected(
        "-oProxyCommand=x",
        expect!["error: `-oProxyCommand=x`: not a host name: no part may start or end with `-`"],
    );
    selected(
        "",
        expect![
            "error: a part of the selector is empty; hint: name hosts, ranges, `role:NAME`, `dc:NAME` or `all`, by comma"
        ],
    );
    selected(
        "all,",
        expect![
            "error: a part of the selector is empty; hint: name hosts, ranges, `role:NAME`, `dc:NAME` or `all`, by comma"
        ],
    );
}

#[test]
fn a_site_is_found_loaded_and_not_trusted_when_others_can_write_it() {
    let site = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(site.path().join("dblists")).expect("made");
    let write = |name: &str, text: &str, mode| {
        let path = site.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("chmod");
    };
    let said = || match find(Some(site.path())).and_then(|file| load(&file)) {
        Ok(policy) => {
            format!("{} groups, list {}", policy.groups.len(), policy.files["dblists/all.dblist"]["all"].short())
        }
        Err(mistakes) => mistakes.to_string().replace(&site.path().to_string_lossy().into_owned(), "SITE"),
    };
    expect![[r#"
        SITE/groups.yaml: there is no such file
          hint: name the directory or the file with `-C`"#]]
    .assert_eq(&said());
    let text = "deploy: {root: /r, state: /s, staging: st, books: b}\nwikis: {dblist: dblists/all.dblist}\n\
        groups: [{name: g, dblist: dblists/all.dblist}]\nhosts: [{name: a, roles: [appserver], datacenter: d}]\n";
    write("groups.yaml", text, 0o644);
    write("dblists/all.dblist", "enwiki\n", 0o644);
    let first = said();
    expect!["1 groups, list 4bf242bfedf2"].assert_eq(&first);
    write("dblists/all.dblist", "enwiki\ndewiki\n", 0o644);
    assert_ne!(said(), first, "dblists are known by their digests");
    write("dblists/all.dblist", "enwiki\n", 0o666);
    expect!["SITE/groups.yaml:2:17: cannot read SITE/dblists/all.dblist: it is writable by everybody: type `chmod o-w SITE/dblists/all.dblist`"].assert_eq(&said());
    write("groups.yaml", text, 0o646);
    expect!["SITE/groups.yaml: it cannot be read: it is writable by everybody: type `chmod o-w SITE/groups.yaml`"]
        .assert_eq(&said());
}
