//! One request and its answer over an agent's channel.
//!
//! Invariant: writing and reading go on beside each other, since either side may have to wait for the other, and the
//! answer decides. Reading is not safe to cancel: after a failure the channel is of no further use.

use super::channel::Channel;
use super::fetching::Fetching;
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::limits::{MESSAGE_BYTES_MAX, NOISE_BYTES_MAX, REPLY_BYTES_MAX};
use crate::model::protocol::{Held, Reply};
use crate::tree::packing::Bundle;
use crate::wire::async_io::{read_body, read_message, write_blob, write_message};
use crate::wire::fetch::{Fetch, Fetched};
use crate::wire::frame::WireError;
use crate::wire::message::{self, Sending, ToAgent, ToController, WIRE_MAJOR};
use crate::wire::noise::{Noise, skip_noise};
use crate::wire::said::Said;
use crate::wire::serve::Shelve;
use std::collections::BTreeSet;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use tokio::io::{AsyncBufRead, AsyncWriteExt};

/// Where the bytes of files come from when a host lacks them. It must hold out only what the component at hand
/// contains: a host may ask for any digest.
pub trait ContentSource: Sync {
    /// Opens the content of this digest for reading from its start.
    fn open(&self, digest: &Digest) -> io::Result<File>;

    /// A bundle that brings what a host needs which holds `held`; `None` where files are as good, or there is none.
    fn bundle<'a>(&'a self, held: &'a [Held], needs: &'a [Digest]) -> BundleFuture<'a> {
        let _ = (held, needs);
        Box::pin(std::future::ready(None))
    }

    /// Where else than here there is something of what a host needs which holds `held`; `turn` counts the places from 0.
    /// `None` where there is no further one.
    fn elsewhere<'a>(&'a self, held: &'a [Held], needs: &'a [Digest], turn: usize) -> ElsewhereFuture<'a> {
        let _ = (held, needs, turn);
        Box::pin(std::future::ready(None))
    }

    /// Hears how the fetch from the place of this turn went.
    fn fetched(&self, turn: usize, fetched: &Fetched) {
        let _ = (turn, fetched);
    }

    /// Hears of a bundle that a host could not use, or not all of it.
    fn distrust(&self, bundle: &Bundle) {
        let _ = bundle;
    }
}

/// A bundle that may have to be made first.
pub type BundleFuture<'a> = Pin<Box<dyn Future<Output = Option<Bundle>> + Send + 'a>>;

/// Something that has to be published first, and of which bundle it is.
pub type ElsewhereFuture<'a> = Pin<Box<dyn Future<Output = Option<Elsewhere>> + Send + 'a>>;

/// What is elsewhere.
pub struct Elsewhere {
    /// What the host is told; no objects: nothing at this place.
    pub fetch: Fetch,
    /// The bundle that the frames are of.
    pub bundle: Option<Bundle>,
}

/// What a host lacks.
pub struct Need {
    /// Each once, in the order in which files are to come.
    pub digests: Vec<Digest>,
    /// What it holds; `None` from an agent that knows files only.
    pub held: Option<Vec<Held>>,
    /// Whether it can fetch from elsewhere.
    pub fetches: bool,
}

/// Bundles that are tried before files go one by one: a delta, and then a pack.
const BUNDLES_MAX: usize = 2;

/// Hears how many more bytes of files went to the host.
pub type Progress<'a> = &'a mut (dyn FnMut(u64) + Send);

/// An agent's channel.
pub struct Agent {
    /// Its streams.
    pub channel: Channel,
    /// What its preface must carry.
    pub nonce: String,
    /// Whether preface and Hello have come.
    pub greeted: bool,
    /// What was said on it; `None`: nothing is packed.
    pub said: Option<Said>,
}

/// A request as it is written; a prepare's manifest goes after it.
pub struct Request<'a> {
    /// What is asked.
    pub message: &'a ToAgent,
    /// Of a prepare: the bytes of the blob that follows.
    pub manifest: Option<&'a [u8]>,
}

