//! How each kind of mutant is put behind a switch: the code as it was stands in it once, so that switches can be nested.

use crate::Mutant;
use crate::edits::{Edits, Inserted, Piece};
use std::collections::BTreeMap;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, BinOp, Block, Expr, ExprBinary, ExprMatch, ExprStruct, ExprUnary, FieldValue, Pat, Signature};

/// A source with its mutants, by the byte where cargo-mutants says that each begins; `home` is the crate of the switches.
pub fn switched(text: &str, places: BTreeMap<usize, Vec<Mutant>>, home: &str) -> (String, Vec<Piece>) {
    let file = syn::parse_file(text).expect("it compiles");
    let mut switches = Switches { text, places, home, edits: Edits::default() };
    switches.visit_file(&file);
    switches.edits.apply(text)
}

struct Switches<'a> {
    text: &'a str,
    places: BTreeMap<usize, Vec<Mutant>>,
    home: &'a str,
    edits: Edits,
}

fn bytes(of: &impl Spanned) -> Range<usize> {
    of.span().byte_range()
}

fn plain(text: &str) -> Inserted {
    Inserted::default().add(text, None)
}

impl Switches<'_> {
    fn at(&mut self, byte: usize, genre: &str) -> Vec<Mutant> {
        let Some(there) = self.places.get_mut(&byte) else { return Vec::new() };
        there.extract_if(.., |mutant| mutant.genre == genre).collect()
    }

    fn on(&self, mutant: &Mutant) -> String {
        format!("{}::switched::on({})", self.home, mutant.number)
    }

    /// `if on(1) { first } else if on(2) { second } else { else }`.
    fn choose(
        &self,
        before: &str,
        mutants: &[Mutant],
        branch: impl Fn(&Mutant) -> String,
        otherwise: &str,
        after: &str,
    ) -> Inserted {
        let mut inserted = plain(before);
        for mutant in mutants {
            inserted = inserted.add(&format!("if {} {{ ", self.on(mutant)), None);
            inserted = inserted.add(&branch(mutant), Some(mutant.number)).add(" } else ", None);
        }
        inserted.add(&format!("{{ {otherwise} }}{after}"), None)
    }

    fn whole(&mut self, of: Range<usize>, mutants: &[Mutant]) {
        self.edits.whole(of.start, of.end, mutants.iter().map(|mutant| mutant.number).collect());
    }

    fn binary(&mut self, e: &ExprBinary) {
        let op = bytes(&e.op);
        let mutants = self.at(op.start, "BinaryOperator");
        // What binds names in a chain can't be put into anything; its only mutant doesn't compile.
        if mutants.is_empty() || has_let(&e.left) || has_let(&e.right) {
            return visit::visit_expr_binary(self, e);
        }
        let (left, right, was) = (bytes(&e.left), bytes(&e.right), &self.text[op]);
        let chosen = |before: &str, left: &str| {
            let branch = |mutant: &Mutant| format!("{left} {} right_", mutant.replacement);
            self.choose(before, &mutants, branch, &format!("{left} {was} right_"), " })")
        };
        let (open, middle, close) = match was {
            // Both are the right side or the left one; which of the two, the switch turns round.
            "&&" | "||" => {
                let [mutant] = &mutants[..] else { panic!("{was} has one mutant") };
                let turned = if was == "&&" { "!=" } else { "==" };
                let middle = format!(") {{ left_ => if left_ {turned} {} {{ ", self.on(mutant));
                ("(match (", plain("").add(&middle, Some(mutant.number)), plain(" } else { left_ } })"))
            }
            "==" | "!=" | "<" | "<=" | ">" | ">=" => {
                ("(match (&(", plain("), &("), chosen(")) { (left_, right_) => ", "left_"))
            }
            // What is assigned to stands in each branch, as it was.
            _ if was.ends_with('=') => {
                let close = chosen(") { right_ => ", &self.text[left.clone()]);
                self.whole(bytes(e), &mutants);
                self.edits.begin(left.start, right.start, plain("(match ("));
                self.visit_expr(&e.right);
                return self.edits.end(right.end, close);
            }
            _ => ("(match (", plain(", "), chosen(") { (left_, right_) => ", "left_")),
        };
        self.whole(bytes(e), &mutants);
        self.edits.begin(left.start, left.start, plain(open));
        self.visit_expr(&e.left);
        self.edits.begin(left.end, right.start, middle);
        self.visit_expr(&e.right);
        self.edits.end(right.end, close);
    }

    fn unary(&mut self, e: &ExprUnary) {
        let op = bytes(&e.op);
        let mutants = self.at(op.start, "UnaryOperator");
        if mutants.is_empty() {
            return visit::visit_expr_unary(self, e);
        }
        let inner = bytes(&e.expr);
        self.whole(bytes(e), &mutants);
        self.edits.begin(op.start, inner.start, plain("(match ("));
        self.visit_expr(&e.expr);
        let otherwise = format!("{}it_", &self.text[op]);
        let after = self.choose(") { it_ => ", &mutants, |_| "it_".to_owned(), &otherwise, " })");
        self.edits.end(inner.end, after);
    }

    /// Its values are mutants of the body. Where only the body knows the type, none can be returned beside it; and what is
    /// constant asks no switch.
    fn body(&mut self, of: &Signature, block: &Block) {
        if of.constness.is_some() || self.text[bytes(&of.output)].contains("impl ") {
            return;
        }
        let Some(first) = block.stmts.first() else { return };
        let start = bytes(first).start;
        let mutants = self.at(start, "FnValue");
        let mut inserted = Inserted::default();
        for mutant in &mutants {
            let value = format!("return {};", mutant.replacement);
            inserted = inserted.add(&format!("if {} {{ ", self.on(mutant)), None);
            inserted = inserted.add(&value, Some(mutant.number)).add(" } ", None);
        }
        if !mutants.is_empty() {
            self.edits.begin(start, start, inserted);
        }
    }

    /// Only arms without a guard are deleted, and only guards are put in place of others.
    fn arm(&mut self, arm: &Arm) {
        if let Some((_, guard)) = &arm.guard {
            let range = bytes(guard);
            let mutants = self.at(range.start, "MatchArmGuard");
            self.whole(range.clone(), &mutants);
            self.edits.begin(range.start, range.start, self.guard(&mutants));
            visit::visit_arm(self, arm);
            return self.edits.end(range.end, plain(&")".repeat(mutants.len() + 1)));
        }
        if !takes_all(arm)
            && let [deleted] = &self.at(bytes(arm).start, "MatchArm")[..]
        {
            let (end, off) = (bytes(&arm.pat).end, format!("if !{}", self.on(deleted)));
            self.edits.begin(end, end, plain(" ").add(&off, Some(deleted.number)));
        }
        visit::visit_arm(self, arm);
    }

    /// What comes before a guard, with a parenthesis for each of its mutants and one more.
    fn guard(&self, mutants: &[Mutant]) -> Inserted {
        let mut before = plain("(");
        for mutant in mutants {
            let switch = match mutant.replacement.as_str() {
                "true" => format!("{} || ", self.on(mutant)),
                _ => format!("!{} && ", self.on(mutant)),
            };
            before = before.add(&format!("{switch}("), None);
        }
        before
    }

    fn field(&mut self, of: &ExprStruct, field: &FieldValue, rest: &Expr) {
        let mutants = self.at(bytes(field).start, "StructField");
        let [mutant] = &mutants[..] else { return visit::visit_field_value(self, field) };
        let rest = match self.text[bytes(rest)].trim() {
            "Default::default()" => format!("<{} as Default>::default()", &self.text[bytes(&of.path)]),
            rest => format!("({rest})"),
        };
        let syn::Member::Named(name) = &field.member else { return visit::visit_field_value(self, field) };
        let value = bytes(&field.expr);
        let label = if field.colon_token.is_none() { format!("{name}: ") } else { String::new() };
        let before = plain(&format!("{label}(if {} {{ ", self.on(mutant)));
        let before = before.add(&format!("{rest}.{name}"), Some(mutant.number)).add(" } else { ", None);
        self.edits.begin(value.start, value.start, before);
        self.visit_expr(&field.expr);
        self.edits.end(value.end, plain(" })"));
    }
}

