//! The agent at the end of a wire, over bytes in memory.

use super::bench::{Controller, component, look, memory, tree};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::memfs::MemFs;
use crate::agent::session::{self, SessionError};
use crate::model::protocol::{Command, Held, Level, Readiness, Refusal, Reply};
use crate::model::signed::Signing;
use crate::wire::message::{Sending, ToAgent, ToController, preface};
use crate::wire::sync_io::{read_message, write_blob, write_message};
use proptest::prelude::*;
use std::path::PathBuf;

const NONCE: &str = "0123456789abcdef0123456789abcdef";

fn talk(agent: &mut Agent<MemFs>, bytes: &[u8]) -> (Result<(), SessionError>, Vec<ToController>) {
    talk_with(agent, session::Offers::default(), bytes)
}

fn talk_with(
    agent: &mut Agent<MemFs>,
    offers: session::Offers,
    bytes: &[u8],
) -> (Result<(), SessionError>, Vec<ToController>) {
    let mut answers = Vec::new();
    let ended = session::run(agent, offers, &mut &*bytes, &mut answers);
    let mut answers = answers.as_slice();
    let mut read = Vec::new();
    while let Ok(answer) = read_message(&mut answers) {
        read.push(answer);
    }
    (ended, read)
}

fn hello(root: &str, state: &str, nonce: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let hello = ToAgent::Hello {
        nonce: nonce.to_owned(),
        root: PathBuf::from(root),
        state: PathBuf::from(state),
        offers: Vec::new(),
    };
    write_message(&mut bytes, &hello).expect("written");
    bytes
}

#[test]
fn a_question_is_answered_and_the_session_goes_on() {
    use crate::model::question::{Answer, Question};
    let mut bytes = Vec::new();
    for question in [
        Question::Facts { logs: Vec::new() },
        Question::Tail { file: "/gone".into(), from: None, bytes_max: 1 },
        Question::Plugin { argv: Vec::new(), deadline_ms: 1 },
    ] {
        write_message(&mut bytes, &ToAgent::Ask(question)).expect("written");
    }
    write_message(&mut bytes, &ToAgent::Peek(look(&[], Level::L1))).expect("written");
    let mut agent = Agent::new(memory());
    let before = agent.fs.fingerprint();
    let (ended, answers) = talk(&mut agent, &bytes);
    assert!(ended.is_ok());
    let [facts, tail, plugin, seen] = &answers[..] else { panic!("{answers:?}") };
    assert!(matches!(facts, ToController::Answer(Answer::Facts(_))), "{facts:?}");
    assert!(matches!(tail, ToController::Answer(Answer::Tail(tail)) if tail.next.is_none()), "{tail:?}");
    assert!(matches!(plugin, ToController::Answer(Answer::Failed(_))), "{plugin:?}");
    assert!(matches!(seen, ToController::Reply(Reply::Observed(_))), "{seen:?}");
    assert_eq!(agent.fs.fingerprint(), before, "a question changes nothing");
}

#[test]
fn the_greeting_repeats_the_nonce_and_checks_the_directories() {
    let mut answer = Vec::new();
    let greeting = session::greet(&mut hello("/srv/mw", "/var/p", NONCE).as_slice(), &mut answer).expect("greeted");
    assert_eq!((greeting.root, greeting.state), (PathBuf::from("/srv/mw"), PathBuf::from("/var/p")));
    assert_eq!(greeting.offers, session::Offers::default(), "an older controller has none");
    let mut rest = answer.strip_prefix(preface(NONCE).as_slice()).expect("the preface comes first");
    let hello: ToController = read_message(&mut rest).expect("a hello");
    assert!(matches!(hello, ToController::Hello { nonce, wire_major: 1, .. } if nonce == NONCE));
    let bad = [("srv", "/var/p"), ("/srv/../etc", "/var/p"), ("/", "/var/p"), ("/srv", "/srv/state"), ("/srv", "p")];
    for (root, state) in bad {
        let mut answer = Vec::new();
        let refused = session::greet(&mut self::hello(root, state, NONCE).as_slice(), &mut answer);
        assert!(matches!(refused, Err(SessionError::Hello(_))), "{root} {state}");
        assert!(answer.is_empty());
    }
    assert!(session::greet(&mut self::hello("/srv", "/var/p", "$(id)").as_slice(), &mut Vec::new()).is_err());
}

fn prepare_bytes(controller: &mut Controller, tree: &super::bench::Tree, blobs: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (stamp, expect) = (controller.stamp(), controller.expect());
    let command = Command::Prepare { stamp, expect, want: tree.want(), build: Vec::new(), signing: Signing::default() };
    write_message(&mut bytes, &ToAgent::Command(command)).expect("written");
    write_blob(&mut bytes, &mut tree.manifest.to_bytes().as_slice()).expect("written");
    for blob in blobs {
        write_blob(&mut bytes, &mut &**blob).expect("written");
    }
    bytes
}

