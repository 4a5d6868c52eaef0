//! Dblists: files of wiki names, or expressions over other dblists beside them.
//!
//! Format: one wiki a line, `#` begins a comment, blank lines are nothing; or a first line that begins with `%%`, an
//! expression of list names joined by `+` (union), `-` (difference) and `&` (intersection), strictly from left to
//! right, with spaces around. Invariant: each file is read once, its mistakes are noted once, in its own lines; a list
//! that has a mistake is no list, and whatever is made of it is none either.

use super::diagnostic::{Place, Sink, did_you_mean};
use crate::model::limits::{CONFIG_BYTES_MAX, DBLIST_DEPTH_MAX, DBLIST_FILES_MAX, DBLIST_TERMS_MAX};
use crate::model::names::Wiki;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

/// What reads a file.
pub type Reader<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Where a list is asked for, to be named when it cannot be had.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The file.
    pub file: &'a Path,
    /// The place in it.
    pub place: Place,
}

/// Every dblist that was read, and what it came to.
pub struct Lists<'a> {
    read: Reader<'a>,
    /// Texts as they were read, by path.
    texts: BTreeMap<PathBuf, String>,
    done: BTreeMap<PathBuf, Option<BTreeSet<Wiki>>>,
    /// Lists that are being worked out, outermost first.
    open: Vec<PathBuf>,
}

impl<'a> Lists<'a> {
    /// Nothing read yet.
    pub fn new(read: Reader<'a>) -> Self {
        Self { read, texts: BTreeMap::new(), done: BTreeMap::new(), open: Vec::new() }
    }

    /// The wikis of the dblist at `path`; `None` after a mistake, which was noted.
    pub fn file(&mut self, path: &Path, asked: Asked<'_>, sink: &mut Sink) -> Option<BTreeSet<Wiki>> {
        if let Some(done) = self.done.get(path) {
            return done.clone();
        }
        if self.open.iter().any(|open| open == path) {
            let circle: Vec<String> = self.open.iter().chain([&path.to_owned()]).map(|p| name(p)).collect();
            let message = format!("lists lead in a circle: {}", circle.join(" -> "));
            sink.push(asked.file, asked.place, message, None);
            return None;
        }
        let text = self.text(path, asked, sink);
        self.open.push(path.to_owned());
        let wikis = text.and_then(|text| self.wikis(path, &text, sink));
        self.open.pop();
        self.done.insert(path.to_owned(), wikis.clone());
        wikis
    }

    /// The wikis that an expression comes to, `text` with its `%%`; its lists are looked up in `directory`.
    pub fn expression(
        &mut self,
        text: &str,
        directory: &Path,
        asked: Asked<'_>,
        sink: &mut Sink,
    ) -> Option<BTreeSet<Wiki>> {
        let Some(body) = text.trim().strip_prefix("%%") else {
            let hint = "as in `%% all.dblist - group0.dblist`".to_owned();
            sink.push(asked.file, asked.place, "an expression begins with `%%`".into(), Some(hint));
            return None;
        };
        let tokens: Vec<&str> = body.split_whitespace().collect();
        if tokens.len() > 2 * DBLIST_TERMS_MAX {
            let message = format!("an expression joins at most {DBLIST_TERMS_MAX} lists");
            sink.push(asked.file, asked.place, message, Some("put some of them together in a dblist".into()));
            return None;
        }
        let operators = || tokens.iter().skip(1).step_by(2).copied();
        let mut wikis = Some(BTreeSet::new());
        for (operator, term) in iter::once("+").chain(operators()).zip(tokens.iter().step_by(2)) {
            let listed = self.term(term, directory, asked, sink);
            wikis = wikis.zip(listed).map(|(left, right)| match operator {
                "+" => &left | &right,
                "-" => &left - &right,
                _ => &left & &right,
            });
        }
        if let Some(wrong) = operators().find(|o| !matches!(*o, "+" | "-" | "&")) {
            let message = format!("`{wrong}` stands where `+`, `-` or `&` is expected");
            let hint = "spaces stand around `+`, `-` and `&`".to_owned();
            sink.push(asked.file, asked.place, message, Some(hint));
            return None;
        }
        if tokens.len().is_multiple_of(2) {
            sink.push(asked.file, asked.place, "the expression ends where a list is expected".into(), None);
            return None;
        }
        wikis
    }

