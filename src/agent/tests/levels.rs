//! What each level of a look finds, and what voids what was known.

use super::bench::{Controller, Tree, build, component, disk, memory, on_both, readiness, tree};
use crate::agent::Agent;
use crate::agent::hostfs::{Ended, HostFs, Place};
use crate::agent::memfs::{Hook, MemFs};
use crate::model::component::{ArtefactRule, Want};
use crate::model::digest::Digest;
use crate::model::protocol::{ArtefactCount, Command, Level, Observation, Peek, Readiness, Refusal, Reply};
use std::fs;
use std::sync::Arc;

const LEVELS: [Level; 3] = [Level::L1, Level::L2, Level::L3];

fn prepared<F: HostFs>(agent: &mut Agent<F>, tree: &Tree) -> Controller {
    let mut controller = Controller::new(1);
    controller.observe(agent, &[]).expect("obeyed");
    controller.prepare(agent, tree, tree.want(), &[]).expect("prepared");
    controller
}

/// A tree that was looked at when it was old enough for its stats to be believed.
pub(super) fn settled(agent: &mut Agent<MemFs>, tree: &Tree) -> Controller {
    agent.fs.stop_clock(Some(1_000_000));
    let mut controller = prepared(agent, tree);
    agent.fs.stop_clock(Some(2_000_000));
    let seen = observe(agent, &mut controller, tree, Level::L2);
    assert!(seen.readiness[0].1.is_ready());
    controller
}

fn observe<F: HostFs>(agent: &mut Agent<F>, by: &mut Controller, tree: &Tree, level: Level) -> Observation {
    let peek = Peek::new(vec![tree.want()], level, 1);
    match agent.command(&Command::Observe { stamp: by.stamp(), adopt: false, peek }) {
        Reply::Observed(seen) => *seen,
        other => panic!("{other:?}"),
    }
}

/// By how thorough a look the tree is ready; `None`: it is not.
fn proven<F: HostFs>(agent: &Agent<F>, tree: &Tree, level: Level) -> Option<Level> {
    match readiness(agent, &tree.want(), level) {
        Readiness::Ready { level, .. } => Some(level),
        _ => None,
    }
}

fn index_php() -> Place {
    Place::root("php-1.27.0-wmf.10/index.php")
}

#[test]
fn a_change_that_kept_length_and_mtime_is_found_through_ctime() {
    let (kept, host) = disk();
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(host));
    let mut controller = prepared(&mut agent, &tree);
    observe(&mut agent, &mut controller, &tree, Level::L2);
    for level in LEVELS {
        assert_eq!(proven(&agent, &tree, level), Some(level));
    }
    let path = kept.path().join("srv/mediawiki/php-1.27.0-wmf.10/index.php");
    let before = fs::metadata(&path).expect("there").modified().expect("known");
    // In place, so that the inode stays too.
    let file = fs::OpenOptions::new().write(true).open(&path).expect("there");
    std::io::Write::write_all(&mut &file, b"<?php SHARED").expect("written");
    file.set_modified(before).expect("set");
    assert_eq!(fs::metadata(&path).expect("there").modified().expect("known"), before);
    for level in LEVELS {
        let damaged = Readiness::Damaged { missing: 0, changed: 1, extra: 0, first: "index.php".to_owned() };
        assert_eq!(readiness(&agent, &tree.want(), level), damaged, "{level}");
    }
}