impl<'ast> Visit<'ast> for Switches<'_> {
    fn visit_expr_binary(&mut self, e: &'ast ExprBinary) {
        self.binary(e);
    }

    fn visit_expr_unary(&mut self, e: &'ast ExprUnary) {
        self.unary(e);
    }

    fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
        self.body(&f.sig, &f.block);
        visit::visit_item_fn(self, f);
    }

    fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
        self.body(&f.sig, &f.block);
        visit::visit_impl_item_fn(self, f);
    }

    fn visit_trait_item_fn(&mut self, f: &'ast syn::TraitItemFn) {
        if let Some(block) = &f.default {
            self.body(&f.sig, block);
        }
        visit::visit_trait_item_fn(self, f);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.arm(arm);
    }

    fn visit_expr_match(&mut self, e: &'ast ExprMatch) {
        // What the arms do not cover without one of them is said of all.
        let arms: Vec<usize> = e.arms.iter().filter(|arm| !takes_all(arm)).map(|arm| bytes(arm).start).collect();
        let deleted = self.places.iter().filter(|(at, _)| arms.contains(at)).flat_map(|(_, there)| there);
        let deleted = deleted.filter(|mutant| mutant.genre == "MatchArm").map(|mutant| mutant.number).collect();
        self.edits.whole(bytes(&e.expr).start, bytes(&e.expr).end, deleted);
        visit::visit_expr_match(self, e);
    }

    fn visit_expr_struct(&mut self, e: &'ast ExprStruct) {
        let Some(rest) = &e.rest else { return visit::visit_expr_struct(self, e) };
        for field in &e.fields {
            self.field(e, field, rest);
        }
        self.visit_expr(rest);
    }
}

/// Whether it takes all that is left: a match without it doesn't compile.
fn takes_all(arm: &Arm) -> bool {
    let is_name = matches!(&arm.pat, Pat::Ident(name) if name.ident.to_string().starts_with(char::is_lowercase));
    arm.guard.is_none() && is_name
}

/// Whether it is a `let`, or a chain with one.
fn has_let(e: &Expr) -> bool {
    match e {
        Expr::Let(_) => true,
        Expr::Binary(ExprBinary { left, op: BinOp::And(_), right, .. }) => has_let(left) || has_let(right),
        _ => false,
    }
}
