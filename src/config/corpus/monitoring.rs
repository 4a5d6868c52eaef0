//! Gates on numbers and counts of monitoring systems, with one thing wrong in each.

use super::{GOOD, said};
use expect_test::{Expect, expect};

const COUNTS: &str = "kind: counts, exposure: {prometheus: 'http://p:9090', query: 'r[$window]'}, events: {prometheus: 'http://p:9090', query: e}";

fn gate(body: &str, want: Expect) {
    want.assert_eq(&said(&format!("{GOOD}gates:\n  - {{name: g, {body}}}\n")));
}

#[test]
fn good_gates_are_good() {
    let prometheus = "source: {prometheus: 'http://p:9090/', query: 'x{g=\"$group\"}'}";
    gate(&format!("kind: threshold, {prometheus}, success: '< 5', failure: '>= 10.5'"), expect!["good"]);
    let graphite = "source: {graphite: 'https://g', target: 'reqs.5xx'}";
    gate(&format!("kind: threshold, {graphite}, percent_above: {{warn: 250, crit: 1000}}"), expect!["good"]);
    gate("kind: ranks, source: {program: [/usr/bin/latency]}, floor: 0.5", expect!["good"]);
    gate(&format!("{COUNTS}, max_rate: 0.01, sequential: true"), expect!["good"]);
}

#[test]
fn conditions_and_sources_are_checked() {
    let from = "kind: threshold, source: {prometheus: 'http://p:9090', query: up}";
    gate(
        from,
        expect![[r#"
        groups.yaml:23:5: a gate without a condition decides nothing
          hint: say `success: "< 5"`, `failure: "> 10"` or `percent_above: {warn: 250, crit: 1000}`"#]],
    );
    gate(
        &format!("{from}, success: 'about 5'"),
        expect![[r#"
        groups.yaml:23:91: `about 5` is not a condition
          hint: `< 5`, `<= 5`, `> 5` or `>= 5`, in quotes"#]],
    );
    gate(
        &format!("{from}, percent_above: {{warn: 1000, crit: 250}}"),
        expect![[r#"
        groups.yaml:23:97: `crit` 250 is below `warn` 1000
          hint: when small numbers are bad, say `under: true`"#]],
    );
    gate(
        "kind: threshold, source: {prometheus: 'http://a:b@p', query: up}, success: '< 5'",
        expect!["groups.yaml:23:53: a name or a password does not belong into the URL of a server"],
    );
    gate(
        "kind: threshold, source: {prometheus: 'file:///etc', query: up}, success: '< 5'",
        expect![[r#"
        groups.yaml:23:53: `file:///etc` is not the URL of a server: only http and https are spoken
          hint: as in `http://prometheus:9090`"#]],
    );
    gate(
        "kind: threshold, source: {prometheus: 'http://p', query: 'x[$windw]'}, success: '< 5'",
        expect![[r#"
        groups.yaml:23:72: `$windw` is not a placeholder
          hint: these are: $window, $group, $version"#]],
    );
    gate(
        "kind: threshold, source: {prometheus: 'http://p', target: x}, success: '< 5'",
        expect!["groups.yaml:23:40: `target` does not go with `prometheus`"],
    );
    gate(
        "kind: ranks, source: {graphite: 'http://g', target: x}, floor: 0",
        expect![[r#"
        groups.yaml:23:36: `host_node` is missing: ranks needs one number a host
          hint: `host_node: 1` when series are named like `servers.mw2020_codfw_wmnet.loadavg`"#]],
    );
}

#[test]
fn limits_and_expressions_of_counts_are_checked() {
    gate(
        &format!("{COUNTS}, min_ratio: 2"),
        expect![[r#"
            groups.yaml:23:151: `min_ratio` 2 is above `max_ratio` 1.5
              hint: it passes below `max_ratio` and fails above `min_ratio`; between them evidence is too thin"#]],
    );
    gate(
        &COUNTS.replacen("query: ", "alive: 'sum(up)', query: ", 1),
        expect![[r#"
        groups.yaml:23:76: `sum(up)` is not a plain selector
          hint: as in `up{job="mediawiki"}`: only of a selector is it known when its samples were taken"#]],
    );
    gate(&COUNTS.replacen("query: ", "alive: 'up{job=\"a\"}', query: ", 1), expect!["good"]);
    gate(
        &format!("{COUNTS}, alpha: 1.5"),
        expect!["groups.yaml:23:147: `alpha` is the chance of a false alarm, above 0 and at most 0.5, not 1.5"],
    );
    gate(
        &format!("{COUNTS}, logs: {{file: /var/log/x, events: y}}"),
        expect![[r#"
        groups.yaml:23:5: counts come from one place
          hint: `events` and `exposure`, each a source, or `logs`, or `search`"#]],
    );
    gate(
        "kind: counts, logs: {file: ../x, events: '('}",
        expect![[r#"
        groups.yaml:23:42: `../x` is not the absolute path of a file on hosts
        groups.yaml:23:56: `(` is not a regular expression: unclosed group"#]],
    );
    gate(
        "kind: counts, logs: {file: /var/log/x, events: oops, wiki: z}",
        expect![[r#"
            groups.yaml:23:74: the wiki is the first group of this expression, and it has none
              hint: as in `" (\w+wiki) "`"#]],
    );
}
