//! Lists of hosts as other tools keep them: plain lists, ssh configurations, Ansible inventories.
//!
//! Invariant: every name passed the host grammar; what is not understood is a mistake with its line, or named among what
//! was passed over, and never dropped in silence. Deliberately absent: whatever these formats have beyond names, groups
//! and how a host is reached; no variable is expanded and no program is run.

use crate::config::diagnostic::{Place, Sink};
use crate::config::policy::Role;
use crate::config::ranges;
use crate::model::names::HostName;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One host of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// What the list's groups say that it is for; empty: nothing.
    pub roles: BTreeSet<Role>,
    /// The login.
    pub user: Option<String>,
    /// The address when it is not the name.
    pub address: Option<String>,
    /// The port.
    pub port: Option<u16>,
}

/// Hosts by name.
pub type Hosts = BTreeMap<HostName, Listed>;

/// What kind of file a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A host or a range a line.
    Plain,
    /// `ssh_config(5)`: the names after `Host` that are no patterns.
    Ssh,
    /// An Ansible inventory in INI form.
    Ini,
    /// An Ansible inventory in YAML.
    Yaml,
}

/// The hosts that a list names, and what in it was passed over, in words.
pub fn read(format: Format, text: &str, sink: &mut Sink) -> (Hosts, Vec<String>) {
    let mut reader = Reader { hosts: Hosts::new(), passed: Vec::new(), sink };
    match format {
        Format::Plain => reader.plain(text),
        Format::Ssh => reader.ssh(text),
        Format::Ini => reader.ini(text),
        Format::Yaml => reader.yaml(text),
    }
    (reader.hosts, reader.passed)
}

struct Reader<'a> {
    hosts: Hosts,
    passed: Vec<String>,
    sink: &'a mut Sink,
}

/// What a group of an inventory says that its hosts are for, by its name. A fleet's web tier has many names; what is
/// called none of them serves no wikis.
fn role(group: &str) -> Role {
    let name = group.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match () {
        () if has(&["canar"]) => Role::Canary,
        () if has(&["debug"]) => Role::Debug,
        () if has(&["deploy"]) => Role::Deploy,
        () if has(&["app", "web", "wiki", "mw", "php"]) => Role::Appserver,
        () => Role::Other,
    }
}

/// The first words of a line, before a comment.
fn words(line: &str) -> Vec<&str> {
    let end = line.find(" #").unwrap_or(line.len());
    line[..end].split_whitespace().take_while(|word| !word.starts_with(['#', ';'])).collect()
}

