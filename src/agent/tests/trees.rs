//! Any trees, one after another in the same place on a real disk: what the host then has is what staging had.

use super::bench::{Controller, disk};
use super::bundles::{Deploy, Node, Nodes, WHOLE, bring, consistent, want};
use crate::agent::Agent;
use crate::model::protocol::Level;
use crate::tree::content::ContentStore;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

const NAME: &str = "php-1.27.0-wmf.10";

/// Names that programs stumble over.
fn name() -> impl Strategy<Value = String> {
    // 85 characters of 3 bytes each: as long as a name can be.
    let longest = "\u{20ac}".repeat(85);
    let odd =
        ["a b", " ", "new\nline", "-rf", "*", "$(x);'\"\\", "..a", "e\u{301}", "\u{e9}", "\u{7f}\u{1b}[2J", &longest];
    prop_oneof![3 => "[ab]", 2 => prop::sample::select(odd.map(str::to_owned).to_vec())]
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        4 => (prop::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(bytes, exec)| Node::File(bytes, exec)),
        1 => Just(Node::File(Vec::new(), false)),
        1 => Just(Node::Directory),
        2 => name().prop_map(Node::Link),
    ]
}

/// With few names to choose from, so that what was a file is a directory in the next tree.
fn nodes() -> impl Strategy<Value = Nodes> {
    let path = prop::collection::vec(name(), 1..4).prop_map(|parts| parts.join("/"));
    prop::collection::vec((path, node()), 1..12).prop_map(|all| {
        let file = ("index.php".to_owned(), Node::File(b"<?php".to_vec(), false));
        consistent([file].into_iter().chain(all).collect())
    })
}

/// Everything below a directory but what is below `without`: its inode, mode, times and length.
fn seen(top: &Path, without: &[PathBuf]) -> BTreeMap<PathBuf, (u64, u32, i64, i64, u64)> {
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(top).expect("a directory") {
        let path = entry.expect("it is listed").path();
        if without.contains(&path) {
            continue;
        }
        let stat = fs::symlink_metadata(&path).expect("it is there");
        if stat.is_dir() {
            seen.extend(self::seen(&path, without));
        }
        let times = (stat.mtime_nsec(), stat.ctime_nsec());
        seen.insert(path, (stat.ino(), stat.mode(), times.0, times.1, stat.len()));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_trees_come_one_after_another_also_over_channels_that_are_cut(
        trees in prop::collection::vec(nodes(), 2..5),
        cuts in prop::collection::vec(0.0..1.0_f64, 4),
    ) {
        let deploy = Deploy::new();
        let (kept, host) = disk();
        let (mut agent, mut controller) = (Agent::new(host), Controller::new(1));
        let root = kept.path().join("srv/mediawiki");
        fs::create_dir_all(root.join("images")).expect("made");
        fs::write(root.join("images/ours"), "not pointsman's").expect("written");
        fs::create_dir(kept.path().join("outside")).expect("made");
        fs::write(kept.path().join("outside/a"), "nobody's").expect("written");
        symlink(kept.path().join("outside"), root.join("b")).expect("made");
        let component = root.join(NAME);
        let ours = [component.clone(), root.join(".pointsman-staging"), kept.path().join("var")];
        let before = seen(kept.path(), &ours);
        for (n, (tree, cut)) in trees.iter().zip(&cuts).enumerate() {
            let manifest = deploy.import(&format!("staging{n}"), tree);
            let wire = manifest.to_bytes().len() + 2_000;
            let first = bring(&mut agent, &mut controller, &deploy, (NAME, &manifest), ((wire as f64 * cut) as usize, 0));
            let then = bring(&mut agent, &mut controller, &deploy, (NAME, &manifest), WHOLE);
            prop_assert!(then.ready && then.ended.is_ok(), "cut after {} bytes: {:?}", first.said, then.ended);
            for level in [Level::L1, Level::L2, Level::L3] {
                prop_assert!(super::bench::readiness(&agent, &want(NAME, &manifest), level).is_ready());
            }
            // What staging's own reader says of the host's directory.
            let other = ContentStore::open(&deploy.dir.path().join(format!("other{n}"))).expect("nothing is there yet");
            prop_assert_eq!(other.import(&component, &[]).expect("taken in").id(), manifest.id());
            // The deploy root itself gets new entries, nothing else changes.
            let now = seen(kept.path(), &ours);
            let but_root = |all: &BTreeMap<PathBuf, _>| all.iter().filter(|(p, _)| **p != root).map(|(p, s)| (p.clone(), *s)).collect::<Vec<_>>();
            prop_assert_eq!(but_root(&now), but_root(&before));
        }
    }
}

#[test]
fn a_name_that_is_not_text_is_refused_and_named() {
    use std::os::unix::ffi::OsStrExt;
    let deploy = Deploy::new();
    let top = deploy.dir.path().join("staging");
    fs::create_dir_all(top.join("new\nline")).expect("made");
    fs::write(top.join("new\nline").join(std::ffi::OsStr::from_bytes(b"caf\xe9.php")), "").expect("written");
    let refused = deploy.store.import(&top, &[]).expect_err("refused");
    let mut words = refused.to_string();
    let mut cause = std::error::Error::source(&refused);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    assert!(words.contains(r#""new\nline/caf\xE9.php" is not UTF-8"#), "{words}");
}
