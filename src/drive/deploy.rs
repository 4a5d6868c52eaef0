//! What a command needs of the deploy host: the site, the fleet and the content store; and who asks.

use super::mirrors::Mirrors;
use super::notify::Notifier;
use crate::config::policy::Policy;
use crate::fleet::Fleet;
use crate::model::ids::PlaybookId;
use crate::plan::permit::Person;
use crate::store::writer;
use crate::tree::content::ContentStore;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// The deploy host, opened for one command.
pub struct Deploy {
    /// The site.
    pub policy: Policy,
    /// Its hosts.
    pub fleet: Arc<Fleet>,
    /// What the books want lies here, whatever staging looks like.
    pub content: ContentStore,
    /// Where hosts can fetch content.
    pub mirrors: Arc<Mirrors>,
    /// Who is told of what became of it.
    pub notifier: Arc<Notifier>,
    /// For which run of a playbook; `None`: a person or a timer typed it.
    pub playbook: Option<PlaybookId>,
}

/// Who runs this, as `user@deploy-host`: the name of the real uid (an environment variable could be forged) and this host's.
/// The system is asked once, and only where it matters.
pub fn who() -> &'static str {
    static WHO: OnceLock<String> = OnceLock::new();
    WHO.get_or_init(|| format!("{}@{}", own_name(), rustix::system::uname().nodename().to_string_lossy()))
}

/// Who runs this, for the rules of groups.yaml: the real uid's name, and its groups as the system lists them. Asked once: a
/// process stays the same person's.
pub fn person() -> Person {
    static PERSON: OnceLock<Person> = OnceLock::new();
    let asked = || {
        let name = own_name().to_owned();
        Person { groups: names("-Gnz", &name), name }
    };
    PERSON.get_or_init(asked).clone()
}

fn own_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| writer::user(rustix::process::getuid().as_raw()))
}

/// Somebody who is known by name only, at the board. Two names of one uid are the same person.
pub fn person_named(name: &str) -> Person {
    let own = names("-un", name).into_iter().next();
    Person { groups: names("-Gnz", name), name: own.unwrap_or_else(|| name.to_owned()) }
}

/// What the system says of a user. Names of groups may have spaces in them, so each ends with a NUL character. Its exit code is
/// no matter: it is 1 too when one of the groups has no name. None at all: it knows no such user, or does not say it in time.
fn names(what: &str, name: &str) -> BTreeSet<String> {
    let text = String::from_utf8(writer::id(what, name)).unwrap_or_default();
    text.split(['\0', '\n']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Who holds the lock: [`who`] and the process.
pub fn holder() -> String {
    format!("{} pid {}", who(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s09_groups_are_those_of_the_system_and_a_name_is_no_option() {
        let root = person_named("root");
        assert_eq!((root.name.as_str(), root.groups.contains("root")), ("root", true));
        for nobody in ["no-such-user", "-a", "--help", "", "root daemon", "root\0daemon"] {
            assert_eq!(person_named(nobody), Person { name: nobody.to_owned(), groups: BTreeSet::new() });
        }
    }
}
