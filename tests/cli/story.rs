//! The version map of the incident, as it should have gone.

use crate::site::{Site, V9, V11};

#[track_caller]
fn pins_hold(site: &Site) {
    for host in site.hosts() {
        let map = site.map(host);
        assert_eq!((map["labswiki"].as_str(), map["labtestwiki"].as_str()), (V9, V9), "{host}");
    }
}

#[test]
fn the_incident_with_its_pins_kept() {
    let site = Site::incident();
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "the trees of January 2016"]).ends(0);
    assert_eq!(site.counts(), ".9: 2, .10: 892");

    site.promote("group0", V11).ends(0);
    assert_eq!(site.counts(), ".9: 2, .10: 887, .11: 5");
    site.promote("group1", V11).ends(0).says("labswiki");
    assert_eq!(site.counts(), ".9: 2, .10: 295, .11: 597");
    pins_hold(&site);

    site.run(&["rollback", "group1", "--yes", "-m", "5xx"]).ends(0);
    assert_eq!(site.counts(), ".9: 2, .10: 887, .11: 5");
    pins_hold(&site);

    site.promote("group1", V11).ends(10).says("pointsman release");
    site.run(&["release"]).ends(0);
    site.promote("group1", V11).ends(10).says("--again --reason");
    let again = ["promote", "group1", V11, "--yes", "-m", "train", "--again", "--reason", "T124224 is fixed"];
    site.run(&again).ends(0);
    let history = site.run(&["history", "-n", "1"]).ends(0).says("promote group1 to 1.27.0-wmf.11").hides("group2");
    assert!(history.stdout.contains("592 wikis"), "{history}");
    assert_eq!(site.counts(), ".9: 2, .10: 295, .11: 597");

    // The reason was given once; the train goes on.
    site.promote("group2", V11).ends(0);
    assert_eq!(site.counts(), ".9: 2, .11: 892");

    let back = site.run(&["rollback", "--yes", "-m", "sessions are lost"]).ends(0);
    for group in ["group0: 5 wikis", "group1: 592 wikis", "group2: 295 wikis"] {
        assert!(back.stdout.contains(group), "{group}\n{back}");
    }
    assert_eq!(site.counts(), ".9: 2, .10: 892");
    pins_hold(&site);
    site.run(&["rollback", "--yes"]).ends(0).says("nothing to do");
    assert_eq!(site.counts(), ".9: 2, .10: 892");
}
