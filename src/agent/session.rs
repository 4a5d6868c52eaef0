//! The agent at the end of a wire: reads requests, answers, and ends when the requests end.
//!
//! Invariant: whatever comes in, the answer is a reply or the end, never a panic. After a refusal in the middle of a
//! transfer the session ends, since the files that are still on their way belong to nobody.

use super::Agent;
use super::hostfs::HostFs;
use super::prepare::Transfer;
use super::serve::Shelf;
use crate::model::component::Want;
use crate::model::limits::MESSAGE_BYTES_MAX;
use crate::model::protocol::{Command, Expect, Held, Refusal, Reply, Stamp};
use crate::model::signed::Signing;
use crate::tree::listing;
use crate::wire::frame::WireError;
use crate::wire::message::{self, BUNDLES, PACKED, Sending, ToAgent, ToController, WIRE_MAJOR};
use crate::wire::said::Said;
use crate::wire::serve::Served;
use crate::wire::sync_io::{BlobReader, read_blob, read_body, read_message, write_message};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Why a session ended before its requests did.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The stream broke or is not the protocol.
    #[error("the stream broke")]
    Wire(#[from] WireError),
    /// Nothing can be written any more.
    #[error("nobody reads the answers")]
    Io(#[from] io::Error),
    /// The first message is not a hello that can be obeyed; the text says why.
    #[error("{0}")]
    Hello(&'static str),
    /// A transfer was refused half-way.
    #[error("a transfer was refused half-way")]
    Refused,
}

/// Whether the session goes on.
enum Next {
    Request,
    End,
}

/// What a hello says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The deploy root.
    pub root: PathBuf,
    /// The agent's state directory.
    pub state: PathBuf,
    /// What the controller can do.
    pub offers: Offers,
}

/// What a controller can do beyond the first form of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offers {
    /// It can send bundles.
    pub bundles: bool,
    /// It understands packed replies.
    pub packed: bool,
}

/// Reads the hello and answers it.
pub fn greet(from: &mut impl Read, to: &mut impl Write) -> Result<Greeting, SessionError> {
    let ToAgent::Hello { nonce, root, state, offers } = read_message(from)? else {
        return Err(SessionError::Hello("the first message is not a hello"));
    };
    if !message::is_nonce(&nonce) {
        return Err(SessionError::Hello("the nonce is not one"));
    }
    if !is_plain(&root) || !is_plain(&state) || state.starts_with(&root) {
        return Err(SessionError::Hello("the directories are not absolute, normalised and apart from each other"));
    }
    to.write_all(&message::preface(&nonce))?;
    let (agent_version, arch) = (env!("CARGO_PKG_VERSION").to_owned(), std::env::consts::ARCH.to_owned());
    write_message(to, &ToController::Hello { nonce, wire_major: WIRE_MAJOR, agent_version, arch })?;
    to.flush()?;
    let has = |name: &str| offers.iter().any(|offer| offer == name);
    Ok(Greeting { root, state, offers: Offers { bundles: has(BUNDLES), packed: has(PACKED) } })
}

/// Absolute and without `.` or `..`, as no directory of a policy has them.
fn is_plain(path: &Path) -> bool {
    use std::path::Component::{Normal, RootDir};
    path.is_absolute() && path.components().all(|part| matches!(part, RootDir | Normal(_))) && path != Path::new("/")
}

/// How the conversation goes.
struct Talk {
    offers: Offers,
    said: Said,
}

impl Talk {
    fn hear(&mut self, from: &mut impl Read) -> Result<ToAgent, WireError> {
        let body = read_body(from)?;
        let plain = self.said.unpack(&body, MESSAGE_BYTES_MAX)?;
        let request = message::decode(&plain)?;
        self.said.note(&plain);
        Ok(request)
    }

    fn reply(&mut self, to: &mut impl Write, reply: Reply) -> Result<(), SessionError> {
        let body = message::body(&ToController::Reply(reply))?;
        let packed = match self.offers.packed {
            true => self.said.pack(body.clone()),
            false => body.clone(),
        };
        self.said.note(&body);
        Ok(to.write_all(&message::frames(&packed))?)
    }
}

