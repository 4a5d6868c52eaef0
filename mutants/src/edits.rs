//! Changes of a text, and where they end up in the new one.

use serde::Serialize;

/// Bytes of the new text, from `start` up to `end`, and whose they are.
#[derive(Serialize)]
pub struct Piece {
    pub start: usize,
    pub end: usize,
    pub mutants: Vec<usize>,
}

/// Text to insert, with the parts of it that are of one mutant alone.
#[derive(Default)]
pub struct Inserted {
    text: String,
    owned: Vec<(usize, usize, usize)>,
}

impl Inserted {
    /// More text, of no mutant or of this one.
    pub fn add(mut self, text: &str, mutant: Option<usize>) -> Self {
        let start = self.text.len();
        self.text.push_str(text);
        self.owned.extend(mutant.map(|mutant| (start, self.text.len(), mutant)));
        self
    }
}

struct Edit {
    start: usize,
    end: usize,
    /// Ends of what is inside come before beginnings of what follows.
    is_beginning: bool,
    inserted: Inserted,
}

/// All changes of a text.
#[derive(Default)]
pub struct Edits {
    edits: Vec<Edit>,
    wholes: Vec<(usize, usize, Vec<usize>)>,
}

impl Edits {
    /// Replaces those bytes, or inserts where the two are the same; before what inner expressions insert there.
    pub fn begin(&mut self, start: usize, end: usize, inserted: Inserted) {
        self.edits.push(Edit { start, end, is_beginning: true, inserted });
    }

    /// Inserts after what inner expressions inserted there.
    pub fn end(&mut self, at: usize, inserted: Inserted) {
        self.edits.push(Edit { start: at, end: at, is_beginning: false, inserted });
    }

    /// These bytes are of all these mutants.
    pub fn whole(&mut self, start: usize, end: usize, mutants: Vec<usize>) {
        if !mutants.is_empty() {
            self.wholes.push((start, end, mutants));
        }
    }

    /// The new text, and whose its pieces are.
    pub fn apply(mut self, text: &str) -> (String, Vec<Piece>) {
        // Stable: what was said first comes first.
        self.edits.sort_by_key(|edit| (edit.start, edit.is_beginning));
        let (mut new, mut pieces, mut at) = (String::new(), Vec::new(), 0);
        let mut moved = Vec::new();
        for edit in self.edits {
            assert!(edit.start >= at, "changes overlap near: {}", &text[edit.start..(edit.start + 40).min(text.len())]);
            new.push_str(&text[at..edit.start]);
            let begin = new.len();
            new.push_str(&edit.inserted.text);
            let owned = edit.inserted.owned.into_iter();
            pieces.extend(owned.map(|(start, end, mutant)| Piece {
                start: begin + start,
                end: begin + end,
                mutants: vec![mutant],
            }));
            at = edit.end;
            moved.push((edit.start, edit.is_beginning, new.len() as isize - at as isize));
        }
        new.push_str(&text[at..]);
        // Where a byte ends up; what was inserted where it stood lies before it when it ended there, after it when it began there.
        let now = |byte: usize| {
            let before = moved.iter().rev().find(|(start, is_beginning, _)| (*start, *is_beginning) < (byte, true));
            byte.strict_add_signed(before.map_or(0, |(.., by)| *by))
        };
        for (start, end, mutants) in self.wholes {
            pieces.push(Piece { start: now(start), end: now(end), mutants });
        }
        (new, pieces)
    }
}
