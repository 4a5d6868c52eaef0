//! Saved plans of playbooks: what of them is kept to, and when that is seen.

use super::{Desk, apply, plan, refused};
use crate::site::{Site, V9, V11};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_playbook_is_kept_to_with_its_first_plan() {
    let (site, desk) = (Site::small("soak: {wave: 0s, group: 0s, watch: 0s}\n"), Desk::new());
    let text = "name: two\nvariables:\n  version: {type: version}\nstages:\n  - name: ready\n    \
        check: {versions: [$version]}\n  - name: first\n    \
        promote: {group: group0, version: $version, message: one}\n  - name: second\n    \
        promote: {group: group1, version: $version, message: two}\n";
    site.write("playbooks/two.yaml", text);
    let version = format!("version={V11}");
    let run = ["run", "two", "--var", version.as_str()];
    site.run(&[&["plan", "--detailed-exitcode"], &run[..]].concat()).ends(9);
    plan(&site, &desk, "a.plan", &run).says("group1: 3 wikis");
    let shown = site.run(&["plan", "show", &desk.file("a.plan")]).ends(0);
    shown
        .says("stage second: 1 command")
        .says("what is kept to of its stages")
        .says("group0: 2 wikis")
        .hides("group1: 3 wikis");
    site.write("playbooks/two.yaml", &text.replace("message: two", "message: three"));
    refused(&site, &desk, "a.plan", &["the playbook two was changed"]);
    site.write("playbooks/two.yaml", text);
    site.run(&["apply", &desk.file("a.plan")]).ends(4).says("not confirmed");
    assert_eq!(site.counts(), ".10: 7");
    apply(&site, &desk, "a.plan").ends(0).says("p1: two is done");
    assert_eq!(site.counts(), ".10: 2, .11: 5");
    refused(&site, &desk, "a.plan", &["r2 was undertaken since: promote"]);
}

#[test]
fn a_playbook_can_be_planned_for_another_hour_and_not_applied_in_this_one() {
    let (site, desk) = (Site::small(""), Desk::new());
    site.write("playbooks/frozen.yaml", &format!(
        "name: frozen\nfreeze: [{{timezone: Europe/Berlin, from: \"2000-01-01\", to: \"2199-01-01\", reason: for ever}}]\n\
         stages: [{{name: a, promote: {{group: group0, version: \"{V11}\", message: m}}}}]\n"
    ));
    plan(&site, &desk, "a.plan", &["run", "frozen"]).says("now it would be refused").says("for ever");
    let before = site.digest();
    apply(&site, &desk, "a.plan").ends(10).says("for ever");
    assert_eq!(site.digest(), before);
    plan(&site, &desk, "b.plan", &["run", "frozen", "--override-freeze", "the fix can't wait"]);
    apply(&site, &desk, "b.plan").ends(0);
}

#[test]
fn what_changes_while_a_playbook_is_on_its_way_is_seen_at_its_first_plan() {
    let (site, desk) = (Site::small("soak: {wave: 0s, group: 0s, watch: 0s}\n"), Desk::new());
    // Somebody pins a wiki between the beginning and the promotion, which would otherwise step around it.
    let (program, at) = (env!("CARGO_BIN_EXE_pointsman"), site.path("").display().to_string());
    let pin = format!("{program} -C {at} pin enwiki {V9} --reason x --yes");
    site.write("pin.sh", &format!("#!/bin/sh\nHOME={} exec {pin}\n", desk.0.path().display()));
    fs::set_permissions(site.path("pin.sh"), PermissionsExt::from_mode(0o755)).expect("chmod");
    let text = format!(
        "name: disturbed\nstages:\n  - {{name: pin, notify: {{argv: [{at}pin.sh]}}}}\n  \
         - {{name: first, promote: {{group: group0, version: {V11}, message: one}}}}\n"
    );
    site.write("playbooks/disturbed.yaml", &text);
    plan(&site, &desk, "a.plan", &["run", "disturbed"]);
    apply(&site, &desk, "a.plan").ends(6).says("r2 was undertaken since: pin").says("p1: paused");
    assert_eq!(site.counts(), ".9: 1, .10: 6", "nothing was promoted");
    site.run(&["resume"]).ends(0).says("p1: disturbed is done");
    assert_eq!(site.counts(), ".9: 1, .10: 4, .11: 2", "by a person's will it goes on as things are");
}
