//! The lesson of an incident: logins and the app came with the last group.

use super::*;
use expect_test::expect;
use std::path::Path;

const GROUPS: &str = "\
deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
wikis: [testwiki, commonswiki, dewiktionary, enwiki, dewiki]
groups:
  - {name: group0, wikis: [testwiki]}
  - {name: group1, wikis: [commonswiki, dewiktionary]}
  - {name: group2, wikis: [enwiki, dewiki]}
hosts:
  - {name: mw1017.eqiad.wmnet, roles: [debug], datacenter: eqiad}
  - {name: 'mw[2001-2002].codfw.wmnet', roles: [appserver], datacenter: codfw}
";

const LOG: &str = include_str!("../../../tests/fixtures/access/combined.log");
const JSON: &str = include_str!("../../../tests/fixtures/access/canary.jsonl");

fn coverage() -> Coverage {
    let none = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let policy = crate::config::parse(Path::new("groups.yaml"), GROUPS, &none).unwrap_or_else(|e| panic!("{e}"));
    let mut coverage = Coverage::new(&policy);
    for (name, log) in [("combined.log", LOG), ("canary.jsonl", JSON)] {
        for (n, line) in log.lines().enumerate() {
            coverage.add(line, None, || format!("{name}:{}", n + 1));
        }
    }
    coverage
}

#[test]
fn what_is_first_met_in_the_last_group_is_named() {
    expect![[r#"
        13 requests, 1 of them for sites that are no wiki of groups.yaml
        2 lines could not be read as a request, the first is combined.log:6
                            wikis met  requests   share  kinds
        group0                 1 of 1         2  16.7 %  GET 100.0 %, special wikis 100.0 %, pages 50.0 %, resources 50.0 %
        group1                 2 of 2         4  33.3 %  special wikis 75.0 %, GET 50.0 %, bots 50.0 %, pages 50.0 %, API 25.0 %, HEAD 25.0 %, POST 25.0 %, edits 25.0 %, wiktionary 25.0 %
        group2                 2 of 2         6  50.0 %  wikipedia 100.0 %, GET 50.0 %, pages 50.0 %, API 33.3 %, POST 33.3 %, app 33.3 %, logins 33.3 %, edits 16.7 %, mobile site 16.7 %, other methods 16.7 %
        mw1017.eqiad.wmnet     2 of 5         2  16.7 %  pages 100.0 %, GET 50.0 %, HEAD 50.0 %, bots 50.0 %, special wikis 50.0 %, wikipedia 50.0 %
        app: first met in group2, the last group: 2 there, 0 in all groups before it; no earlier group can show how they fare
        logins: first met in group2, the last group: 2 there, 0 in all groups before it; no earlier group can show how they fare
        mobile site: first met in group2, the last group: 1 there, 0 in all groups before it; no earlier group can show how they fare
        other methods: first met in group2, the last group: 1 there, 0 in all groups before it; no earlier group can show how they fare
        wikipedia: first met in group2, the last group: 6 there, 0 in all groups before it; no earlier group can show how they fare"#]].assert_eq(&coverage().text().join("\n"));
}

#[test]
fn programs_read_the_same_numbers() {
    expect![[r#"{"broken":2,"canaries":{"mw1017.eqiad.wmnet":{"kinds":{"GET":1,"HEAD":1,"bots":1,"pages":2,"special wikis":1,"wikipedia":1},"requests":2,"wikis":5,"wikis_met":2}},"elsewhere":1,"first_broken":"combined.log:6","first_met_last":["app","logins","mobile site","other methods","wikipedia"],"groups":[{"group":"group0","kinds":{"GET":2,"pages":1,"resources":1,"special wikis":2},"requests":2,"wikis":1,"wikis_met":1},{"group":"group1","kinds":{"API":1,"GET":2,"HEAD":1,"POST":1,"bots":2,"edits":1,"pages":2,"special wikis":3,"wiktionary":1},"requests":4,"wikis":2,"wikis_met":2},{"group":"group2","kinds":{"API":2,"GET":3,"POST":2,"app":2,"edits":1,"logins":2,"mobile site":1,"other methods":1,"pages":3,"wikipedia":6},"requests":6,"wikis":2,"wikis_met":2}],"requests":13}"#]].assert_eq(&serde_json::to_string(&coverage().json()).expect("JSON"));
}

#[test]
fn sites_are_known_by_their_usual_names() {
    let policy = GROUPS.replace("group2, wikis: [enwiki, dewiki]", "group2, wikis: [enwiki, dewiki, zh_min_nanwiki]");
    let policy = policy.replace("enwiki, dewiki]\ngroups", "enwiki, dewiki, zh_min_nanwiki]\ngroups");
    let none = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let policy = crate::config::parse(Path::new("groups.yaml"), &policy, &none).unwrap_or_else(|e| panic!("{e}"));
    let coverage = Coverage::new(&policy);
    let wiki = |site: &str| {
        let line = format!(r#"{{"vhost":"{site}","method":"GET","url":"/"}}"#);
        coverage.wiki(&access::parse(&line).expect("a request")).map(|(wiki, _)| wiki.to_string())
    };
    for (site, want) in [
        ("de.wikipedia.org", Some("dewiki")),
        ("DE.M.wikipedia.org:443", Some("dewiki")),
        ("de.wiktionary.org", Some("dewiktionary")),
        ("commons.wikimedia.org", Some("commonswiki")),
        ("zh-min-nan.wikipedia.org", Some("zh_min_nanwiki")),
        ("www.test.org", Some("testwiki")),
        ("enwiki.test", Some("enwiki")),
        ("enwiki", Some("enwiki")),
        ("fr.wikipedia.org", None),
        ("evil.example", None),
    ] {
        assert_eq!(wiki(site).as_deref(), want, "{site}");
    }
}