#[test]
fn a_change_in_the_tick_in_which_it_was_proven_is_found_by_l2_and_by_a_switch() {
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    agent.fs.stop_clock(Some(1_000_000));
    let mut controller = prepared(&mut agent, &tree);
    let before = agent.fs.lstat(&index_php()).expect("asked");
    agent.fs.overwrite(&index_php(), b"<?php SHARED").expect("written");
    assert_eq!(agent.fs.lstat(&index_php()).expect("asked"), before, "nothing is seen of it");
    agent.fs.stop_clock(Some(2_000_000));
    assert_eq!(proven(&agent, &tree, Level::L1), Some(Level::L1), "a stat alone cannot tell");
    assert_eq!(proven(&agent, &tree, Level::L2), None);
    let refused = controller.switch(&mut agent, &super::bench::map("1.27.0-wmf.10"), &[tree.want()]);
    assert!(matches!(refused, Err(Refusal::NotReady(_))), "{refused:?}");
    let repaired = controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("prepared");
    assert!(repaired.1 > 0, "it is not taken for ready");
    assert_eq!(proven(&agent, &tree, Level::L3), Some(Level::L3));
}

/// A file whose bytes changed though nothing of its stat did: a disk that rots.
fn rotten(files: usize) -> (Tree, Agent<MemFs>) {
    let names: Vec<String> = (0..files).map(|n| format!("file{n}")).collect();
    let named: Vec<(&str, &str, bool)> = names.iter().map(|name| (name.as_str(), name.as_str(), false)).collect();
    let (tree, mut agent) = (component("php-1.27.0-wmf.10", &named), Agent::new(memory()));
    settled(&mut agent, &tree);
    agent.fs.stop_clock(Some(1_000_000));
    agent.fs.overwrite(&Place::root("php-1.27.0-wmf.10/file7"), b"FILE7").expect("written");
    (tree, agent)
}

#[test]
fn a_sample_finds_what_no_stat_shows_and_is_chosen_by_the_nonce() {
    let (tree, agent) = rotten(400);
    let finds = |nonce: u64| {
        let seen = agent.peek(&Peek::new(vec![tree.want()], Level::L2, nonce)).expect("it answers");
        !seen.readiness[0].1.is_ready()
    };
    let found: Vec<bool> = (0..100).map(finds).collect();
    assert_eq!(found, (0..100).map(finds).collect::<Vec<_>>(), "the nonce alone decides");
    let times = found.iter().filter(|found| **found).count();
    assert!((1..60).contains(&times), "{times} of 100: a sample is neither nothing nor everything");
    assert_eq!(proven(&agent, &tree, Level::L1), Some(Level::L1), "and the tree is old enough by its observe");
    assert_eq!(proven(&agent, &tree, Level::L3), None);
}

#[test]
fn what_an_observe_finds_under_an_unchanged_stat_is_repaired() {
    let (tree, mut agent) = rotten(40);
    let mut controller = Controller::new(2);
    let seen = observe(&mut agent, &mut controller, &tree, Level::L3);
    let damaged = Readiness::Damaged { missing: 0, changed: 1, extra: 0, first: "file7".to_owned() };
    assert_eq!(seen.readiness[0].1, damaged);
    assert_eq!(readiness(&agent, &tree.want(), Level::L1), damaged, "its stats are not believed any more");
    controller.observe(&mut agent, &[]).expect("obeyed");
    controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("prepared");
    for level in LEVELS {
        assert_eq!(proven(&agent, &tree, level), Some(level));
    }
}

#[test]
fn an_observe_that_hashes_no_young_files_calls_none_old() {
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    agent.fs.stop_clock(Some(1_000_000));
    let mut controller = prepared(&mut agent, &tree);
    agent.fs.overwrite(&index_php(), b"<?php SHARED").expect("nothing is seen of it");
    agent.fs.stop_clock(Some(2_000_000));
    let touched = Place::root("php-1.27.0-wmf.10/includes/copy.php");
    agent.fs.write(&touched, b"<?php // 1.27.0-wmf.10").expect("the same bytes");
    assert!(observe(&mut agent, &mut controller, &tree, Level::L1).readiness[0].1.is_ready());
    let refused = controller.switch(&mut agent, &super::bench::map("1.27.0-wmf.10"), &[tree.want()]);
    assert!(matches!(refused, Err(Refusal::NotReady(_))), "{refused:?}");
}

