//! The rules of the house that no compiler checks: who may import whom, how long things may be, what stands where.
//!
//! Sources are read as token trees, so that comments, texts and formatting cannot fool a check, and what is under
//! `#[cfg(test)]` is known. Every check has a test of its own with a planted violation: a check that finds nothing
//! may be one that does not look.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Lines of a function, from `fn` to its last brace.
const FUNCTION_LINES_MAX: usize = 60;
/// Lines of a file.
const FILE_LINES_MAX: usize = 450;

/// Which floor a room is on. A room may import from lower floors, and from its own where that makes no circle.
const FLOORS: [(&str, u32); 23] = [
    ("main", 7),
    ("host", 7),
    ("cli", 6),
    ("drive", 5),
    ("sim", 5),
    ("replay", 5),
    ("demo", 5),
    ("ui", 5),
    ("board", 5),
    ("fleet", 4),
    ("agent", 4),
    ("store", 4),
    ("report", 4),
    ("rollout", 3),
    ("playbook", 3),
    ("mirror", 3),
    ("signal", 3),
    ("wire", 3),
    ("plan", 2),
    ("gate", 2),
    ("tree", 2),
    ("config", 2),
    ("model", 1),
];

/// The first files of the library and of the programs.
const PROGRAMS: [&str; 3] = ["src/lib.rs", "src/main.rs", "src/host.rs"];

/// A source file by its path below the repository, and its text.
type Sources = BTreeMap<String, String>;

/// The whole of `src`, `tests` and `benches`.
fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Sources::new();
    for top in ["src", "tests", "benches"] {
        collect(root, &root.join(top), &mut found);
    }
    assert!(found.len() > 20, "found {} files only", found.len());
    found
}

fn collect(root: &Path, directory: &Path, found: &mut Sources) {
    for entry in std::fs::read_dir(directory).expect("a directory of the sources can be listed") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).expect("it is below the root").to_string_lossy().into_owned();
            found.insert(name, std::fs::read_to_string(&path).expect("a source is text"));
        }
    }
}

fn tokens(text: &str) -> Vec<TokenTree> {
    text.parse::<TokenStream>().expect("the compiler has read it before").into_iter().collect()
}

fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == name)
}

fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c)
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

/// Whether `#[cfg(test)]` or `#[test]` begins at `at`.
fn is_test_attribute(all: &[TokenTree], at: usize) -> bool {
    let inside = group(all.get(at + 1), Delimiter::Bracket).filter(|_| is_punct(all.get(at), '#'));
    let text = inside.map(|group| group.stream().to_string().replace(' ', ""));
    matches!(text.as_deref(), Some("cfg(test)" | "test" | "tokio::test"))
}

/// The index behind the item that begins at `at`.
fn after_item(all: &[TokenTree], mut at: usize) -> usize {
    while is_punct(all.get(at), '#') {
        at += 2;
    }
    let head = all[at..].iter().take(5).filter_map(|t| ident(Some(t)));
    let by_semicolon = head.into_iter().any(|word| ["use", "const", "static", "type"].contains(&word.as_str()))
        && !all[at..].iter().take(5).any(|t| is_ident(Some(t), "fn"));
    let ends = |t: &TokenTree| is_punct(Some(t), ';') || (!by_semicolon && group(Some(t), Delimiter::Brace).is_some());
    all[at..].iter().position(ends).map_or(all.len(), |n| at + n + 1)
}

/// The tokens without what is compiled for tests only, at every depth.
fn without_tests(all: &[TokenTree]) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if is_test_attribute(all, at) {
            at = after_item(all, at);
            continue;
        }
        kept.push(match &all[at] {
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let mut new = Group::new(group.delimiter(), without_tests(&inner).into_iter().collect());
                new.set_span(group.span());
                TokenTree::Group(new)
            }
            other => other.clone(),
        });
        at += 1;
    }
    kept
}

/// Calls `visit` with every run of sibling tokens.
fn each_level(all: &[TokenTree], visit: &mut dyn FnMut(&[TokenTree])) {
    visit(all);
    for token in all {
        if let TokenTree::Group(group) = token {
            each_level(&group.stream().into_iter().collect::<Vec<_>>(), visit);
        }
    }
}

/// What every file that is reached by `mod` declarations is for: `true` where for tests only.
fn reached(sources: &Sources) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    let mut waiting = PROGRAMS.map(|path| (path.to_owned(), false)).to_vec();
    waiting.extend(sources.keys().filter(|path| is_test_crate(path)).map(|path| (path.clone(), true)));
    while let Some((path, test)) = waiting.pop() {
        let Some(text) = sources.get(&path) else { continue };
        // The modules of a crate's first file lie beside it, those of any other in a directory of its name.
        let is_crate = PROGRAMS.contains(&path.as_str()) || is_test_crate(&path);
        let (directory, _) = path.rsplit_once('/').expect("every path has a directory");
        let room = if is_crate { directory } else { path.strip_suffix(".rs").expect("only .rs files are collected") };
        let all = tokens(text);
        let outside_tests: BTreeSet<String> = modules(&without_tests(&all)).into_iter().collect();
        for name in modules(&all) {
            let path = format!("{room}/{name}.rs");
            waiting.push((path, test || !outside_tests.contains(&name)));
        }
        found.insert(path, test);
    }
    found
}

