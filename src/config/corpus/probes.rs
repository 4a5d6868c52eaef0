//! Gates that ask web servers: what is read, and what is said of mistakes, also of those in a file of httpbb.

use super::GOOD;
use crate::config::parse;
use crate::config::policy::Policy;
use crate::gate::spec::Kind;
use crate::gate::spec::probe::{Assert, CookieState, HeaderText, ServedField, Target};
use crate::model::secret::Reference;
use expect_test::{Expect, expect};
use std::path::Path;

const HTTPBB: &str = r#"https://en.wikipedia.org:
- path: /wiki/Main_Page
  assert_status: [200, 304]
  assert_body_contains: Welcome
  assert_headers: {Server: mw1}
- path: /w/api.php
  method: POST
  request_headers: {X-Debug: "1"}
  json_body: {action: parse, pages: [1, -2.5, true]}
  assert_headers_regex: {content-type: ^application/json}
  assert_headers_absent: [X-Powered-By]
http://de.wikipedia.org:
- {path: /, assert_status: 301, assert_body_regex: "moved|found"}
"#;

fn policy(gate: &str, httpbb: &str) -> Result<Policy, String> {
    let text = format!("{GOOD}gates:\n  - {{name: x, {gate}}}\n");
    let read = |path: &Path| match path.to_str() {
        Some("tests.yaml") => Ok(httpbb.to_owned()),
        _ => super::read(path),
    };
    parse(Path::new("groups.yaml"), &text, &read).map_err(|mistakes| mistakes.to_string())
}

fn kind(gate: &str) -> Kind {
    let policy = policy(gate, HTTPBB).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    policy.gates[0].kind.clone()
}

fn check(gate: &str, want: Expect) {
    want.assert_eq(&policy(gate, HTTPBB).map_or_else(|mistakes| mistakes, |_| "good".to_owned()));
}

/// Of a probe of one request.
fn url(url: &str, want: Expect) {
    check(&format!("kind: probe, url: {{{url}}}"), want);
}

fn httpbb(text: &str, want: Expect) {
    let said = policy("kind: probe, httpbb: tests.yaml", text);
    want.assert_eq(&said.map_or_else(|mistakes| mistakes, |_| "good".to_owned()));
}