#[test]
fn a_tree_that_is_old_is_known_again_after_one_look_of_another_boot() {
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    let mut controller = settled(&mut agent, &tree);
    agent.fs.reboot();
    observe(&mut agent, &mut controller, &tree, Level::L1);
    assert_eq!(proven(&agent, &tree, Level::L1), Some(Level::L1));
}

#[test]
fn only_a_look_that_nobody_waits_for_stands_back_and_never_who_asks() {
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    let mut controller = prepared(&mut agent, &tree);
    let stood_back = Arc::clone(&agent.fs.host.stood_back);
    let threads = || std::mem::take(&mut *stood_back.lock().expect("nobody panicked"));
    proven(&agent, &tree, Level::L2);
    assert!(threads().is_empty());
    proven(&agent, &tree, Level::L3);
    let behind = threads();
    assert!(!behind.is_empty() && !behind.contains(&std::thread::current().id()), "{behind:?}");
    observe(&mut agent, &mut controller, &tree, Level::L3);
    assert!(threads().is_empty(), "a command is waited for");
}

on_both! {
    fn an_index_of_an_earlier_state_proves_nothing_of_this_one(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = prepared(agent, &tree);
        let places = ["index", "seal"].map(|name| Place::state(format!("{name}/php-1.27.0-wmf.10")));
        let earlier = places.each_ref().map(|at| agent.fs.read(at, 1 << 20).expect("there"));
        controller.prepare(agent, &tree, tree.want_built(), &build()).expect("built");
        for (at, bytes) in places.iter().zip(&earlier) {
            agent.fs.write(at, bytes).expect("written");
        }
        for level in LEVELS {
            let found = readiness(agent, &tree.want_built(), level);
            assert!(matches!(found, Readiness::Unproven { .. }), "{level}: {found:?}");
        }
    }
}

on_both! {
    fn a_state_without_a_seal_is_as_good_and_gets_one(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = prepared(agent, &tree);
        let seal = Place::state("seal/php-1.27.0-wmf.10");
        let whole = agent.fs.read(&seal, 1 << 20).expect("there");
        for damaged in [None, Some(&b""[..]), Some(b"{}"), Some(&whole[..whole.len() / 2])] {
            match damaged {
                None => agent.fs.remove_file(&seal).expect("removed"),
                Some(bytes) => agent.fs.write(&seal, bytes).expect("written"),
            }
            for level in LEVELS {
                assert_eq!(proven(agent, &tree, level), Some(level), "{damaged:?}");
            }
            observe(agent, &mut controller, &tree, Level::L2);
            assert!(agent.fs.read(&seal, 1 << 20).is_ok_and(|bytes| bytes.len() > 100), "{damaged:?}");
        }
    }
}

on_both! {
    fn another_incarnation_voids_what_stats_proved(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = prepared(agent, &tree);
        agent.fs.remove_file(&Place::state("incarnation")).expect("removed");
        for level in LEVELS {
            assert_eq!(proven(agent, &tree, level), Some(Level::L3), "all is hashed");
        }
        observe(agent, &mut controller, &tree, Level::L1);
        assert_eq!(proven(agent, &tree, Level::L1), Some(Level::L1));
    }
}

on_both! {
    fn a_look_at_everything_believes_no_seal(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &tree, tree.want_built(), &build()).expect("prepared");
        let at = Place::state("seal/php-1.27.0-wmf.10");
        let text = String::from_utf8(agent.fs.read(&at, 1 << 20).expect("there")).expect("text");
        let (before, id) = text.split_once("\"prefixes\":[\"i18n\"],\"id\":\"").expect("what was built from");
        let forged = format!("{before}\"prefixes\":[\"i18n\"],\"id\":\"{}{}", Digest::of(b"other"), &id[64..]);
        agent.fs.write(&at, forged.as_bytes()).expect("written");
        let stale = Readiness::ArtefactsStale { path: "cache/l10n".to_owned() };
        assert_eq!(readiness(agent, &tree.want_built(), Level::L1), stale);
        assert!(readiness(agent, &tree.want_built(), Level::L3).is_ready());
    }
}

