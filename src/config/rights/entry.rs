//! The section `policy` as it is written: its shape, and how it is read from YAML.

use crate::config::diagnostic::{Place, Sink};
use crate::config::fields::{Fields, choice, flag, list, texts};
use crate::config::raw::At;
use crate::config::yaml::{Node, Value};
use crate::model::right::Right;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Who may do what.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PolicyEntry {
    /// Whether who approves has to be another person than the one who began.
    pub second_person: Option<At<bool>>,
    /// Each gives rights to some people; what no rule gives nobody has.
    pub rules: At<Vec<RuleEntry>>,
}

/// Rights of some people.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RuleEntry {
    /// Users of the deploy host.
    pub users: Option<At<Vec<At<String>>>>,
    /// Groups of users there.
    pub members_of: Option<At<Vec<At<String>>>>,
    /// What they may do.
    #[schemars(schema_with = "rights_schema")]
    pub may: At<Vec<Right>>,
    /// For which groups of wikis; for all when it is not said.
    pub groups: Option<At<Vec<At<String>>>>,
    /// Where it stands.
    #[schemars(skip)]
    pub place: Place,
}

impl PolicyEntry {
    /// Its keys, in the order in which they are documented.
    pub const KEYS: &'static [&'static str] = &["second_person", "rules"];
}

impl RuleEntry {
    /// Its keys, in the order in which they are documented.
    pub const KEYS: &'static [&'static str] = &["users", "members_of", "may", "groups"];
}

/// Reads the section.
pub fn policy(node: &Node, sink: &mut Sink) -> Option<PolicyEntry> {
    let mut f = Fields::of(node, PolicyEntry::KEYS, "`policy`", sink)?;
    let second_person = f.optional("second_person", flag);
    let rules = f.need("rules", |n, s| list(n, "rules", rule, s));
    Some(PolicyEntry { second_person: second_person?, rules: rules? })
}

fn rule(node: &Node, sink: &mut Sink) -> Option<RuleEntry> {
    let mut f = Fields::of(node, RuleEntry::KEYS, "a rule", sink)?;
    let (users, members_of) = (f.optional("users", accounts), f.optional("members_of", accounts));
    let (may, groups) = (f.need("may", rights), f.optional("groups", texts));
    Some(RuleEntry { users: users?, members_of: members_of?, may: may?, groups: groups?, place: node.place })
}

fn accounts(node: &Node, sink: &mut Sink) -> Option<Vec<At<String>>> {
    if node.value == Value::List(Vec::new()) {
        sink.add(node.place, "at least one name must stand here");
    }
    texts(node, sink)
}

fn rights(node: &Node, sink: &mut Sink) -> Option<Vec<Right>> {
    if node.value == Value::List(Vec::new()) {
        sink.add(node.place, "at least one right must stand here; what no rule gives nobody has");
    }
    list(node, "`may`", |node, sink| choice(node, &Right::ALL, sink), sink)
}

fn rights_schema(_: &mut SchemaGenerator) -> Schema {
    let names = Right::ALL.map(|(name, _)| name);
    json_schema!({"type": "array", "minItems": 1, "items": {"type": "string", "enum": names}})
}