#[test]
fn a_journey_is_what_is_written() {
    let journey = "kind: probe, needed: 2, deadline: 3s, journeys: [{name: logout, steps: [\
        {wiki: enwiki, method: POST, path: /login, json: {user: x}, expect: {cookies: {session: set}}}, \
        {host_header: de.wikipedia.org, on: another, jar: b, body: x, tls: true, redirects_max: 2, expect: {status: 302}}, \
        {wiki: enwiki, on: mw1017.eqiad.wmnet, expect: {time: 2s, json: {/a/0: null}, body_contains: [a, b]}}]}]";
    let Kind::Probe(probe) = kind(journey) else { panic!("a probe") };
    assert_eq!((probe.needed, probe.tries, probe.deadline_ms), (2, 2, 3_000));
    let steps = &probe.journeys[0].steps;
    assert_eq!((steps[0].jar.as_str(), &steps[0].target, steps[0].tls), ("a", &Target::Scope, None));
    assert_eq!(steps[0].body.as_deref(), Some(r#"{"user":"x"}"#));
    assert_eq!(steps[0].headers, [("content-type".to_owned(), HeaderText::Plain("application/json".to_owned()))]);
    assert_eq!(steps[0].asserts, [Assert::Cookie("session".to_owned(), CookieState::Set)]);
    assert_eq!((steps[1].jar.as_str(), &steps[1].target, steps[1].tls), ("b", &Target::Another, Some(true)));
    assert_eq!((steps[1].host_header.as_str(), steps[1].redirects_max), ("de.wikipedia.org", 2));
    assert_eq!(steps[2].target, Target::Named("mw1017.eqiad.wmnet".parse().expect("legal")));
    let contains = |text: &str| Assert::BodyContains(text.to_owned());
    let json = Assert::Json("/a/0".to_owned(), serde_json::Value::Null);
    assert_eq!(steps[2].asserts, [contains("a"), contains("b"), json, Assert::TimeMax(2_000)]);
}

#[test]
fn a_file_of_httpbb_is_taken_as_it_is() {
    let Kind::Probe(probe) = kind("kind: probe, httpbb: tests.yaml, tries: 3") else { panic!("a probe") };
    let names: Vec<&str> = probe.journeys.iter().map(|journey| journey.name.as_str()).collect();
    assert_eq!(names, ["en.wikipedia.org/wiki/Main_Page", "POST en.wikipedia.org/w/api.php", "de.wikipedia.org/"]);
    let step = |n: usize| &probe.journeys[n].steps[0];
    assert_eq!((step(0).tls, step(2).tls, step(0).target.clone()), (Some(true), Some(false), Target::Scope));
    assert_eq!(step(0).asserts.len(), 3);
    assert_eq!(step(0).asserts[0], Assert::Status(vec![200, 304]));
    assert_eq!(step(1).body.as_deref(), Some(r#"{"action":"parse","pages":[1,-2.5,true]}"#));
    assert_eq!(step(1).headers[0], ("X-Debug".to_owned(), HeaderText::Plain("1".to_owned())));
    assert_eq!(step(2).asserts[1], Assert::BodyRegex("moved|found".to_owned()));
}

#[test]
fn s10_a_header_that_is_a_secret_by_its_name_is_refused_and_not_repeated() {
    for name in ["Authorization", "proxy-authorization", "COOKIE", "X-Api-Key", "x-auth-token", "X-Shared-Secret"] {
        let header = format!("{name}: Bearer CANARY");
        let said =
            policy(&format!("kind: probe, url: {{wiki: enwiki, headers: {{{header}}}, expect: {{status: 200}}}}"), "");
        let said = said.expect_err(name);
        assert!(said.contains(&format!("what `{name}` says is a secret")) && !said.contains("CANARY"), "{said}");
        let said =
            policy("kind: probe, httpbb: tests.yaml", &HTTPBB.replace("X-Debug: \"1\"", &header)).expect_err(name);
        assert!(said.contains(&format!("what `{name}` says is a secret")) && !said.contains("CANARY"), "{said}");
    }
    let number = policy("kind: probe, url: {wiki: enwiki, headers: {X-Api-Key: 8472910}, expect: {status: 200}}", "");
    let said = number.expect_err("a number is none");
    assert!(said.contains("what `X-Api-Key` says is a secret") && !said.contains("8472910"), "{said}");
    let harmless = "kind: probe, url: {wiki: enwiki, headers: {Idempotency-Key: a1}, expect: {status: 200}}";
    assert!(policy(harmless, "").is_ok(), "that lets nobody in");
    url(
        "wiki: enwiki, headers: {X-Debug: 'env:', Authorization: 'file:'}, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:67: what `X-Debug` says is a secret, so only where it stands is written here
          hint: as in `env:POINTSMAN_PROBE` or `file:/etc/pointsman/probe`, a file of mode 600 with the whole value
        groups.yaml:23:90: what `Authorization` says is a secret, so only where it stands is written here
          hint: as in `env:POINTSMAN_PROBE` or `file:/etc/pointsman/probe`, a file of mode 600 with the whole value"#]],
    );
    httpbb(
        &HTTPBB.replace("X-Debug: \"1\"", "Cookie: a=1"),
        expect![[r#"
        tests.yaml:8:29: what `Cookie` says is a secret, so only where it stands is written here
          hint: as in `env:POINTSMAN_PROBE` or `file:/etc/pointsman/probe`, a file of mode 600 with the whole value"#]],
    );
}

#[test]
fn any_header_may_say_where_its_secret_stands() {
    let headers = "Authorization: 'env:PROBE', X-Debug: 'file:secrets/debug', X-Plain: env";
    let Kind::Probe(probe) =
        kind(&format!("kind: probe, url: {{wiki: enwiki, headers: {{{headers}}}, expect: {{status: 200}}}}"))
    else {
        panic!("a probe")
    };
    let found: Vec<&HeaderText> = probe.journeys[0].steps[0].headers.iter().map(|(_, text)| text).collect();
    assert_eq!(*found[0], HeaderText::Secret(Reference::Env("PROBE".to_owned())));
    assert!(matches!(found[1], HeaderText::Secret(Reference::File(path)) if path.ends_with("secrets/debug")));
    assert_eq!(*found[2], HeaderText::Plain("env".to_owned()));
}

#[test]
fn two_wikis_of_each_group_are_asked_for_their_version_unless_said() {
    let Kind::Served(served) = kind("kind: served, header: X-Wiki-Version") else { panic!("served") };
    let wikis: Vec<&str> = served.wikis.iter().map(|wiki| wiki.as_str()).collect();
    assert_eq!(wikis, ["testwiki", "commonswiki", "labswiki", "dewiki", "enwiki"]);
    let Kind::Served(served) = kind("kind: served, json: /v, path: /v.php, wikis: {dewiki: de.wikipedia.org}") else {
        panic!("served")
    };
    assert_eq!((served.field, served.path.as_str()), (ServedField::Json("/v".to_owned()), "/v.php"));
    assert_eq!(served.host_headers.values().collect::<Vec<_>>(), ["de.wikipedia.org"]);
    let Kind::Contract(contract) =
        kind("kind: contract, urls: [{wiki: enwiki, path: /}], headers: [Age], expected: {Vary: a, status: 301}")
    else {
        panic!("contract")
    };
    assert_eq!((contract.headers, contract.deadline_ms), (vec!["age".to_owned()], 10_000));
    assert_eq!(contract.expected, [("vary", "a"), ("status", "301")].map(|(n, v)| (n.into(), v.into())).into());
}

#[test]
fn mistakes_in_requests() {
    url(
        "wiki: enwik, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:40: there is no wiki `enwik`
          hint: did you mean `enwiki`?"#]],
    );
    url(
        "expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:33: either `wiki` or `host_header` must say who is asked for
          hint: `wiki: enwiki`, or `host_header: en.wikipedia.org`"#]],
    );
    url(
        "wiki: enwiki, host_header: a.example, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:40: either `wiki` or `host_header` must say who is asked for
          hint: `wiki: enwiki`, or `host_header: en.wikipedia.org`"#]],
    );
    url(
        "host_header: 10.0.0.1, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:47: `10.0.0.1` is not a name to ask for
          hint: as in `en.wikipedia.org`, without a port; where hosts listen is said in the section `web`"#]],
    );
    url(
        "host_header: 'a.example:80', expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:47: `a.example:80` is not a name to ask for
          hint: as in `en.wikipedia.org`, without a port; where hosts listen is said in the section `web`"#]],
    );
    url(
        "host_header: \"a\\r\\nb\", expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:47: `a\u{d}\u{a}b` is not a name to ask for
          hint: as in `en.wikipedia.org`, without a port; where hosts listen is said in the section `web`"#]],
    );
    url(
        "wiki: enwiki, path: wiki/x, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:54: `wiki/x` is not the path of a URL
          hint: it begins with `/`; a space is written `%20`, and what follows a `#` is not sent"#]],
    );
    url(
        "wiki: enwiki, path: '/a b', expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:54: `/a b` is not the path of a URL
          hint: it begins with `/`; a space is written `%20`, and what follows a `#` is not sent"#]],
    );
}

#[test]
fn mistakes_in_names_and_headers_of_requests() {
    url(
        "wiki: enwiki, path: \"/a\\r\\nX: y\", expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:54: `/a\u{d}\u{a}X: y` is not the path of a URL
          hint: it begins with `/`; a space is written `%20`, and what follows a `#` is not sent"#]],
    );
    url(
        "wiki: enwiki, method: PSOT, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:56: `PSOT` is not a method
          hint: did you mean `POST`?"#]],
    );
    url(
        "wiki: enwiki, headers: {'a b': c, Host: d, e: \"f\\ng\"}, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:58: `a b` is not the name of a header
        groups.yaml:23:68: `Host` is never set by hand
          hint: who is asked for is said by `wiki` or `host_header`
        groups.yaml:23:80: `f\u{a}g` is not the value of a header"#]],
    );
    url(
        "wiki: enwiki, on: mw2004.codfw.wmnet, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:52: there is no host `mw2004.codfw.wmnet`
          hint: did you mean `mw2001.codfw.wmnet`?"#]],
    );
    url(
        "wiki: enwiki, jar: 'a b', redirects_max: 21, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:53: a jar's name is 1 to 32 letters and digits, as in `a`
        groups.yaml:23:75: `redirects_max` is at most 20"#]],
    );
    url(
        "wiki: enwiki, body: a, json: b, expect: {status: 200}",
        expect!["groups.yaml:23:63: `body` and `json` cannot stand together: one body is sent"],
    );
    url(
        "wiki: enwiki, json: {a: no}, expect: {status: 200}",
        expect![[r#"
        groups.yaml:23:58: `no` without quotes is not a text in YAML
          hint: write "no", in quotes"#]],
    );
}

#[test]
fn mistakes_in_what_is_expected() {
    url("wiki: enwiki", expect!["groups.yaml:23:33: `expect` is missing in a step"]);
    url(
        "wiki: enwiki, expect: {}",
        expect![[r#"
        groups.yaml:23:56: nothing is expected here, so that every answer would be good
          hint: as in `status: 200`"#]],
    );
    url(
        "wiki: enwiki, expect: {status: [], body_contains: ''}",
        expect![[r#"
        groups.yaml:23:65: at least one must stand here
        groups.yaml:23:84: every body contains nothing; a text must stand here"#]],
    );
    url(
        "wiki: enwiki, expect: {status: 2000, body_regex: '(?=x)'}",
        expect![[r#"
        groups.yaml:23:65: 2000 is not a status, which is from 100 to 599
        groups.yaml:23:83: `(?=x)` is not a regular expression: look-around, including look-ahead and look-behind, is not supported"#]],
    );
    url(
        "wiki: enwiki, expect: {headers: {'x y': z}, headers_regex: {a: '['}, headers_absent: ['']}",
        expect![[r#"
        groups.yaml:23:67: `x y` is not the name of a header
        groups.yaml:23:97: `[` is not a regular expression: unclosed character class
        groups.yaml:23:120: `` is not the name of a header"#]],
    );
    url(
        "wiki: enwiki, expect: {json: {query: 1, /~2: 2}}",
        expect![[r#"
        groups.yaml:23:64: `query` is not a JSON pointer
          hint: as in `/query/general/generator`, with `~1` for a `/` in a name and `~0` for a `~`
        groups.yaml:23:74: `/~2` is not a JSON pointer
          hint: as in `/query/general/generator`, with `~1` for a `/` in a name and `~0` for a `~`"#]],
    );
    url(
        "wiki: enwiki, expect: {cookies: {session: clear, 'a;b': set}, time: 0s}",
        expect![[r#"
        groups.yaml:23:76: `clear` is not known here
          hint: one of set, absent, cleared
        groups.yaml:23:83: `a;b` is not the name of a cookie
        groups.yaml:23:102: no answer takes no time; it is at least 1ms"#]],
    );
    url(
        "wiki: enwiki, expect: {body_regex: '(\\w{9999}){9999}'}",
        expect![[
            r#"groups.yaml:23:69: `(\w{9999}){9999}` is not a regular expression: Compiled regex exceeds size limit of 1048576 bytes."#
        ]],
    );
    url(
        "wiki: enwiki, expect: {statuss: 200}",
        expect![[r#"
        groups.yaml:23:56: nothing is expected here, so that every answer would be good
          hint: as in `status: 200`
        groups.yaml:23:57: `statuss` is not a key of `expect`
          hint: did you mean `status`?"#]],
    );
}

#[test]
fn mistakes_in_gates() {
    check(
        "kind: probe",
        expect![[r#"
        groups.yaml:23:5: a gate of kind probe asks by one of `url`, `journeys` and `httpbb`
          hint: `url` for one request, `journeys` for several, `httpbb` for a file of tests"#]],
    );
    check(
        "kind: probe, journeys: []",
        expect!["groups.yaml:23:38: no journey stands here, so that every host would be good"],
    );
    check("kind: probe, journeys: [{name: a, steps: []}]", expect!["groups.yaml:23:56: a journey has 1 to 50 steps"]);
    check(
        "kind: probe, httpbb: tests.yaml, needed: 3, tries: 2",
        expect!["groups.yaml:23:66: `needed` 3 is more than `tries` 2: it could never pass"],
    );
    check(
        "kind: probe, httpbb: tests.yaml, needed: 0, tries: 101, deadline: 6m",
        expect![[r#"
        groups.yaml:23:56: it is from 1 to 100
        groups.yaml:23:66: it is from 1 to 100
        groups.yaml:23:81: `deadline` is from 1ms to 300s"#]],
    );
    check("kind: probe, httpbb: gone.yaml", expect!["groups.yaml:23:36: gone.yaml cannot be read: entity not found"]);
    check(
        "kind: served",
        expect![[r#"
        groups.yaml:23:5: either `header` or `json` says where the version stands
          hint: `header: X-Wiki-Version`, or `json: /query/general/generator`"#]],
    );
}

#[test]
fn mistakes_in_served_versions_and_contracts() {
    check(
        "kind: served, header: a, json: /b",
        expect![[r#"
        groups.yaml:23:5: either `header` or `json` says where the version stands
          hint: `header: X-Wiki-Version`, or `json: /query/general/generator`"#]],
    );
    check(
        "kind: served, header: a, wikis: [], path: x",
        expect![[r#"
        groups.yaml:23:47: at least one wiki must stand here
        groups.yaml:23:57: `x` is not the path of a URL
          hint: it begins with `/`; a space is written `%20`, and what follows a `#` is not sent"#]],
    );
    check(
        "kind: served, header: a, wikis: {enwiki: '::1', dewik: a}",
        expect![[r#"
        groups.yaml:23:56: `::1` is not a name to ask for
          hint: as in `en.wikipedia.org`, without a port; where hosts listen is said in the section `web`
        groups.yaml:23:63: there is no wiki `dewik`
          hint: did you mean `dewiki`?"#]],
    );
    check(
        "kind: served, json: version",
        expect![[r#"
        groups.yaml:23:35: `version` is not a JSON pointer
          hint: as in `/query/general/generator`, with `~1` for a `/` in a name and `~0` for a `~`"#]],
    );
    check("kind: contract", expect!["groups.yaml:23:5: `urls` is missing in a gate of kind contract"]);
    check("kind: contract, urls: []", expect!["groups.yaml:23:37: at least one URL must stand here"]);
    check(
        "kind: contract, urls: [{wiki: enwiki}], headers: ['a b'], expected: {age: 1}",
        expect![[r#"
        groups.yaml:23:38: `path` is missing in a URL
        groups.yaml:23:65: `a b` is not the name of a header
        groups.yaml:23:89: `1` without quotes is not a text in YAML
          hint: write "1", in quotes"#]],
    );
}

#[test]
fn mistakes_in_files_of_httpbb() {
    httpbb("", expect!["tests.yaml:1:1: an httpbb file must be a mapping of names to values"]);
    httpbb("- a\n", expect!["tests.yaml:1:1: an httpbb file must be a mapping of names to values"]);
    httpbb(
        "en.wikipedia.org:\n- {path: /, assert_status: 200}\n",
        expect![[r#"
        tests.yaml:1:1: `en.wikipedia.org` is not the URL of a host
          hint: as in `https://en.wikipedia.org`"#]],
    );
    httpbb(
        "https://10.0.0.1:\n- {path: /, assert_status: 200}\n",
        expect![[r#"
        tests.yaml:1:1: `10.0.0.1` is not a name to ask for
          hint: as in `en.wikipedia.org`, without a port; where hosts listen is said in the section `web`"#]],
    );
    httpbb(
        "https://a.example:\n  path: /\n",
        expect![[r#"
        tests.yaml:2:3: the cases of a host must be a list
          hint: a list is one `- item` a line, or `[a, b]`"#]],
    );
    httpbb(
        "https://a.example:\n- path: /\n- {assert_status: 200}\n",
        expect![[r#"
        tests.yaml:2:3: nothing is expected here, so that every answer would be good
          hint: as in `status: 200`
        tests.yaml:3:3: `path` is missing in a case"#]],
    );
    httpbb(
        "https://a.example:\n- path: x\n  assert_body_regexp: a\n  assert_body_regex: '['\n",
        expect![[r#"
        tests.yaml:2:9: `x` is not the path of a URL
          hint: it begins with `/`; a space is written `%20`, and what follows a `#` is not sent
        tests.yaml:3:3: `assert_body_regexp` is not a key of a case
          hint: did you mean `assert_body_regex`?
        tests.yaml:4:22: `[` is not a regular expression: unclosed character class"#]],
    );
}
