//! The incident of 2016-01-23 as a list of scenes: what is said, what is typed, and what must be true afterwards.
//!
//! Invariant: only words and expectations stand here. What a command says comes from the command itself, and a scene
//! whose expectation does not hold ends the demo.

use crate::demo::fleet::VERSIONS;

/// The host that was reinstalled.
pub const REINSTALLED: &str = "mw2020.codfw.wmnet";
/// The host that loses files in the middle of a promotion.
pub const UNLUCKY: &str = "mw1019.eqiad.wmnet";
/// What the train carries; of [`VERSIONS`] the one that comes after the one everybody starts with.
pub const TRAIN: &str = VERSIONS[2];
/// The version in which the train's fault is repaired.
pub const FIX: &str = VERSIONS[3];
/// The blocker that the gate new-errors opens: [`crate::gate::signature::id`] of the train's new signature.
pub const BLOCKER: &str = "dfbf8897";

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// A few sentences.
    Say(&'static str),
    /// A command, without the program's name, and the exit code that it must have.
    Type(&'static [&'static str], u8),
    /// Hosts are asked over HTTP for a few wikis: so many groups, from the first on, must serve this version.
    Ask(usize, &'static str),
    /// Hosts are asked over HTTP for every wiki there is, with the same expectation.
    AskAll(usize, &'static str),
    /// [`REINSTALLED`] becomes a new machine under its old name.
    Reinstall,
    /// [`UNLUCKY`] loses what it needs for [`FIX`] as soon as it serves that.
    Accident,
}

use Scene::{Accident, Ask, AskAll, Reinstall, Say, Type};

/// Why history goes on in spite of what gates say.
const ERRORS: &str = "--override=errors=history is replayed";
const NEW_ERRORS: &str = "--override=new-errors=history is replayed";

/// The whole walk.
pub const STORY: &[Scene] = &[
    Say("Every host starts empty. Staging holds four versions; what it holds becomes what every host must have: the
code, and the localisation that each host builds for itself from it. It is brought there and proven."),
    Type(&["sync-common", "--from-staging", "-m", "cut of 1.27.0-wmf.12", "--yes", "--quiet"], 0),
    Ask(0, TRAIN),
    Say("2016-01-19: the train. A promotion first proves, on every host, the version it goes to and the one it would come
back to. Then it goes in waves, and asks the gates of groups.yaml after each: pages, versions that are really served,
counts of errors, log lines that nobody has seen before. Visitors come to all hosts all the time. In 2016 a new line
was in the logs of group0 for 18 hours before group1 went; nobody had to look."),
    Type(&["promote", "group0", TRAIN, "-m", "train of the week", "--yes", "--quiet"], 3),
    Ask(0, TRAIN),
    Say("The line is on every switched host and on no other: it is the release, and so everything was taken back. What it
was is a blocker from now on, and nobody promotes this version again without seeing what was found."),
    Type(&["blocker", "list"], 0),
    Type(&["promote", "group0", TRAIN, "-m", "once more", "--yes", "--quiet"], 10),
    Say("In 2016 it went on, so here is what that takes: the blocker is closed by a person, and gates are overruled with a
reason that stays on the books. Two wikis are pinned to 1.27.0-wmf.9; in 2016 group1's promotion moved them along
unseen. Here they are stepped around, and named."),
    Type(&["blocker", "close", BLOCKER, "-m", "history is replayed"], 0),
    Type(&["promote", "group0", TRAIN, "-m", "train of the week", "--yes", "--quiet"], 10),
    Type(
        &[
            "promote", "group0", TRAIN, "-m", "train of the week", "--again", "--reason", "history is replayed",
            NEW_ERRORS, ERRORS, "--yes", "--quiet",
        ],
        0,
    ),
    Type(&["promote", "group1", TRAIN, "-m", "train of the week", NEW_ERRORS, ERRORS, "--yes", "--quiet"], 0),
    Type(&["promote", "group2", TRAIN, "-m", "train of the week", NEW_ERRORS, ERRORS, "--yes", "--quiet"], 0),
    Ask(3, TRAIN),
    Say("01-22: mw2020.codfw.wmnet comes back as a new machine. Its reinstall fetched all code, and built localisation for
the versions that were active at that moment. So it serves 1.27.0-wmf.11 well, and lacks what 1.27.0-wmf.10 needs."),
    Reinstall,
    Ask(3, TRAIN),
    Say("In 2016 nothing looked at this, and so nobody knew. Here a look is enough:"),
    Type(&["check"], 7),
    Say("01-23 01:02: sessions are lost all over the world, and everything has to go back. In 2016 all wikis went back at
01:16, mw2020 failed for want of localisation, and since its errors looked like the release's, the whole fleet was
moved forward again to the broken version: 17 minutes for one host. Here the host is named and repaired beside the
others, and no host is switched before it has proven what it goes to."),
    Type(&["rollback", "-m", "sessions are lost", "--yes"], 0),
    Say("Is it true? Every host is asked over HTTP for every wiki, the two pinned ones among them."),
    AskAll(0, TRAIN),
    Say("Nobody moves forward again by mistake: the rollback has set a hold."),
    Type(&["promote", "group0", TRAIN, "-m", "once more", "--yes"], 10),
    Say("The next version repairs it. It is sound, and this time something happens to one host, in the middle of the
promotion: mw1019.eqiad.wmnet loses its localisation after it was proven. In 2016 such a host's errors moved the whole
fleet. Here all errors come from one of the switched hosts, a second look at its files says why, and the release
goes on without it. A person has seen that the repair is in, and lets go of the hold."),
    Type(&["release"], 0),
    Say("The rollback brought mw2020.codfw.wmnet what it needed to go back, and nothing else; now it gets the rest."),
    Type(&["sync-common", REINSTALLED, "--yes", "--quiet"], 0),
    Accident,
    Type(&["promote", "group0", FIX, "-m", "sessions are repaired", "--yes", "--quiet"], 0),
    Say("What it lacks is brought to it, and it serves like the others:"),
    Type(&["converge", "--yes", "--quiet"], 0),
    Ask(1, FIX),
    Type(&["status"], 0),
];

/// A command as a person would type it.
pub fn typed(arguments: &[&str]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c);
    let quoted = arguments.iter().map(|argument| match !argument.is_empty() && argument.chars().all(plain) {
        true => (*argument).to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    });
    quoted.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn commands_can_be_typed_as_they_are_shown() {
        expect!["rollback -m 'sessions are lost' --yes"].assert_eq(&typed(&[
            "rollback",
            "-m",
            "sessions are lost",
            "--yes",
        ]));
        expect![r"-C '/tmp/a b' '' 'it'\''s'"].assert_eq(&typed(&["-C", "/tmp/a b", "", "it's"]));
    }

    #[test]
    fn the_story_tells_of_the_version_that_the_fleet_has() {
        assert_eq!(TRAIN, "1.27.0-wmf.11");
        let promoted = STORY.iter().filter(|scene| matches!(scene, Type(["promote", _, TRAIN, ..], 0)));
        assert_eq!(promoted.count(), 3, "all groups go forward");
        let (class, message) = crate::demo::session::LOST;
        let signature = format!("session: {class}: {message}");
        assert_eq!(BLOCKER, crate::gate::signature::id(&signature), "the blocker that is closed is the one that opens");
        let back = STORY.iter().position(|scene| matches!(scene, Type(["rollback", ..], 0)));
        let asked = STORY.iter().rposition(|scene| matches!(scene, AskAll(0, _)));
        assert!(back < asked, "and what came of the rollback is asked");
        assert!(STORY.iter().all(|scene| !matches!(scene, Say(text) if text.lines().any(|line| line.len() > 120))));
    }
}
