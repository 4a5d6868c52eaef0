//! Manifests: what is refused, and that ids and bytes never change.

use super::*;
use expect_test::expect;
use proptest::prelude::*;

fn path(text: &str) -> RelPath {
    text.parse().expect("a path")
}

fn file(at: &str, content: &str) -> Entry {
    let kind = EntryKind::File { exec: false, size: content.len() as u64, digest: Digest::of(content.as_bytes()) };
    Entry { path: path(at), kind }
}

fn link(at: &str, target: &str) -> Entry {
    Entry { path: path(at), kind: EntryKind::Symlink { target: target.to_owned() } }
}

#[test]
fn s05_link_targets_stay_inside() {
    for (at, good) in [("a", "b"), ("a/b", "../c"), ("a", "b/c"), ("a", "."), ("d/a", "./../x"), ("d/a", "..")] {
        assert!(Manifest::new(vec![link(at, good)]).is_ok(), "{at} -> {good}");
    }
    for (at, bad) in [("a", ".."), ("a", "/etc"), ("a/b", "../.."), ("a/b", "c/../d"), ("a", ""), ("a", "x\0")] {
        assert!(matches!(Manifest::new(vec![link(at, bad)]), Err(ManifestError::Target { .. })), "{at} -> {bad}");
    }
}

#[test]
fn inconsistent_entries_are_refused() {
    let twice = Manifest::new(vec![file("a", "1"), file("a", "2")]);
    assert_eq!(twice, Err(ManifestError::Duplicate(path("a"))));
    let both = Manifest::new(vec![file("a", "1"), file("a-b", "2"), file("a/b", "3")]);
    assert_eq!(both, Err(ManifestError::FileAndDirectory(path("a"))));
    let line = |name: &str| format!("f 1 {} {name}\0", Digest::of(b"1"));
    let unsorted = format!("{MANIFEST_HEAD}{}{}", line("b"), line("a"));
    assert_eq!(Manifest::from_bytes(unsorted.as_bytes()), Err(ManifestError::Unsorted(path("a"))));
}

#[test]
fn bytes_that_are_not_canonical_are_refused() {
    let digest = Digest::of(b"1");
    for body in [
        format!("f 01 {digest} a\0"),
        format!("f +1 {digest} a\0"),
        format!("f 1 {digest} a"),
        format!("g 1 {digest} a\0"),
        format!("f 1 {digest}\0"),
        format!("f 18446744073709551616 {digest} a\0"),
        "l a\0".to_owned(),
        "f 1 abc a\0".to_owned(),
        "\0".to_owned(),
    ] {
        assert!(Manifest::from_bytes(format!("{MANIFEST_HEAD}{body}").as_bytes()).is_err(), "{body:?}");
    }
    assert!(Manifest::from_bytes(b"").is_err());
    assert!(Manifest::from_bytes(b"pointsman manifest 2\n").is_err());
}

#[test]
fn the_id_and_the_bytes_never_change_between_releases_of_this_program() {
    let entries = vec![file("index.php", "<?php"), file("cache/l10n/en.cdb", "x"), link("a/b", "../index.php")];
    let manifest = Manifest::new(entries).expect("consistent");
    expect!["de57a926066c5b93c0505942db0408d3e3b412e44d552834a4aeb8ac0ff5586f"].assert_eq(&manifest.id().to_string());
    expect![[r#"
        pointsman manifest 1
        l a/b|
        ../index.php|
        f 1 3ae7d805f6789a6402acb70ad4096a85a56bf6804eaf25c0493ac697548d30b5 cache/l10n/en.cdb|
        f 5 5c8b161c3036afffae150187acca0f5d30f7fcab85e8d4673a31e17d5137baa4 index.php|
    "#]]
    .assert_eq(&String::from_utf8_lossy(&manifest.to_bytes()).replace('\0', "|\n"));
    expect!["29f4e2405b1b29ec11b97537f4ed25dee73cafb6f0b3c6855589570e17f06189"]
        .assert_eq(&Manifest::default().id().to_string());
}

#[test]
fn a_subset_keeps_full_paths_and_whole_names() {
    let manifest = Manifest::new(vec![file("i18n/en", "1"), file("i18n-old/en", "2"), file("x", "3")]).expect("ok");
    let names = |prefixes: &[&str]| {
        let prefixes: Vec<String> = prefixes.iter().map(|p| (*p).to_owned()).collect();
        manifest.subset(&prefixes).entries().iter().map(|e| e.path.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["i18n"]), "i18n/en");
    assert_eq!(names(&[]), "i18n/en i18n-old/en x");
    assert_eq!(names(&["x", "i18n/en"]), "i18n/en x");
}

fn some_entries() -> impl Strategy<Value = Vec<Entry>> {
    let kind = prop_oneof![
        (any::<bool>(), any::<u64>(), any::<[u8; 32]>())
            .prop_map(|(exec, size, digest)| { EntryKind::File { exec, size, digest: Digest::from_bytes(digest) } }),
        "[a-c]{1,3}".prop_map(|target| EntryKind::Symlink { target }),
    ];
    let entry = ("[ab\u{e9}-]{1,2}(/[ab-]{1,2}){0,3}", kind);
    proptest::collection::vec(entry, 0..12)
        .prop_map(|all| all.into_iter().map(|(at, kind)| Entry { path: path(&at), kind }).collect())
}

proptest! {
    #[test]
    fn the_byte_form_reads_back_and_tells_different_contents_apart(a in some_entries(), b in some_entries()) {
        let (Ok(a), Ok(b)) = (Manifest::new(a), Manifest::new(b)) else { return Ok(()) };
        prop_assert_eq!(a.encoded_len(), a.to_bytes().len());
        prop_assert_eq!(Manifest::from_bytes(&a.to_bytes()), Ok(a.clone()));
        prop_assert_eq!(a == b, a.id() == b.id());
    }

    #[test]
    fn any_bytes_are_read_or_refused_but_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = MANIFEST_HEAD.as_bytes().to_vec();
        bytes.extend(body);
        if let Ok(manifest) = Manifest::from_bytes(&bytes) {
            prop_assert_eq!(manifest.to_bytes(), bytes);
        }
    }
}