impl Reader<'_> {
    /// The hosts of a name or a range; a mistake is noted.
    fn named(&mut self, line: usize, name: &str) -> Vec<HostName> {
        ranges::expand(name).unwrap_or_else(|why| {
            self.sink.add(Place { line: line as u64, column: 1 }, format!("`{name}`: {why}"));
            Vec::new()
        })
    }

    fn plain(&mut self, text: &str) {
        for (number, line) in (1..).zip(text.lines()) {
            for word in words(line) {
                let names = self.named(number, word.trim_end_matches(','));
                self.hosts.extend(names.into_iter().map(|name| (name, Listed::default())));
            }
        }
    }

    /// What is said of a host there holds by itself, as ssh reads the same file.
    fn ssh(&mut self, text: &str) {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.replacen('=', " ", 1);
            let words = words(&line);
            let Some((keyword, names)) = words.split_first() else { continue };
            if keyword.eq_ignore_ascii_case("match") || keyword.eq_ignore_ascii_case("include") {
                self.passed.push(format!("line {number}: {}", words.join(" ")));
            }
            if !keyword.eq_ignore_ascii_case("host") {
                continue;
            }
            for name in names.iter().filter(|name| !name.contains(['*', '?', '!'])) {
                let names = self.named(number, name);
                self.hosts.extend(names.into_iter().map(|name| (name, Listed::default())));
            }
        }
    }

    fn ini(&mut self, text: &str) {
        let mut section = String::new();
        for (number, line) in (1..).zip(text.lines()) {
            let words = words(line);
            let Some((first, variables)) = words.split_first() else { continue };
            if let Some(name) = first.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.to_owned();
                if section.contains(':') {
                    self.passed.push(format!("line {number}: [{section}]"));
                }
                continue;
            }
            if section.contains(':') {
                continue;
            }
            let pairs = variables.iter().filter_map(|pair| pair.split_once('='));
            let said = pairs.map(|(key, value)| (key, value.trim_matches(['"', '\'']).to_owned())).collect();
            self.add(number, first, (!section.is_empty()).then_some(section.as_str()), &said);
        }
    }

    /// A name or range of an inventory, with the group that it stands in and its variables.
    fn add(&mut self, line: usize, name: &str, group: Option<&str>, said: &BTreeMap<&str, String>) {
        // Ansible writes `[01:50]` where we write `[01-50]`; letters and steps are refused by name.
        let names = self.named(line, &name.replace(':', "-"));
        let group = group.filter(|group| !matches!(*group, "all" | "ungrouped"));
        for host in names {
            let listed = self.hosts.entry(host).or_default();
            listed.roles.extend(group.map(role));
            let take = |to: &mut Option<String>, keys: [&str; 2]| {
                let found = keys.into_iter().find_map(|key| said.get(key).cloned());
                *to = found.or_else(|| to.take());
            };
            take(&mut listed.address, ["ansible_host", "ansible_ssh_host"]);
            take(&mut listed.user, ["ansible_user", "ansible_ssh_user"]);
            let port = ["ansible_port", "ansible_ssh_port"].into_iter().find_map(|key| said.get(key));
            match port.map(|text| text.parse()) {
                Some(Ok(port)) => listed.port = Some(port),
                Some(Err(_)) => {
                    let place = Place { line: line as u64, column: 1 };
                    self.sink.add(place, format!("`{name}`: its port is not a number from 1 to 65535"));
                }
                None => {}
            }
        }
    }

    fn yaml(&mut self, text: &str) {
        match serde_saphyr::from_str::<Value>(text) {
            Ok(Value::Object(groups)) => groups.iter().for_each(|(name, group)| self.group(name, group, 0)),
            Ok(_) => self.sink.add(Place::default(), "an inventory is a mapping of groups"),
            Err(error) => self.sink.add(Place::default(), error.to_string()),
        }
    }

    fn group(&mut self, name: &str, group: &Value, depth: usize) {
        const DEPTH_MAX: usize = 16;
        if depth > DEPTH_MAX {
            return self.sink.add(Place::default(), format!("`{name}` is nested deeper than {DEPTH_MAX} groups"));
        }
        let Value::Object(keys) = group else { return };
        for (key, value) in keys {
            match (key.as_str(), value) {
                ("hosts", Value::Object(hosts)) => {
                    for (host, variables) in hosts {
                        let text = |value: &Value| match value {
                            Value::String(text) => text.clone(),
                            value => value.to_string(),
                        };
                        let said = variables.as_object().into_iter().flatten();
                        let said = said.map(|(key, value)| (key.as_str(), text(value))).collect();
                        self.add(0, host, Some(name), &said);
                    }
                }
                ("children", Value::Object(children)) => {
                    children.iter().for_each(|(name, group)| self.group(name, group, depth + 1));
                }
                _ => self.passed.push(format!("{name}: {key}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use std::path::Path;

    fn check(format: Format, text: &str, expected: Expect) {
        let mut sink = Sink::new(Path::new("list"));
        let (hosts, passed) = read(format, text, &mut sink);
        let mut lines: Vec<String> = hosts.iter().map(|(name, listed)| line(name, listed)).collect();
        lines.extend(passed.iter().map(|passed| format!("passed over: {passed}")));
        if let Err(mistakes) = sink.finish(Some(())) {
            lines.push(mistakes.to_string());
        }
        expected.assert_eq(&lines.join("\n"));
    }

    fn line(name: &HostName, listed: &Listed) -> String {
        let Listed { roles, user, address, port } = listed;
        let mut line = format!("{name} {roles:?}");
        let port = port.map(|port| port.to_string());
        for (key, value) in [("user", user), ("address", address), ("port", &port)] {
            line += &value.as_ref().map_or(String::new(), |value| format!(" {key}={value}"));
        }
        line
    }

    #[test]
    fn a_plain_list_has_names_and_ranges() {
        let text = "# the web tier\nmw[2001-2002].codfw.wmnet\nmw1017.eqiad.wmnet  # debug\n\n-oProxyCommand=x\n";
        check(
            Format::Plain,
            text,
            expect![[r#"
                mw1017.eqiad.wmnet {}
                mw2001.codfw.wmnet {}
                mw2002.codfw.wmnet {}
                list:5:1: `-oProxyCommand=x`: not a host name: it may not begin or end a label with `-`"#]],
        );
    }

    #[test]
    fn an_ssh_configuration_gives_its_names() {
        let text = "Include other\nHost *\n  User deploy\nHost mw1 mw2 !mw3 db?\n  Port 2222\nhost=mw4\nMatch all\n";
        check(
            Format::Ssh,
            text,
            expect![[r#"
                mw1 {}
                mw2 {}
                mw4 {}
                passed over: line 1: Include other
                passed over: line 7: Match all"#]],
        );
    }

    const INI: &str = "\
gw1 ansible_host=10.0.0.1
[appservers]
mw[01:03].codfw.example ansible_user=deploy ansible_port=2222
[canaries]
mw01.codfw.example
[db-masters]
db1.codfw.example ansible_port=x
[appservers:vars]
ansible_user=root
[web-letters]
web[a:c].example
";

    #[test]
    fn an_inventory_gives_roles_by_the_names_of_its_groups() {
        check(
            Format::Ini,
            INI,
            expect![[r#"
                db1.codfw.example {Other}
                gw1 {} address=10.0.0.1
                mw01.codfw.example {Canary, Appserver} user=deploy port=2222
                mw02.codfw.example {Appserver} user=deploy port=2222
                mw03.codfw.example {Appserver} user=deploy port=2222
                passed over: line 8: [appservers:vars]
                list:7:1: `db1.codfw.example`: its port is not a number from 1 to 65535
                list:11:1: `web[a-c].example`: it is not a range like `[2001-2020]`"#]],
        );
    }

    #[test]
    fn an_inventory_in_yaml_is_the_same() {
        let text = "\
all:
  vars: {ansible_user: root}
  hosts:
    gw1: {ansible_host: 10.0.0.1}
  children:
    appservers:
      hosts:
        mw[01:02].codfw.example: {ansible_port: 2222}
      children:
        canaries: {hosts: {mw01.codfw.example: }}
";
        check(
            Format::Yaml,
            text,
            expect![[r#"
                gw1 {} address=10.0.0.1
                mw01.codfw.example {Canary, Appserver} port=2222
                mw02.codfw.example {Appserver} port=2222
                passed over: all: vars"#]],
        );
        check(Format::Yaml, "[a, b]", expect!["list: an inventory is a mapping of groups"]);
    }
}