/// Whether cargo takes the file for the first of an integration test or a benchmark: `tests/x.rs` or `tests/x/main.rs`.
fn is_test_crate(path: &str) -> bool {
    let below = path.strip_prefix("tests/").or_else(|| path.strip_prefix("benches/"));
    below.is_some_and(|name| !name.contains('/') || name.matches('/').count() == 1 && name.ends_with("/main.rs"))
}

/// The names of `mod name;`.
fn modules(all: &[TokenTree]) -> Vec<String> {
    let declared = all.windows(3).filter(|w| is_ident(w.first(), "mod") && is_punct(w.get(2), ';'));
    declared.filter_map(|w| ident(w.get(1))).collect()
}

/// The files that end up in the product, as tokens without their tests.
fn product(sources: &Sources) -> BTreeMap<String, Vec<TokenTree>> {
    let files = reached(sources).into_iter().filter(|(_, test)| !test);
    files.map(|(path, _)| (path.clone(), without_tests(&tokens(&sources[&path])))).collect()
}

/// The room a file belongs to: `src/plan/lint.rs` is in `plan`.
fn room(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap_or(path);
    let first = below.split('/').next().unwrap_or(below);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The rooms that a file names: `crate::x`, `crate::{x, y}`, `pointsman::x` and as many `super::` as lead to the top.
fn imports(path: &str, all: &[TokenTree]) -> BTreeSet<String> {
    let depth = path.strip_prefix("src/").map_or(0, |below| below.matches('/').count() + 1);
    let mut found = BTreeSet::new();
    each_level(all, &mut |run| {
        for at in 0..run.len() {
            let top = is_ident(run.get(at), "crate") || is_ident(run.get(at), "pointsman");
            let up = (0..depth).all(|n| is_ident(run.get(at + 3 * n), "super"));
            let behind = match (top, up) {
                (true, _) => at + 1,
                (false, true) => at + 3 * (depth - 1) + 1,
                _ => continue,
            };
            if is_punct(run.get(behind), ':') && is_punct(run.get(behind + 1), ':') {
                found.extend(named(run.get(behind + 2)));
            }
        }
    });
    found
}

/// The first names of a path's rest: `x`, or each in `{x, y::z}`.
fn named(token: Option<&TokenTree>) -> Vec<String> {
    let Some(group) = group(token, Delimiter::Brace) else { return ident(token).into_iter().collect() };
    let inner: Vec<_> = group.stream().into_iter().collect();
    inner.split(|t| is_punct(Some(t), ',')).filter_map(|part| ident(part.first())).collect()
}

fn floors(sources: &Sources) -> Vec<String> {
    let floors = BTreeMap::from(FLOORS);
    let mut found = Vec::new();
    let mut beside: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let files = product(sources);
    for (path, all) in files.iter().filter(|(path, _)| *path != "src/lib.rs") {
        let here = room(path);
        let Some(floor) = floors.get(here) else {
            found.push(format!("{path}: the room `{here}` is on no floor"));
            continue;
        };
        for other in imports(path, all).into_iter().filter(|other| other != here) {
            match floors.get(other.as_str()) {
                None => found.push(format!("{path}: imports `{other}`, which is on no floor")),
                Some(above) if above > floor => found.push(format!("{path}: `{here}` imports upwards from `{other}`")),
                Some(same) if same == floor => drop(beside.entry(here).or_default().insert(other)),
                Some(_) => {}
            }
        }
    }
    found.extend(circles(&beside));
    found
}

/// Rooms that lead back to themselves.
fn circles(edges: &BTreeMap<&str, BTreeSet<String>>) -> Vec<String> {
    let leads_back = |start: &str| {
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<&String> = edges[start].iter().collect();
        while let Some(next) = waiting.pop() {
            if seen.insert(next) {
                waiting.extend(edges.get(next.as_str()).into_iter().flatten());
            }
        }
        seen.iter().any(|name| *name == start)
    };
    edges
        .keys()
        .filter(|start| leads_back(start))
        .map(|start| format!("`{start}` imports itself in a circle"))
        .collect()
}

fn headless(sources: &Sources) -> Vec<String> {
    let bare = sources.iter().filter(|(_, text)| !text.starts_with("//!"));
    bare.map(|(path, _)| format!("{path}: does not start with `//!`")).collect()
}

fn long_files(sources: &Sources) -> Vec<String> {
    let lines = sources.iter().map(|(path, text)| (path, text.lines().count()));
    let long = lines.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    long.map(|(path, lines)| format!("{path}: has {lines} lines, more than {FILE_LINES_MAX}")).collect()
}

fn long_functions(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources {
        each_level(&tokens(text), &mut |run| {
            for at in 0..run.len() {
                let Some(name) = ident(run.get(at + 1)).filter(|_| is_ident(run.get(at), "fn")) else { continue };
                let ends = |t: &&TokenTree| is_punct(Some(t), ';') || group(Some(t), Delimiter::Brace).is_some();
                let Some(end) = run[at..].iter().find(ends) else { continue };
                let lines = end.span().end().line + 1 - line(&run[at]);
                if lines > FUNCTION_LINES_MAX {
                    found.push(format!("{path}: `{name}` has {lines} lines, more than {FUNCTION_LINES_MAX}"));
                }
            }
        });
    }
    found
}

/// Runs `matches` at every place of the files and lists where it finds something.
fn places<'a>(
    files: impl Iterator<Item = (&'a String, Vec<TokenTree>)>,
    matches: fn(&[TokenTree]) -> bool,
    what: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    for (path, all) in files {
        each_level(&all, &mut |run| {
            for at in (0..run.len()).filter(|at| matches(&run[*at..])) {
                found.push(format!("{path}:{}: {what}", line(&run[at])));
            }
        });
    }
    found
}

fn printing(sources: &Sources) -> Vec<String> {
    let files = product(sources);
    let quiet = files.iter().filter(|(path, _)| !["main", "ui"].contains(&room(path)));
    let is_print = |run: &[TokenTree]| {
        let word = ident(run.first()).filter(|_| is_punct(run.get(1), '!'));
        word.is_some_and(|word| ["print", "println", "eprint", "eprintln", "dbg"].contains(&word.as_str()))
    };
    places(quiet.map(|(path, all)| (path, all.clone())), is_print, "prints; only `ui` and `main` may")
}

fn allowing(sources: &Sources) -> Vec<String> {
    let is_allow = |run: &[TokenTree]| {
        let at = 1 + usize::from(is_punct(run.get(1), '!'));
        let inside = group(run.get(at), Delimiter::Bracket).filter(|_| is_punct(run.first(), '#'));
        inside.is_some_and(|group| is_ident(group.stream().into_iter().next().as_ref(), "allow"))
    };
    places(sources.iter().map(|(path, text)| (path, tokens(text))), is_allow, "`allow`; write `expect` with a reason")
}

fn unwrapping(sources: &Sources) -> Vec<String> {
    let files = product(sources);
    let is_unwrap = |run: &[TokenTree]| is_punct(run.first(), '.') && is_ident(run.get(1), "unwrap");
    places(files.iter().map(|(path, all)| (path, all.clone())), is_unwrap, "`unwrap`; say why it cannot fail")
}

fn marking_up(sources: &Sources) -> Vec<String> {
    let files = product(sources);
    let others = files.iter().filter(|(path, _)| *path != "src/report/html.rs");
    let is_raw = |run: &[TokenTree]| is_ident(run.first(), "PreEscaped");
    places(
        others.map(|(path, all)| (path, all.clone())),
        is_raw,
        "text taken for markup; only `src/report/html.rs` may",
    )
}

fn dead_files(sources: &Sources) -> Vec<String> {
    let reached = reached(sources);
    let dead = sources.keys().filter(|path| !reached.contains_key(*path));
    dead.map(|path| format!("{path}: no `mod` leads to it")).collect()
}

fn mod_files(sources: &Sources) -> Vec<String> {
    let named = sources.keys().filter(|path| path.ends_with("/mod.rs"));
    named.map(|path| format!("{path}: a room is `x.rs` and `x/`, not `mod.rs`")).collect()
}

/// Every check.
const CHECKS: [fn(&Sources) -> Vec<String>; 10] =
    [floors, headless, long_files, long_functions, printing, allowing, unwrapping, marking_up, dead_files, mod_files];

#[test]
fn the_house_is_tidy() {
    let sources = sources();
    let found: Vec<String> = CHECKS.iter().flat_map(|check| check(&sources)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Plants files into a small house that is tidy and compares what `check` then says.
fn planted(check: fn(&Sources) -> Vec<String>, files: &[(&str, &str)], want: &[&str]) {
    let mut sources: Sources = [
        ("src/lib.rs", "//! l\npub mod cli;\npub mod model;\npub mod plan;\npub mod tree;\npub mod ui;\n"),
        ("src/main.rs", "//! m\nfn main() { println!(\"fine here\"); pointsman::cli::run(); }\n"),
        ("src/cli.rs", "//! c\nuse crate::{model, plan::lint};\npub fn run() {}\n"),
        ("src/model.rs", "//! m\n// crate::cli, .unwrap(), println!() in a comment\nconst A: &str = \"crate::cli\";\n"),
        ("src/plan.rs", "//! p\npub mod lint;\n#[cfg(test)]\nmod tests;\n"),
        ("src/plan/lint.rs", "//! l\nuse super::super::model;\n#[cfg(test)]\nmod t { use crate::cli; }\n"),
        ("src/plan/tests.rs", "//! t\n#[test]\nfn t() { crate::cli::run(); None.unwrap(); println!(); }\n"),
        ("src/tree.rs", "//! t\nuse crate::plan;\n"),
        ("src/ui.rs", "//! u\npub fn say() { eprintln!(\"also fine\"); }\n"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    assert_eq!(check(&sources), Vec::<String>::new(), "before anything was planted");
    sources.extend(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    assert_eq!(check(&sources), want);
}

#[test]
fn imports_upwards_are_found_in_every_spelling() {
    let said = "src/model.rs: `model` imports upwards from `plan`";
    for text in [
        "//! m\nuse crate::plan::lint;\n",
        "//! m\nuse crate::{ui as _, plan};\n",
        "//! m\nuse super::plan;\n",
        "//! m\nfn f() { assert!(x(crate::plan::lint::y)); }\n",
        "//! m\n#[cfg(test)]\nuse crate::{cli, tree};\nuse crate::plan;\n",
    ] {
        let want = if text.contains("ui as _") {
            vec![said, "src/model.rs: `model` imports upwards from `ui`"]
        } else {
            vec![said]
        };
        planted(floors, &[("src/model.rs", text)], &want);
    }
    let text = "//! l\nuse super::super::cli;\n";
    planted(floors, &[("src/plan/lint.rs", text)], &["src/plan/lint.rs: `plan` imports upwards from `cli`"]);
}

#[test]
fn circles_and_rooms_without_a_floor_are_found() {
    let circle = ["`plan` imports itself in a circle", "`tree` imports itself in a circle"];
    planted(floors, &[("src/plan/lint.rs", "//! l\nuse crate::tree;\n")], &circle);
    let lib = "//! l\nmod attic;\n";
    let want = ["src/attic.rs: the room `attic` is on no floor"];
    planted(floors, &[("src/lib.rs", lib), ("src/attic.rs", "//! a\n")], &want);
}

#[test]
fn each_other_check_finds_what_is_planted() {
    let file = "src/model.rs";
    planted(headless, &[(file, "// m\n")], &["src/model.rs: does not start with `//!`"]);
    let long = format!("//! m\n{}", "\n".repeat(450));
    planted(long_files, &[(file, &long)], &["src/model.rs: has 451 lines, more than 450"]);
    let long = format!("//! m\nimpl A {{\n    fn f() -> [u8; 2] {{{}}}\n}}\n", "\n".repeat(60));
    planted(long_functions, &[(file, &long)], &["src/model.rs: `f` has 61 lines, more than 60"]);
    let text = "//! m\nfn f() {\n    g(|| eprintln!());\n}\n";
    planted(printing, &[(file, text)], &["src/model.rs:3: prints; only `ui` and `main` may"]);
    let want = ["src/model.rs:2: `allow`; write `expect` with a reason"];
    planted(allowing, &[(file, "//! m\n#![allow(dead_code)]\n")], &want);
    planted(allowing, &[(file, "//! m\n#[allow(dead_code)]\nfn f() {}\n")], &want);
    let text = "//! m\n#[cfg(test)]\nuse a::{b};\nfn f() { x().unwrap(); }\n";
    planted(unwrapping, &[(file, text)], &["src/model.rs:4: `unwrap`; say why it cannot fail"]);
    let text = "//! m\nfn f() { html! { (PreEscaped(x)) } }\n";
    planted(marking_up, &[(file, text)], &["src/model.rs:2: text taken for markup; only `src/report/html.rs` may"]);
    planted(dead_files, &[("src/plan/old.rs", "//! o\n")], &["src/plan/old.rs: no `mod` leads to it"]);
    let fleet =
        [("tests/x.rs", "//! x\n"), ("tests/fleet/main.rs", "//! m\nmod a;\n"), ("tests/fleet/a.rs", "//! a\n")];
    planted(dead_files, &fleet, &[]);
    planted(dead_files, &[("tests/fleet/b.rs", "//! b\n")], &["tests/fleet/b.rs: no `mod` leads to it"]);
    let want = ["src/plan/mod.rs: a room is `x.rs` and `x/`, not `mod.rs`"];
    planted(mod_files, &[("src/plan/mod.rs", "//! o\n")], &want);
}
