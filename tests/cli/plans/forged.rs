//! Saved plans that somebody changed: noticed where the digest is as it was, and compared with everything where it is not.

use super::{Desk, PROMOTE, apply, plan, refused};
use crate::site::Site;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_plan_that_was_touched_is_not_read() {
    let (site, desk) = (Site::small(""), Desk::new());
    plan(&site, &desk, "a.plan", PROMOTE);
    let (text, before) = (desk.text("a.plan"), site.digest());
    let group = "\"group0\",";
    assert!(text.contains(group));
    for (changed, words) in [
        (text.replacen(group, "\"group1\",", 1), "it was changed after it was saved"),
        (text.replacen("\"format\": 1", "\"format\": 9", 1), "the format 9"),
        (text.replacen("{\n", "{\n  \"more\": 1,\n", 1), "unknown field"),
        (text.replacen("  \"format\"", " \"format\"", 1), "byte by byte"),
        (text[..text.len() / 2].to_owned(), "not a plan that pointsman saved"),
    ] {
        assert_ne!(changed, text, "{words}");
        fs::write(desk.path("b.plan"), changed).expect("written");
        apply(&site, &desk, "b.plan").ends(2).says(words);
        site.run(&["plan", "show", &desk.file("b.plan")]).ends(2).says(words);
    }
    fs::write(desk.path("b.plan"), &text).expect("written");
    fs::set_permissions(desk.path("b.plan"), PermissionsExt::from_mode(0o666)).expect("chmod");
    apply(&site, &desk, "b.plan").ends(2).says("writable by everybody");
    apply(&site, &desk, "none.plan").ends(2).says("none.plan");
    fs::create_dir(desk.path("open")).expect("made");
    fs::set_permissions(desk.path("open"), PermissionsExt::from_mode(0o777)).expect("chmod");
    plan(&site, &desk, "open/a.plan", PROMOTE).says("warning: as it lies there it will not be applied");
    assert_eq!(site.digest(), before);
}

/// A changed file under the digest that it would have: who can write a file can do that.
fn sealed(text: &str) -> String {
    let (head, saved) = text.split_once("  \"saved\": ").expect("it has that");
    let saved = saved.strip_suffix("\n}\n").expect("it ends so");
    let compact: String = saved.lines().map(|line| line.trim().replacen("\": ", "\":", 1)).collect();
    let (before, rest) = head.split_once("\"digest\": \"").expect("it has one");
    format!("{before}\"digest\": \"{}{}  \"saved\": {saved}\n}}\n", blake3::hash(compact.as_bytes()), &rest[64..])
}

#[test]
fn a_forged_plan_is_only_compared() {
    let (site, desk) = (Site::small(""), Desk::new());
    plan(&site, &desk, "a.plan", PROMOTE);
    let text = desk.text("a.plan");
    assert_eq!(sealed(&text), text, "the digest is of the compact form");
    let forged = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let new = sealed(&text.replacen(from, to, 1));
        fs::write(desk.path("b.plan"), new).expect("written");
    };
    // The command is another one than the plan, the plan than the command, what is shown than both.
    forged("\"group0\",", "\"group1\",");
    refused(&site, &desk, "b.plan", &["what is to be served or held is another for 3 hosts"]);
    forged("\"testwiki\": \"1.27.0-wmf.11\"", "\"testwiki\": \"1.27.0-wmf.10\"");
    refused(&site, &desk, "b.plan", &["the plan that is made now is another one"]);
    forged("\"overruled\": {}", "\"overruled\": {\n          \"x\": \"y\"\n        }");
    refused(&site, &desk, "b.plan", &["does not follow from it"]);
    for more in ["--take-over", "--yes", "--dry-run", "--json"] {
        forged("\"--message=train of the week\"", &format!("\"--message=train of the week\",\n      \"{more}\""));
        apply(&site, &desk, "b.plan").ends(2).says("none that pointsman saves");
    }
    forged("\"promote\",\n      \"group0\",", "\"unlock\",\n      \"group0\",");
    apply(&site, &desk, "b.plan").ends(2).says("none that pointsman saves");
    assert_eq!(site.counts(), ".10: 7");
}