/// Answers requests until they end.
pub fn run<F: HostFs>(
    agent: &mut Agent<F>,
    offers: Offers,
    from: &mut impl Read,
    to: &mut impl Write,
) -> Result<(), SessionError> {
    // What is served ends with the session.
    let mut shelf = Shelf::default();
    let mut talk = Talk { offers, said: Said::default() };
    loop {
        let request = match talk.hear(from) {
            Ok(request) => request,
            Err(WireError::Ended) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let served = match &request {
            ToAgent::Serve(order) => Some(shelf.serve(&agent.fs, order)),
            ToAgent::Shelve(order) => Some(shelf.shelve(&agent.fs, order, from)?),
            _ => None,
        };
        if let Some(served) = served {
            write_message(to, &ToController::Served(Served { refused: served.err(), shelves: true }))?;
            to.flush()?;
            continue;
        }
        match answer(agent, &mut talk, request, from, to)? {
            Next::Request => to.flush()?,
            Next::End => {
                to.flush()?;
                return Err(SessionError::Refused);
            }
        }
    }
}

fn answer<F: HostFs>(
    agent: &mut Agent<F>,
    talk: &mut Talk,
    request: ToAgent,
    from: &mut impl Read,
    to: &mut impl Write,
) -> Result<Next, SessionError> {
    let reply = match request {
        ToAgent::Hello { .. } => return Err(SessionError::Hello("a second hello")),
        ToAgent::Serve(_) | ToAgent::Shelve(_) | ToAgent::Send(_) => {
            return Err(SessionError::Hello("files that nobody waits for"));
        }
        ToAgent::Peek(peek) => match agent.peek(&peek) {
            Ok(observation) => Reply::Observed(Box::new(observation)),
            Err(refusal) => Reply::Refused(refusal),
        },
        ToAgent::Command(Command::Prepare { stamp, expect, want, build, signing }) => {
            return prepare(agent, talk, (stamp, expect, want, signing), &build, from, to);
        }
        ToAgent::Command(command) => agent.command(&command),
        ToAgent::Ask(question) => {
            write_message(to, &ToController::Answer(agent.answer(&question)))?;
            return Ok(Next::Request);
        }
    };
    talk.reply(to, reply)?;
    Ok(Next::Request)
}

fn prepare<F: HostFs>(
    agent: &mut Agent<F>,
    talk: &mut Talk,
    (stamp, expect, want, signing): (Stamp, Expect, Want, Signing),
    build: &[String],
    from: &mut impl Read,
    to: &mut impl Write,
) -> Result<Next, SessionError> {
    let mut bytes = Vec::new();
    read_blob(from, MESSAGE_BYTES_MAX as u64, &mut bytes)?;
    let manifest =
        listing::read(&bytes, MESSAGE_BYTES_MAX).map_err(|why| Refusal::Failed(format!("the manifest: {why}")));
    drop(bytes);
    let begun = manifest.and_then(|manifest| agent.prepare_begin(stamp, &expect, want, manifest, &signing));
    let held = begun.and_then(|transfer| Ok((transfer, talk.offers.bundles.then(|| agent.held()).transpose()?)));
    let (mut transfer, held) = match held {
        Ok(begun) => begun,
        Err(refusal) => {
            talk.reply(to, Reply::Refused(refusal))?;
            return Ok(Next::Request);
        }
    };
    let received = match held {
        Some(held) => receive_sent(agent, &mut transfer, held, from, to)?,
        None => {
            need(&transfer, None, to)?;
            receive_files(agent, &mut transfer, from)?
        }
    };
    match received {
        Ok(()) => {
            let reply = agent.prepare_finish(transfer, build);
            talk.reply(to, reply)?;
            Ok(Next::Request)
        }
        Err(refusal) => {
            agent.prepare_abandon(&transfer);
            talk.reply(to, Reply::Refused(refusal))?;
            Ok(Next::End)
        }
    }
}

/// Says which files the host lacks still.
fn need(transfer: &Transfer, held: Option<Vec<Held>>, to: &mut impl Write) -> Result<(), SessionError> {
    let fetches = held.is_some();
    write_message(to, &ToController::Need { digests: transfer.needs(), held, fetches })?;
    Ok(to.flush()?)
}

/// Takes what is needed in whatever form the controller sends it. Within: why the host cannot go on.
fn receive_sent<F: HostFs>(
    agent: &mut Agent<F>,
    transfer: &mut Transfer,
    mut held: Vec<Held>,
    from: &mut impl Read,
    to: &mut impl Write,
) -> Result<Result<(), Refusal>, SessionError> {
    loop {
        need(transfer, Some(held.clone()), to)?;
        if transfer.pending() == 0 {
            return Ok(Ok(()));
        }
        let received = match read_message(from)? {
            ToAgent::Send(Sending::Files) => return receive_files(agent, transfer, from),
            ToAgent::Send(Sending::Fetch(fetch)) => match agent.prepare_fetch(transfer, &fetch) {
                Ok(fetched) => Ok(write_message(to, &ToController::Fetched(fetched))?),
                Err(refusal) => Err(refusal),
            },
            ToAgent::Send(Sending::Bundle { base, groups }) => {
                // What is held is said again only where it can still be of use.
                held.clear();
                receive_bundle(agent, transfer, base.as_ref(), &groups, from)?
            }
            _ => return Err(SessionError::Hello("something else than the files that are needed")),
        };
        if received.is_err() || transfer.pending() == 0 {
            return Ok(received);
        }
    }
}

/// Takes the needed files in order.
fn receive_files<F: HostFs>(
    agent: &mut Agent<F>,
    transfer: &mut Transfer,
    from: &mut impl Read,
) -> Result<Result<(), Refusal>, SessionError> {
    for digest in transfer.needs() {
        let mut blob = BlobReader::new(from, transfer.size_of(&digest).unwrap_or(0));
        let put = agent.prepare_put(transfer, digest, &mut blob);
        if blob.is_broken() {
            return Err(WireError::Cut.into());
        }
        if put.is_err() {
            return Ok(put);
        }
    }
    Ok(Ok(()))
}

/// Takes a bundle's frames, each to its end whatever is in it.
fn receive_bundle<F: HostFs>(
    agent: &mut Agent<F>,
    transfer: &mut Transfer,
    base: Option<&Held>,
    groups: &[u32],
    from: &mut impl Read,
) -> Result<Result<(), Refusal>, SessionError> {
    let bundle = match agent.prepare_open(transfer, base) {
        Ok(bundle) => bundle,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for number in groups {
        let mut blob = BlobReader::new(from, u64::MAX);
        let unpacked = match &bundle {
            Some(bundle) => agent.prepare_unpack(transfer, bundle, *number, &mut blob),
            None => Ok(()),
        };
        if unpacked.is_err() {
            return Ok(unpacked);
        }
        blob.skip_rest()?;
    }
    Ok(Ok(()))
}