    fn term(&mut self, term: &str, directory: &Path, asked: Asked<'_>, sink: &mut Sink) -> Option<BTreeSet<Wiki>> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let stem = term.strip_suffix(".dblist").unwrap_or_default();
        if stem.is_empty() || stem.starts_with('.') || !term.chars().all(legal) {
            let plain = !term.is_empty() && term.chars().all(legal) && !term.contains('.');
            let hint = match plain && term != "-" {
                true => format!("did you mean `{term}.dblist`?"),
                false => "lists are named as in `all.dblist`, with spaces around `+`, `-` and `&`".to_owned(),
            };
            sink.push(asked.file, asked.place, format!("`{term}` is not the name of a list"), Some(hint));
            return None;
        }
        self.file(&directory.join(term), asked, sink)
    }

    fn text(&mut self, path: &Path, asked: Asked<'_>, sink: &mut Sink) -> Option<String> {
        let mut fail = |message: String, hint| sink.push(asked.file, asked.place, message, hint);
        if self.open.len() >= DBLIST_DEPTH_MAX {
            fail(format!("lists lead to lists more than {DBLIST_DEPTH_MAX} times"), None);
            return None;
        }
        if self.texts.len() >= DBLIST_FILES_MAX {
            fail(format!("more than {DBLIST_FILES_MAX} dblists are read"), None);
            return None;
        }
        match (self.read)(path) {
            Ok(text) if text.len() as u64 <= CONFIG_BYTES_MAX => {
                self.texts.insert(path.to_owned(), text.clone());
                Some(text)
            }
            Ok(_) => {
                fail(format!("{} is larger than {CONFIG_BYTES_MAX} bytes", path.display()), None);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let known: Vec<String> = self.texts.keys().map(|known| name(known)).collect();
                let hint = did_you_mean(&name(path), known.iter().map(String::as_str));
                fail(format!("there is no dblist {}", path.display()), hint);
                None
            }
            Err(error) => {
                fail(format!("cannot read {}: {error}", path.display()), None);
                None
            }
        }
    }