/// Why an exchange failed.
pub enum Stop {
    /// The stream ended before the agent's first bytes; what was said instead.
    Silent(Vec<u8>),
    /// Bytes that are not the protocol, or too few of them.
    Wire(WireError),
    /// Known already.
    Fault(Fault),
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl Agent {
    /// The frames of a request, which is noted.
    fn frames(&mut self, request: &ToAgent) -> Result<Vec<u8>, WireError> {
        let body = message::body(request)?;
        let Some(said) = &mut self.said else { return Ok(message::frames(&body)) };
        let frames = message::frames(&said.pack(body.clone()));
        said.note(&body);
        Ok(frames)
    }

    /// Writes a request and reads its first answer; also whether all was written when the answer came.
    pub async fn first_answer(&mut self, request: &Request<'_>) -> Result<(ToController, bool), Stop> {
        let bytes_max = if request.manifest.is_some() { MESSAGE_BYTES_MAX } else { REPLY_BYTES_MAX };
        let frames = self.frames(request.message)?;
        let greeting = (!self.greeted).then_some(self.nonce.as_str());
        let Channel { input, output, .. } = &mut self.channel;
        let write = async {
            input.write_all(&frames).await.map_err(WireError::Io)?;
            if let Some(mut manifest) = request.manifest {
                write_blob(input, &mut manifest, &mut |_| {}).await?;
            }
            Ok(input.flush().await.map_err(WireError::Io)?)
        };
        let answer = both(write, read_answer(output, &mut self.said, greeting, bytes_max)).await?;
        self.greeted = true;
        Ok(answer)
    }

    /// Brings what a host needs in the cheapest way that it can use, and reads the reply; also whether all was written
    /// when that came. A bundle that does not bring all is followed by another one or by files.
    pub async fn send(
        &mut self,
        mut need: Need,
        source: &dyn ContentSource,
        progress: Progress<'_>,
    ) -> Result<(Reply, bool), Stop> {
        let mut tried: Vec<Option<Held>> = Vec::new();
        match self.fetch(need, source, &mut tried).await? {
            Fetching::Left(left) => need = left,
            Fetching::Over(reply, in_step) => return Ok((reply, in_step)),
        }
        loop {
            once(&need)?;
            let bundle = match &need.held {
                Some(held) if tried.len() < BUNDLES_MAX => source.bundle(held, &need.digests).await,
                _ => None,
            };
            let Some(bundle) = bundle.filter(|bundle| !tried.contains(&bundle.base)) else {
                return self.send_files(&need, source, progress).await;
            };
            match self.send_bundle(&bundle, progress).await? {
                (ToController::Need { digests, held: Some(held), fetches }, true) => {
                    source.distrust(&bundle);
                    tried.push(bundle.base);
                    need = Need { digests, held: Some(held), fetches };
                }
                (ToController::Reply(reply), in_step) => return Ok((reply, in_step)),
                _ => return Err(Stop::Fault(wrong_reply())),
            }
        }
    }

    /// Writes the wanted files and reads the reply.
    async fn send_files(
        &mut self,
        need: &Need,
        source: &dyn ContentSource,
        progress: Progress<'_>,
    ) -> Result<(Reply, bool), Stop> {
        let Channel { input, output, .. } = &mut self.channel;
        let write = async {
            if need.held.is_some() && !need.digests.is_empty() {
                write_message(input, &ToAgent::Send(Sending::Files)).await?;
            }
            for digest in &need.digests {
                let mut file = source.open(digest).map_err(|e| Stop::Fault(missing(digest, &e)))?;
                write_blob(input, &mut file, progress).await?;
            }
            Ok(input.flush().await.map_err(WireError::Io)?)
        };
        match both(write, read_answer(output, &mut self.said, None, REPLY_BYTES_MAX)).await? {
            (ToController::Reply(reply), in_step) => Ok((reply, in_step)),
            _ => Err(Stop::Fault(wrong_reply())),
        }
    }

    /// Writes an order for the shelf with its objects, and reads the answer.
    pub async fn shelve(
        &mut self,
        order: &Shelve,
        files: &[PathBuf],
        progress: Progress<'_>,
    ) -> Result<(ToController, bool), Stop> {
        let failed = |e: io::Error| Stop::Fault(Fault::Other(format!("here: a bundle: {e}")));
        let opened = files.iter().map(File::open).collect::<io::Result<Vec<File>>>().map_err(failed)?;
        let frames = self.frames(&ToAgent::Shelve(order.clone()))?;
        let Channel { input, output, .. } = &mut self.channel;
        let write = async {
            input.write_all(&frames).await.map_err(WireError::Io)?;
            for mut file in opened {
                write_blob(input, &mut file, progress).await?;
            }
            Ok(input.flush().await.map_err(WireError::Io)?)
        };
        both(write, read_answer(output, &mut self.said, None, REPLY_BYTES_MAX)).await
    }

    /// Writes a bundle and reads the answer.
    async fn send_bundle(&mut self, bundle: &Bundle, progress: Progress<'_>) -> Result<(ToController, bool), Stop> {
        let frames = bundle.open().map_err(|e| Stop::Fault(Fault::Other(format!("here: a bundle: {e}"))))?;
        let groups = frames.iter().map(|(number, _)| *number).collect();
        let message = ToAgent::Send(Sending::Bundle { base: bundle.base.clone(), groups });
        let Channel { input, output, .. } = &mut self.channel;
        let write = async {
            write_message(input, &message).await?;
            for (_, mut frame) in frames {
                write_blob(input, &mut frame, progress).await?;
            }
            Ok(input.flush().await.map_err(WireError::Io)?)
        };
        both(write, read_answer(output, &mut self.said, None, MESSAGE_BYTES_MAX)).await
    }
}

/// Lets through only a need that names each file once.
pub(super) fn once(need: &Need) -> Result<(), Stop> {
    match need.digests.iter().collect::<BTreeSet<_>>().len() == need.digests.len() {
        true => Ok(()),
        false => Err(Stop::Fault(Fault::Protocol("it asks for one file twice".into()))),
    }
}

/// Runs a write and a read beside each other, since either side may have to wait for the other. The read decides; a
/// broken pipe while writing is explained by what is read. Any other failure of the write ends both: the host is still
/// there, waits for the rest, and would say nothing until the deadline. Also whether the write was over when the read ended.
pub async fn both<T>(
    write: impl Future<Output = Result<(), Stop>>,
    read: impl Future<Output = Result<T, Stop>>,
) -> Result<(T, bool), Stop> {
    tokio::pin!(write, read);
    tokio::select! {
        biased;
        sent = &mut write => match sent {
            Ok(()) => Ok((read.await?, true)),
            Err(Stop::Wire(WireError::Io(error))) if is_hung_up(&error) => Ok((read.await?, false)),
            Err(stop) => Err(stop),
        },
        answer = &mut read => Ok((answer?, false)),
    }
}

/// Whether a write failed since nobody is there to read it.
fn is_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Reads one message, before it the preface with the nonce `greeting` and the agent's Hello when they are still to come.
pub(super) async fn read_answer(
    output: &mut (impl AsyncBufRead + Unpin),
    said: &mut Option<Said>,
    greeting: Option<&str>,
    bytes_max: usize,
) -> Result<ToController, Stop> {
    if let Some(nonce) = greeting {
        match skip_noise(output, nonce).await.map_err(WireError::Io)? {
            Noise::Greeted(_) => {}
            Noise::Ended(noise) => return Err(Stop::Silent(noise)),
            Noise::TooMuch => {
                let what = format!("more than {NOISE_BYTES_MAX} bytes before the agent's first");
                return Err(Stop::Fault(Fault::Protocol(what)));
            }
        }
        check_hello(&read_message(output, NOISE_BYTES_MAX).await?, nonce).map_err(Stop::Fault)?;
    }
    let body = read_body(output, bytes_max).await?;
    let Some(said) = said else { return Ok(message::decode(&body)?) };
    let plain = said.unpack(&body, bytes_max)?;
    let answer = message::decode(&plain)?;
    if matches!(answer, ToController::Reply(_)) {
        said.note(&plain);
    }
    Ok(answer)
}

fn check_hello(hello: &ToController, nonce: &str) -> Result<(), Fault> {
    match hello {
        ToController::Hello { nonce: theirs, .. } if theirs != nonce => {
            Err(Fault::Protocol("its hello is for another channel".into()))
        }
        ToController::Hello { wire_major, .. } if *wire_major != WIRE_MAJOR => {
            Err(Fault::Protocol(format!("its wire version is {wire_major}, ours is {WIRE_MAJOR}")))
        }
        ToController::Hello { .. } => Ok(()),
        _ => Err(Fault::Protocol("it does not begin with a hello".into())),
    }
}

fn missing(digest: &Digest, error: &io::Error) -> Fault {
    Fault::Other(format!("here: content {} cannot be read: {error}", digest.short()))
}

/// The fault of a host that answers something else.
pub fn wrong_reply() -> Fault {
    Fault::Protocol("its answer is not one to what was asked".into())
}

#[cfg(test)]
mod tests;