#[test]
fn a_conversation_with_a_transfer_in_it() {
    let mut agent = Agent::new(memory());
    let tree = component("conf", &[("a", "one", false), ("b", "", false)]);
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    let mut bytes = prepare_bytes(&mut controller, &tree, &[b"one"]);
    write_message(&mut bytes, &ToAgent::Peek(look(&[tree.want()], Level::L1))).expect("written");
    let (ended, answers) = talk(&mut agent, &bytes);
    ended.expect("to its end");
    let [
        ToController::Need { digests, held: None, fetches: false },
        ToController::Reply(prepared),
        ToController::Reply(seen),
    ] = &answers[..]
    else {
        panic!("{answers:?}");
    };
    assert_eq!(digests.len(), 1);
    assert!(matches!(prepared, Reply::Prepared { readiness: Readiness::Ready { files: 2, bytes: 3, .. } }));
    assert!(matches!(seen, Reply::Observed(seen) if seen.readiness[0].1.is_ready()));
}

#[test]
fn a_refused_prepare_asks_for_nothing_and_the_session_goes_on() {
    let mut agent = Agent::new(memory());
    let tree = component("conf", &[("a", "one", false)]);
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    let mut stale = controller.clone();
    Controller::new(2).observe(&mut agent, &[]).expect("obeyed");
    let mut bytes = prepare_bytes(&mut stale, &tree, &[]);
    write_message(&mut bytes, &ToAgent::Peek(look(&[], Level::L1))).expect("written");
    let (ended, answers) = talk(&mut agent, &bytes);
    ended.expect("to its end");
    assert!(matches!(answers[0], ToController::Reply(Reply::Refused(Refusal::Fenced(_)))), "{answers:?}");
    assert!(matches!(answers[1], ToController::Reply(Reply::Observed(_))));
}

#[test]
fn s21_wrong_bytes_in_a_transfer_are_refused_and_end_the_session() {
    for blob in [&b"two"[..], b"three", b"o", b""] {
        let mut agent = Agent::new(memory());
        let tree = component("conf", &[("a", "one", false)]);
        let mut controller = Controller::new(1);
        controller.observe(&mut agent, &[]).expect("obeyed");
        let (ended, answers) = talk(&mut agent, &prepare_bytes(&mut controller, &tree, &[blob]));
        assert!(matches!(ended, Err(SessionError::Refused)), "{ended:?}");
        assert!(matches!(answers[1], ToController::Reply(Reply::Refused(Refusal::Failed(_)))), "{answers:?}");
        let left = agent.fs.list(&Place::root(".pointsman-staging"));
        assert_eq!(left.expect("there"), [], "nothing is left behind");
    }
}

#[test]
fn a_bundle_on_what_cannot_be_read_is_refused_and_ends_the_session() {
    let mut agent = Agent::new(memory());
    let (conf, old) = (component("conf", &[("a", "one", false)]), tree("1.27.0-wmf.10"));
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    controller.prepare(&mut agent, &old, old.want(), &[]).expect("prepared");
    agent.fs.remove_tree(&Place::root("php-1.27.0-wmf.10")).expect("removed");
    agent.fs.remove_file(&Place::state("index/php-1.27.0-wmf.10")).expect("removed");
    agent.fs.make_dir(&Place::state("index/php-1.27.0-wmf.10")).expect("made");
    let mut bytes = prepare_bytes(&mut controller, &conf, &[]);
    let base = Some(Held { component: old.component.clone(), id: old.manifest.id() });
    write_message(&mut bytes, &ToAgent::Send(Sending::Bundle { base, groups: Vec::new() })).expect("written");
    let (ended, answers) = talk_with(&mut agent, session::Offers { bundles: true, packed: false }, &bytes);
    assert!(matches!(ended, Err(SessionError::Refused)), "{ended:?} {answers:?}");
    let [ToController::Need { digests, held: Some(_), .. }, ToController::Reply(Reply::Refused(why))] = &answers[..]
    else {
        panic!("{answers:?}");
    };
    assert!(digests.len() == 1 && matches!(why, Refusal::Failed(_)), "{why}");
}

#[test]
fn a_stream_that_is_cut_anywhere_ends_without_an_effect() {
    let tree = tree("1.27.0-wmf.10");
    let host = {
        let mut agent = Agent::new(memory());
        Controller::new(1).observe(&mut agent, &[]).expect("obeyed");
        agent.fs
    };
    let mut controller = Controller::new(2);
    controller.observe(&mut Agent::new(host.clone()), &[]).expect("obeyed");
    let incarnation = controller.expect();
    let mut agent = Agent::new(host.clone());
    let mut fresh = Controller { expect: Some(incarnation), ..Controller::new(3) };
    let needs = fresh.begin(&mut agent, &tree, tree.want()).expect("begun").needs().to_vec();
    let blobs: Vec<&[u8]> = needs.iter().map(|digest| tree.files[digest].as_slice()).collect();
    let bytes = prepare_bytes(&mut controller, &tree, &blobs);
    for cut in 1..bytes.len() {
        let mut agent = Agent::new(host.clone());
        let (ended, _) = talk(&mut agent, &bytes[..cut]);
        assert!(ended.is_err(), "cut at {cut}");
        let seen = super::bench::readiness(&agent, &tree.want(), Level::L1);
        assert_eq!(seen, Readiness::Absent, "cut at {cut}");
    }
    let (ended, _) = talk(&mut Agent::new(host), &bytes);
    ended.expect("whole");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..200_usize) {
        let _ = talk(&mut Agent::new(memory()), &bytes);
        let mut flipped = hello("/srv/mw", "/var/p", NONCE);
        let at = at % flipped.len();
        flipped[at] ^= bytes.first().copied().unwrap_or(1);
        let _ = session::greet(&mut flipped.as_slice(), &mut Vec::new());
    }
}
