//! Values that are well formed and still wrong: paths, groups, hosts, pins, hooks and limits.

use super::check;
use expect_test::expect;

#[test]
fn books_on_a_server() {
    check(
        "books: books}",
        "books: books, store: \"postgres://me:CANARY@db1/books\"}",
        expect![[r#"
        groups.yaml:1:98: the address of the books may have a password in it, so it does not stand here
          hint: write `store: env:POINTSMAN_BOOKS`, or `store: file:PATH` for a file of mode 600 with the address"#]],
    );
    check(
        "books: books}",
        "books: books, store: CANARY}",
        expect![[r#"
        groups.yaml:1:98: `store` says where the address of a PostgreSQL server stands
          hint: as in `env:POINTSMAN_BOOKS` or `file:/etc/pointsman/books`"#]],
    );
    check(
        "books: books}",
        "books: books, store: \"env:\"}",
        expect![[r#"
        groups.yaml:1:98: `store` says where the address of a PostgreSQL server stands
          hint: as in `env:POINTSMAN_BOOKS` or `file:/etc/pointsman/books`"#]],
    );
    check("books: books}", "books: books, store: \"file:../books\"}", expect!["good"]);
    check(
        "books: books}",
        "books: books, stor: \"env:BOOKS\"}",
        expect![[r#"
        groups.yaml:1:91: `stor` is not a key of `deploy`
          hint: did you mean `store`?"#]],
    );
    check(
        "books: books}",
        "books: books, ca_file: ca.pem}",
        expect!["groups.yaml:1:100: `ca_file` belongs to a `store`, and there is none"],
    );
}

#[test]
fn directories_and_paths() {
    check(
        "root: /srv/mediawiki",
        "root: srv/mediawiki",
        expect![[r#"
            groups.yaml:1:16: `root` is a path on every host and must be absolute and plain
              hint: as in `/srv/mediawiki`, without `.` and `..`"#]],
    );
    check(
        "root: /srv/mediawiki",
        "root: /srv/../etc",
        expect![[r#"
            groups.yaml:1:16: `root` is a path on every host and must be absolute and plain
              hint: as in `/srv/mediawiki`, without `.` and `..`"#]],
    );
    check(
        "root: /srv/mediawiki",
        "root: /",
        expect![[r#"
            groups.yaml:1:16: `root` is a path on every host and must be absolute and plain
              hint: as in `/srv/mediawiki`, without `.` and `..`"#]],
    );
    check(
        "/var/lib/pointsman",
        "/srv/mediawiki/state",
        expect![[r#"
            groups.yaml:1:39: `state` must not lie in `root`
              hint: give each a directory of its own"#]],
    );
    check(
        "books: books",
        "books: staging/../staging/books",
        expect![[r#"
            groups.yaml:1:84: `books` must not lie in `staging`
              hint: give each a directory of its own"#]],
    );
    check(
        "[wmf-config]",
        "[../etc, php-1.27.0-wmf.1]",
        expect![[r#"
        groups.yaml:2:17: `../etc` is not a directory of configuration: a component is one directory's name: letters, digits, `_` and `-`
        groups.yaml:2:25: `php-1.27.0-wmf.1` is a version's tree, not configuration; versions need not be listed"#]],
    );
    check(
        "path: cache/l10n",
        "path: /cache/l10n",
        expect![[r#"
        groups.yaml:19:20: `/cache/l10n` is not a plain relative path
          hint: write it without a leading or trailing `/`, and without `.` and `..`"#]],
    );
    check(
        "dblists/all.dblist",
        "../../etc/passwd",
        expect![[r#"
            groups.yaml:3:17: `../../etc/passwd` is not a plain relative path
              hint: write it without a leading or trailing `/`, and without `.` and `..`"#]],
    );
}

#[test]
fn groups_are_disjoint_and_cover_every_wiki() {
    check(
        "wikis: [testwiki]",
        "wikis: [testwiki, enwiki]",
        expect![[r#"
        groups.yaml:9:11: 1 wiki of `group2` stands in `group0` too: enwiki
          hint: every wiki is in exactly one group"#]],
    );
    check(
        " - wikipedia.dblist",
        "",
        expect![[r#"
        groups.yaml:9:11: 2 wikis of `group2` stand in `group1` too: dewiki, enwiki
          hint: every wiki is in exactly one group"#]],
    );
    check(
        "dblists/wikipedia.dblist",
        "dblists/less.dblist",
        expect![[r#"
        groups.yaml:5:3: 1 wiki is in no group: dewiki
          hint: every wiki is in exactly one group"#]],
    );
    check(
        "dblists/wikipedia.dblist",
        "dblists/more.dblist",
        expect!["groups.yaml:9:11: 1 wiki of `group2` is not in `wikis`: frwiki"],
    );
    check(
        "dblists/wikipedia.dblist",
        "dblists/bad.dblist",
        expect![
            "dblists/bad.dblist:2:1: `Enwiki` is not a wiki: only lower case letters, digits, `_` and `-` may stand in it"
        ],
    );
    check(
        "dblists/wikipedia.dblist",
        "dblists/empty.dblist",
        expect!["groups.yaml:9:11: the group `group2` has no wiki"],
    );
    check(
        "dblists/wikipedia.dblist",
        "dblists/wikipedias.dblist",
        expect![[r#"
        groups.yaml:10:13: there is no dblist dblists/wikipedias.dblist
          hint: did you mean `wikipedia.dblist`?"#]],
    );
}

#[test]
fn wikis_of_a_group_are_named_in_one_way() {
    check(
        "%% all.dblist",
        "all.dblist",
        expect![[r#"
        groups.yaml:8:17: an expression begins with `%%`
          hint: as in `%% all.dblist - group0.dblist`"#]],
    );
    check(
        "- wikipedia.dblist",
        "-wikipedia.dblist",
        expect![[r#"
            groups.yaml:8:17: `-wikipedia.dblist` stands where `+`, `-` or `&` is expected
              hint: spaces stand around `+`, `-` and `&`"#]],
    );
    check("name: group1", "name: group0", expect!["groups.yaml:7:11: the group `group0` is named twice"]);
    check(
        "wikis: [testwiki]",
        "wikis: [testwiki]\n    dblist: dblists/group0.dblist",
        expect!["groups.yaml:5:11: a group's wikis are named by exactly one of `wikis`, `dblist` and `expression`"],
    );
    check(
        "wikis: {dblist: dblists/all.dblist}",
        "wikis: all.dblist",
        expect![[r#"
        groups.yaml:3:8: `wikis` must be a list of wikis or name a dblist
          hint: write `wikis: {dblist: dblists/all.dblist}`, or one `- name` a line"#]],
    );
    check(
        "wikis: {dblist: dblists/all.dblist}",
        "wikis: [testwiki, testwiki, Xwiki]",
        expect![[r#"
        groups.yaml:3:19: `testwiki` stands twice in this list
        groups.yaml:3:29: `Xwiki` is not a wiki: only lower case letters, digits, `_` and `-` may stand in it"#]],
    );
}

#[test]
fn hosts_are_named_once_and_strictly() {
    check(
        "mw[2001-2003]",
        "mw[2003-2001]",
        expect![
            "groups.yaml:12:11: `mw[2003-2001].codfw.wmnet`: the range `2003-2001` runs backwards; write `2001-2003`"
        ],
    );
    check(
        "mw[2001-2003]",
        "mw[1-999999999]",
        expect!["groups.yaml:12:11: `mw[1-999999999].codfw.wmnet`: it names more than 10000 hosts"],
    );
    check(
        "mw[2001-2003].codfw.wmnet",
        "-oProxyCommand=x",
        expect!["groups.yaml:12:11: `-oProxyCommand=x`: not a host name: no part may start or end with `-`"],
    );
    check(
        "name: mw1017.eqiad.wmnet",
        "name: mw2002.codfw.wmnet",
        expect![[r#"
        groups.yaml:15:12: listed before: mw2002.codfw.wmnet
          hint: list each host once, with all of its roles"#]],
    );
    check(
        "name: mw1017.eqiad.wmnet",
        "name: \"mw[1017-1018].eqiad.wmnet\"",
        expect!["groups.yaml:15:109: one `address` cannot stand for 2 hosts"],
    );
    check(
        "roles: [appserver]",
        "roles: [apserver]",
        expect![[r#"
        groups.yaml:13:13: `apserver` is not a role
          hint: did you mean `appserver`?"#]],
    );
    check("roles: [appserver]", "roles: []", expect!["groups.yaml:13:12: a host has at least one role"]);
}

#[test]
fn a_proxy_has_an_address_of_its_own_and_serves_wikis_too() {
    let host = |rest: &str| format!("roles: [debug, proxy], datacenter: eqiad, {rest} user: deploy");
    let from = "roles: [debug], datacenter: eqiad, user: deploy";
    check(from, &host("proxy: \"10.0.0.1:8731\","), expect!["good"]);
    check(from, &host("proxy: \"[2001:db8::1]:8731\","), expect!["good"]);
    check(
        from,
        &host("proxy: \"10.0.0.1\","),
        expect![[r#"
        groups.yaml:15:81: `10.0.0.1` is not an IP address and a port
          hint: such as 10.0.0.5:8731, an address that the other hosts reach"#]],
    );
    check(
        from,
        &host("proxy: \"10.0.0.1:0\","),
        expect![[r#"
        groups.yaml:15:81: `10.0.0.1:0` is not an IP address and a port
          hint: such as 10.0.0.5:8731, an address that the other hosts reach"#]],
    );
    check(
        from,
        &host("proxy: \"0.0.0.0:8731\","),
        expect!["groups.yaml:15:81: hosts can't be sent to this address; write the one that they reach"],
    );
    check(
        from,
        "roles: [debug], datacenter: eqiad, proxy: \"10.0.0.1:8731\", user: deploy",
        expect![[r#"
        groups.yaml:15:74: a proxy needs the role `proxy`, and one with which it serves wikis
          hint: such as `roles: [appserver, proxy]`: it serves what it holds for itself"#]],
    );
    check(
        from,
        "roles: [proxy], datacenter: eqiad, proxy: \"10.0.0.1:8731\", user: deploy",
        expect![[r#"
        groups.yaml:15:74: a proxy needs the role `proxy`, and one with which it serves wikis
          hint: such as `roles: [appserver, proxy]`: it serves what it holds for itself"#]],
    );
    check(
        "    roles: [appserver]\n",
        "    roles: [appserver, proxy]\n    proxy: \"10.0.0.1:8731\"\n",
        expect!["groups.yaml:14:12: one `proxy` cannot stand for 3 hosts"],
    );
    let other = ", roles: [canary, proxy], datacenter: eqiad, proxy: \"10.0.0.1:8731\"}\n";
    let two = format!("  - {{name: mw1018.eqiad.wmnet{other}  - {{name: mw1019.eqiad.wmnet{other}pins:\n");
    check("pins:\n", &two, expect!["groups.yaml:17:82: mw1018.eqiad.wmnet serves at this address already"]);
}

#[test]
fn keys_of_a_transport_belong_to_it() {
    check("user: deploy", "user: -x", expect!["groups.yaml:15:73: `-x` is not a login name: it starts with `-`"]);
    check("port: 22", "port: 70000", expect!["groups.yaml:15:87: 70000 is not a port, which is from 1 to 65535"]);
    check(
        "user: deploy",
        "transport: local",
        expect![[r#"
        groups.yaml:15:12: `transport: local` needs a `directory`
        groups.yaml:15:91: `port` belongs to `transport: ssh`
        groups.yaml:15:104: `address` belongs to `transport: ssh`"#]],
    );
    check(
        "user: deploy",
        "transport: telnet",
        expect![[r#"
        groups.yaml:15:78: `telnet` is not a transport
          hint: transports: ssh, local"#]],
    );
    check(
        "user: deploy",
        "directory: hosts",
        expect![[r#"
        groups.yaml:15:78: `directory` belongs to `transport: local`
          hint: remove it, or write `transport: local`"#]],
    );
}

#[test]
fn pins_name_what_exists_once() {
    check(
        "wiki: labswiki",
        "wiki: labwiki",
        expect![[r#"
        groups.yaml:17:12: there is no wiki `labwiki`
          hint: did you mean `labswiki`?"#]],
    );
    check(
        "wiki: labswiki",
        "host: mw2020.codfw.wmnet",
        expect![[r#"
        groups.yaml:17:12: there is no host `mw2020.codfw.wmnet`
          hint: did you mean `mw2002.codfw.wmnet`?"#]],
    );
    check(
        "wiki: labswiki",
        "wiki: labswiki, host: mw1017.eqiad.wmnet",
        expect!["groups.yaml:17:57: a pin names either a `wiki` or a `host`"],
    );
    check(
        "1.27.0-wmf.9",
        "1.27-0-wmf.9",
        expect![
            "groups.yaml:17:31: `1.27-0-wmf.9` is not a version: a version starts with three numbers, as in `1.27.0-wmf.11`"
        ],
    );
    check(
        "until: \"2016-02-01\"",
        "until: \"2016-02-30\"",
        expect![[r#"
        groups.yaml:17:84: `2016-02-30` is neither a date nor an RFC 3339 time
          hint: write "2016-02-01" (from 00:00 UTC of that day) or "2016-02-01T12:00:00Z""#]],
    );
    check("until: \"2016-02-01\"", "until: 2016-02-01T12:00:00+01:00", expect!["good"]);
    check(
        "reason: by hand",
        "reason: \"a\\nb\"",
        expect!["groups.yaml:17:55: a reason is one line of 1 to 1000 bytes"],
    );
    check(
        "hooks:",
        "  - {wiki: labswiki, version: \"1.27.0-wmf.8\", reason: r, owner: o}\nhooks:",
        expect![[r#"
        groups.yaml:18:12: the wiki `labswiki` is pinned twice
          hint: keep one of the two"#]],
    );
}

#[test]
fn hooks_limits_artefacts_and_ssh() {
    check("[./build]", "[\"\", x]", expect!["groups.yaml:18:16: the first argument is the program to run"]);
    check(
        "parallel_hosts_max: 64",
        "parallel_hosts_max: 0",
        expect!["groups.yaml:20:30: it must be from 1 to 4096, not 0"],
    );
    check("files: 449", "files: 0", expect!["groups.yaml:19:39: `files` is from 1 to 2000000"]);
    check(
        "config: own",
        "config: usr",
        expect![[r#"
        groups.yaml:21:15: `usr` is not a choice of ssh's configuration
          hint: write `user`, `own` or a file with a `/` in it, as in `./ssh_config`"#]],
    );
    check(
        "kex: curve",
        "kex: -oX curve",
        expect![[r#"
        groups.yaml:21:25: `-oX curve25519-sha256` is not a comma list of key exchange algorithms
          hint: as in `curve25519-sha256`; `ssh -Q kex` lists them"#]],
    );
    check("config: own", "config: own, keep: 0s", expect!["good"]);
    check(
        "config: own",
        "config: own, keep: ten",
        expect![[r#"
        groups.yaml:21:26: `ten` is not a duration
          hint: a number and a unit, as in `500ms`, `10s`, `5m`, `2h` or `30d`, at most a year"#]],
    );
    check(
        "config: own",
        "config: own, keep: 1500ms",
        expect![[r#"
        groups.yaml:21:26: `keep` is whole seconds, at most a day
          hint: as in `10m`, or `0s` for connections that end with their command"#]],
    );
    check(
        "config: own",
        "config: own, keep: 25h",
        expect![[r#"
        groups.yaml:21:26: `keep` is whole seconds, at most a day
          hint: as in `10m`, or `0s` for connections that end with their command"#]],
    );
    check(
        "inputs: [languages/i18n]}",
        "inputs: [languages/i18n]}, {path: cache, files: 1}",
        expect!["groups.yaml:19:78: `cache` and `cache/l10n` overlap"],
    );
}