    fn wikis(&mut self, path: &Path, text: &str, sink: &mut Sink) -> Option<BTreeSet<Wiki>> {
        let lines = text.lines().enumerate().map(|(i, line)| (i as u64 + 1, line));
        let lines = lines.map(|(n, line)| (n, line.split('#').next().unwrap_or_default()));
        let lines: Vec<(u64, &str)> = lines.filter(|(_, line)| !line.trim().is_empty()).collect();
        match lines.first() {
            Some((n, first)) if first.trim_start().starts_with("%%") => {
                if let Some((extra, _)) = lines.get(1) {
                    let place = Place { line: *extra, column: 1 };
                    let message = format!("nothing may follow the expression in line {n}");
                    sink.push(path, place, message, Some("put these wikis into a list of their own".into()));
                    return None;
                }
                let directory = path.parent().unwrap_or(Path::new("")).to_owned();
                let asked = Asked { file: path, place: Place { line: *n, column: column(first) } };
                self.expression(first, &directory, asked, sink)
            }
            _ => names(path, &lines, sink),
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The column of the first character that is not a space.
fn column(line: &str) -> u64 {
    line.chars().take_while(|c| c.is_whitespace()).count() as u64 + 1
}

fn names(path: &Path, lines: &[(u64, &str)], sink: &mut Sink) -> Option<BTreeSet<Wiki>> {
    let mut wikis = BTreeMap::new();
    let before = sink.count();
    for (n, line) in lines {
        let place = Place { line: *n, column: column(line) };
        let text = line.trim();
        match text.parse::<Wiki>() {
            Err(why) => sink.push(path, place, format!("`{text}` is not a wiki: {why}"), None),
            Ok(wiki) => {
                if let Some(first) = wikis.insert(wiki, *n) {
                    let message = format!("`{text}` stands twice; the first is in line {first}");
                    sink.push(path, place, message, Some("remove one of the two".into()));
                }
            }
        }
    }
    (sink.count() == before).then(|| wikis.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// Works `a.dblist` out, over lists given as `name: text`.
    fn check(files: &[(&str, &str)], want: Expect) {
        let files: BTreeMap<PathBuf, String> =
            files.iter().map(|(n, t)| (PathBuf::from(format!("d/{n}.dblist")), t.to_string())).collect();
        let read = |path: &Path| files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
        let main = Path::new("groups.yaml");
        let mut sink = Sink::new(main);
        let asked = Asked { file: main, place: Place { line: 1, column: 1 } };
        let wikis = Lists::new(&read).file(Path::new("d/a.dblist"), asked, &mut sink);
        let shown = wikis.map(|w| w.iter().map(Wiki::as_str).collect::<Vec<_>>().join(" "));
        want.assert_eq(&sink.finish(shown).unwrap_or_else(|e| e.to_string()));
    }

    #[test]
    fn names_comments_and_blank_lines() {
        check(&[("a", "# top\n\n enwiki\r\ndewiki # why\n")], expect!["dewiki enwiki"]);
        check(&[("a", "")], expect![""]);
    }

    #[test]
    fn expressions_are_worked_out_from_left_to_right() {
        let lists = |first| [("a", first), ("x", "x1\nboth"), ("y", "y1\nboth"), ("z", "x1")];
        check(&lists("%% x.dblist + y.dblist"), expect!["both x1 y1"]);
        check(&lists("%% x.dblist - y.dblist"), expect!["x1"]);
        check(&lists("# why\n  %% x.dblist & y.dblist # so\n"), expect!["both"]);
        check(&lists("%% x.dblist - y.dblist + y.dblist"), expect!["both x1 y1"]);
        check(&lists("%% x.dblist + y.dblist - y.dblist & z.dblist"), expect!["x1"]);
        check(&[("a", "%% b.dblist"), ("b", "%% c.dblist"), ("c", "w1")], expect!["w1"]);
        check(&[("a", &format!("%% x.dblist{}", " + x.dblist".repeat(255))), ("x", "w1")], expect!["w1"]);
    }

    #[test]
    fn mistakes_are_found_where_they_stand() {
        check(&[], expect!["groups.yaml:1:1: there is no dblist d/a.dblist"]);
        check(
            &[("a", "%% x.dblist - wikipedias.dblist"), ("x", "w1")],
            expect!["d/a.dblist:1:1: there is no dblist d/wikipedias.dblist"],
        );
        check(
            &[("a", "%% a1.dblist + a1.dblst"), ("a1", "w1")],
            expect![[r#"
                d/a.dblist:1:1: `a1.dblst` is not the name of a list
                  hint: lists are named as in `all.dblist`, with spaces around `+`, `-` and `&`"#]],
        );
        check(
            &[("a", "%% x + ../x.dblist"), ("x", "w1")],
            expect![[r#"
                d/a.dblist:1:1: `../x.dblist` is not the name of a list
                  hint: lists are named as in `all.dblist`, with spaces around `+`, `-` and `&`
                d/a.dblist:1:1: `x` is not the name of a list
                  hint: did you mean `x.dblist`?"#]],
        );
        check(
            &[("a", "%% x.dblist * x.dblist"), ("x", "w1")],
            expect![[r#"
                d/a.dblist:1:1: `*` stands where `+`, `-` or `&` is expected
                  hint: spaces stand around `+`, `-` and `&`"#]],
        );
        check(
            &[("a", "%% x.dblist -"), ("x", "w1")],
            expect!["d/a.dblist:1:1: the expression ends where a list is expected"],
        );
        check(
            &[("a", &format!("%% x.dblist{}", " + x.dblist".repeat(256))), ("x", "w1")],
            expect![[r#"
                d/a.dblist:1:1: an expression joins at most 256 lists
                  hint: put some of them together in a dblist"#]],
        );
        check(&[("a", "%%")], expect!["d/a.dblist:1:1: the expression ends where a list is expected"]);
        check(
            &[("a", "%% x.dblist\nenwiki"), ("x", "w1")],
            expect![[r#"
                d/a.dblist:2:1: nothing may follow the expression in line 1
                  hint: put these wikis into a list of their own"#]],
        );
        check(
            &[("a", "enwiki\n\n  enwiki\nen wiki\nEnwiki")],
            expect![[r#"
                d/a.dblist:3:3: `enwiki` stands twice; the first is in line 1
                  hint: remove one of the two
                d/a.dblist:4:1: `en wiki` is not a wiki: only lower case letters, digits, `_` and `-` may stand in it
                d/a.dblist:5:1: `Enwiki` is not a wiki: only lower case letters, digits, `_` and `-` may stand in it"#]],
        );
    }

    #[test]
    fn circles_and_long_chains_end() {
        check(
            &[("a", "%% b.dblist"), ("b", "%% a.dblist")],
            expect!["d/b.dblist:1:1: lists lead in a circle: a.dblist -> b.dblist -> a.dblist"],
        );
        let names: Vec<String> = (0..40).map(|i| if i == 0 { "a".into() } else { format!("l{i}") }).collect();
        let texts: Vec<String> = (1..=40).map(|i| format!("%% l{i}.dblist")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        check(&files, expect!["d/l15.dblist:1:1: lists lead to lists more than 16 times"]);
    }
}