#[test]
fn an_observe_that_finds_nothing_new_writes_no_index() {
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    let mut controller = settled(&mut agent, &tree);
    let index = |agent: &Agent<MemFs>| agent.fs.lstat(&Place::state("index/php-1.27.0-wmf.10")).expect("asked");
    let before = index(&agent);
    agent.fs.stop_clock(Some(3_000_000));
    for level in LEVELS {
        observe(&mut agent, &mut controller, &tree, level);
        assert_eq!(index(&agent), before, "{level}");
        assert_eq!(proven(&agent, &tree, Level::L1), Some(Level::L1), "{level}");
    }
}

#[test]
fn damage_of_one_artefact_is_not_said_of_another() {
    let mut host = memory();
    host.hook = Some(Hook(Arc::new(|fs, program| -> std::io::Result<Ended> {
        for path in ["cache/l10n/en.cdb", "cache/skins/en.css"] {
            fs.put(&program.directory.join(path), b"built")?;
        }
        Ok(Ended { success: true, how: "exit code 0".into(), output: String::new() })
    })));
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(host));
    let rule = |path: &str| ArtefactRule { path: path.to_owned(), files: 1, inputs: vec!["i18n".to_owned()] };
    let want = Want { artefacts: ["cache/l10n", "cache/skins"].map(rule).to_vec(), ..tree.want() };
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    controller.prepare(&mut agent, &tree, want.clone(), &build()).expect("built");
    agent.fs.remove_file(&Place::root("php-1.27.0-wmf.10/cache/skins/en.css")).expect("removed");
    let missing = ArtefactCount { path: "cache/skins".to_owned(), have: 0, want: 1 };
    for level in LEVELS {
        assert_eq!(readiness(&agent, &want, level), Readiness::ArtefactsMissing(missing.clone()), "{level}");
    }
}

/// Writes another digest of `index.php` into the index, see [`rewrite`], and its bytes too.
fn forge<F: HostFs>(agent: &mut Agent<F>, tree: &Tree, of_it_too: bool) {
    let [was, is] = [b"<?php shared", b"<?php SHARED"].map(|text| Digest::of(text).to_string());
    rewrite(agent, tree, [&was, &is], of_it_too);
    agent.fs.write(&index_php(), b"<?php SHARED").expect("written");
}

/// Writes one thing in place of another into the index, under a seal of its own that is right; `of_it_too`: also into what
/// speaks of the index.
fn rewrite<F: HostFs>(agent: &mut Agent<F>, tree: &Tree, [was, is]: [&str; 2], of_it_too: bool) {
    let at = Place::state("index/php-1.27.0-wmf.10");
    let text = String::from_utf8(agent.fs.read(&at, 1 << 20).expect("there")).expect("text");
    let body = text[..text.len() - 64].replace(was, is);
    assert_ne!(body, text[..text.len() - 64]);
    let seal = Digest::of(body.as_bytes()).to_string();
    agent.fs.write(&at, format!("{body}{seal}").as_bytes()).expect("written");
    if of_it_too {
        let at = Place::state(format!("seal/{}", tree.component));
        let text = String::from_utf8(agent.fs.read(&at, 1 << 20).expect("there")).expect("text");
        agent.fs.write(&at, text.replace(&text_seal(&text), &seal).as_bytes()).expect("written");
    }
}

/// The digest of the index in a seal's text.
fn text_seal(text: &str) -> String {
    text.split_once("\"index\":\"").expect("it has one").1[..64].to_owned()
}

on_both! {
    fn an_edited_index_is_noticed_though_its_own_digest_was_made_right(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = prepared(agent, &tree);
        forge(agent, &tree, false);
        for level in LEVELS {
            assert!(matches!(readiness(agent, &tree.want(), level), Readiness::Unproven { .. }), "{level}");
        }
        controller.prepare(agent, &tree, tree.want(), &[]).expect("prepared");
        forge(agent, &tree, true);
        assert!(matches!(readiness(agent, &tree.want(), Level::L3), Readiness::Unproven { .. }), "ids are computed");
    }
}

