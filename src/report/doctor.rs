//! What an examination of this machine and the fleet found, a line a finding, the same finding of several hosts once.

use super::escape::Untrusted;
use super::words::names;
use crate::model::names::HostName;
use crate::model::ranges::fold;
use crate::model::words::count;
use serde::Serialize;
use std::collections::BTreeSet;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As it should be.
    Well,
    /// It works, and may not later.
    Doubt,
    /// A command would fail on it.
    Bad,
}

/// What was examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The OpenSSH client and its keys.
    Ssh,
    /// What groups.yaml lets this user do.
    Rights,
    /// The books.
    Books,
    /// The source trees.
    Staging,
    /// Programs that commands call here.
    Tools,
    /// This machine's clock.
    Clock,
    /// A host.
    Hosts,
    /// A gate's source.
    Gates,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Rights => "rights",
            Self::Books => "books",
            Self::Staging => "staging",
            Self::Tools => "tools",
            Self::Clock => "clock",
            Self::Hosts => "hosts",
            Self::Gates => "gates",
        }
    }
}

/// One finding. Its texts may hold what others wrote; they are made harmless here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How it is.
    pub grade: Grade,
    /// What was examined.
    pub part: Part,
    /// What was found.
    pub said: String,
    /// What to do about it.
    pub mend: Option<String>,
    /// At which hosts; empty: here.
    pub hosts: BTreeSet<HostName>,
}

impl Finding {
    /// All is well.
    pub fn well(part: Part, said: impl Into<String>) -> Self {
        Self { grade: Grade::Well, part, said: said.into(), mend: None, hosts: BTreeSet::new() }
    }

    /// Something may fail later.
    pub fn doubt(part: Part, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { grade: Grade::Doubt, mend: Some(mend.into()), ..Self::well(part, said) }
    }

    /// Something would fail.
    pub fn bad(part: Part, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, mend: Some(mend.into()), ..Self::well(part, said) }
    }

    /// The same at a host.
    pub fn at(mut self, host: &HostName) -> Self {
        self.hosts.insert(host.clone());
        self
    }
}

/// Findings that differ in their hosts only become one; what is bad comes last, where a terminal shows it.
pub fn gathered(findings: Vec<Finding>) -> Vec<Finding> {
    let mut gathered: Vec<Finding> = Vec::new();
    for finding in findings {
        let same = |other: &&mut Finding| {
            (other.grade, other.part, &other.said, &other.mend)
                == (finding.grade, finding.part, &finding.said, &finding.mend)
        };
        match gathered.iter_mut().find(same) {
            Some(other) => other.hosts.extend(finding.hosts),
            None => gathered.push(finding),
        }
    }
    gathered.sort_by_key(|finding| (finding.grade, finding.part));
    gathered
}

/// One finding as a line or two.
pub fn text(finding: &Finding) -> String {
    let grade = match finding.grade {
        Grade::Well => "ok  ",
        Grade::Doubt => "warn",
        Grade::Bad => "BAD ",
    };
    let hosts: Vec<HostName> = finding.hosts.iter().cloned().collect();
    let about = match hosts.as_slice() {
        [] => finding.part.name().to_owned(),
        hosts => fold(hosts),
    };
    let mend = finding.mend.as_ref().map_or(String::new(), |mend| format!("\n      mend: {}", Untrusted(mend)));
    format!("{grade}  {about}: {}{mend}", Untrusted(&finding.said))
}

/// The last line.
pub fn summary(findings: &[Finding]) -> String {
    let of = |grade| findings.iter().filter(move |finding| finding.grade == grade);
    let parts: BTreeSet<&str> = of(Grade::Bad).map(|finding| finding.part.name()).collect();
    match (of(Grade::Bad).count(), of(Grade::Doubt).count()) {
        (0, 0) => "all is well".to_owned(),
        (0, doubts) => format!("nothing is wrong; {} to look at", count(doubts, "thing")),
        (bad, _) => format!("{} to mend first: {}", count(bad, "thing"), names(parts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_same_at_several_hosts_is_said_once_and_the_worst_last() {
        let host = |name: &str| name.parse().expect("a host");
        let denied = |name: &str| Finding::bad(Part::Hosts, "permission denied", "ssh\nmw").at(&host(name));
        let findings = gathered(vec![
            denied("mw2001.codfw.wmnet"),
            Finding::well(Part::Hosts, "answers").at(&host("mw1017")),
            denied("mw2002.codfw.wmnet"),
            Finding::doubt(Part::Tools, "there is no php", "apt-get install php-cli"),
            Finding::well(Part::Ssh, "OpenSSH 9.2"),
        ]);
        let text: Vec<String> = findings.iter().map(text).collect();
        expect![[r#"
            ok    ssh: OpenSSH 9.2
            ok    mw1017: answers
            warn  tools: there is no php
                  mend: apt-get install php-cli
            BAD   mw[2001-2002].codfw.wmnet: permission denied
                  mend: ssh\u{a}mw
            1 thing to mend first: hosts"#]]
        .assert_eq(&format!("{}\n{}", text.join("\n"), summary(&findings)));
        assert_eq!(summary(&findings[..2]), "all is well");
        assert_eq!(summary(&findings[..3]), "nothing is wrong; 1 thing to look at");
    }
}