on_both! {
    fn an_index_with_a_line_that_says_nothing_proves_nothing(agent) {
        let tree = tree("1.27.0-wmf.10");
        prepared(agent, &tree);
        // Without its digest.
        rewrite(agent, &tree, [&format!("{} ", Digest::of(b"<?php shared")), ""], true);
        for level in LEVELS {
            let found = readiness(agent, &tree.want(), level);
            assert!(matches!(found, Readiness::Unproven { .. }), "{level}: {found:?}");
        }
    }
}

#[test]
fn a_build_that_changes_what_was_sent_is_refused_in_the_same_tick_and_later() {
    for stopped_at in [Some(1_000_000), None] {
        let mut host = memory();
        let made = host.hook.clone().expect("it has one");
        host.hook = Some(Hook(Arc::new(move |fs, program| -> std::io::Result<Ended> {
            let ended = (made.0)(fs, program)?;
            fs.overwrite(&program.directory.join("index.php"), b"<?php SHARED")?;
            Ok(ended)
        })));
        host.stop_clock(stopped_at);
        let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(host));
        let mut controller = Controller::new(1);
        controller.observe(&mut agent, &[]).expect("obeyed");
        let refused = controller.prepare(&mut agent, &tree, tree.want_built(), &build());
        assert!(matches!(&refused, Err(Refusal::BuildFailed(why)) if why.contains("index.php")), "{refused:?}");
    }
}

#[test]
fn threads_find_what_one_alone_would() {
    let (kept, host) = disk();
    let names: Vec<String> = (0..300).map(|n| format!("d{}/file{n}", n % 7)).collect();
    let named: Vec<(&str, &str, bool)> = names.iter().map(|name| (name.as_str(), name.as_str(), false)).collect();
    let (tree, mut agent) = (component("php-1.27.0-wmf.10", &named), Agent::new(host));
    prepared(&mut agent, &tree);
    assert_eq!(proven(&agent, &tree, Level::L3), Some(Level::L3));
    let top = kept.path().join("srv/mediawiki/php-1.27.0-wmf.10");
    for name in ["d3/file3", "d1/file71", "d6/file293"] {
        fs::write(top.join(name), name.to_uppercase()).expect("written");
    }
    for level in LEVELS {
        let damaged = Readiness::Damaged { missing: 0, changed: 3, extra: 0, first: "d1/file71".to_owned() };
        assert_eq!(readiness(&agent, &tree.want(), level), damaged, "{level}");
    }
}

#[test]
fn the_clock_of_a_disk_is_the_one_that_files_have() {
    let (_kept, mut host) = disk();
    host.lock().expect("made");
    for n in 0..50 {
        let at = Place::root(format!("file{n}"));
        let before = host.now_ns().expect("it says");
        host.write(&at, b"x").expect("written");
        let stat = host.lstat(&at).expect("asked").expect("there");
        let after = host.now_ns().expect("it says");
        assert!(before <= stat.ctime_ns && stat.ctime_ns <= after, "{before} {stat:?} {after}");
    }
    assert_eq!(host.list(&Place::root("")).expect("there").len(), 50, "it leaves nothing");
}

#[test]
fn an_agent_that_knows_no_l2_understands_a_look_at_it() {
    let asked = serde_json::to_value(Peek::new(Vec::new(), Level::L2, 7)).expect("written");
    assert_eq!(asked, serde_json::json!({"prove": [], "level": "L1", "confirmed": false, "nonce": 7}));
    let asked = serde_json::to_value(Peek::new(Vec::new(), Level::L3, 7)).expect("written");
    assert_eq!(asked, serde_json::json!({"prove": [], "level": "L3", "confirmed": false}));
    let old: Peek = serde_json::from_value(asked).expect("an older controller's");
    assert_eq!((old.level, old.nonce), (Level::L3, None));
}
