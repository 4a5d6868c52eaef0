//! A conversation with one host's agent, kept open between the requests of one run.
//!
//! Invariant: a request is written again only when no agent has seen it (there was none); after a fault, a deadline or
//! an answer that came too early, the channel is closed and the next request opens another. A lost reply is reported,
//! never repeated: observe, then decide. What a host may cost is its deadline and [`MESSAGE_BYTES_MAX`].

use super::bootstrap::{self, Said};
use super::channel::Channel;
use super::classify;
use super::local;
use super::ssh::Connection;
use super::{Install, Shared};
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::limits::{INSTALL_MS_MAX, MESSAGE_BYTES_MAX, NOISE_BYTES_MAX, REPLY_BYTES_MAX};
use crate::model::names::HostName;
use crate::model::protocol::{Command, Observation, Peek, Refusal, Reply};
use crate::wire::async_io::{read_message, write_blob, write_message};
use crate::wire::frame::WireError;
use crate::wire::message::{ToAgent, ToController, WIRE_MAJOR, encode};
use crate::wire::noise::{Noise, skip_noise};
use std::collections::BTreeSet;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Where the bytes of files come from when a host lacks them. It must hold out only what the component at hand
/// contains: a host may ask for any digest.
pub trait ContentSource: Sync {
    /// Opens the content of this digest for reading from its start.
    fn open(&self, digest: &Digest) -> io::Result<File>;
}

/// Hears how many more bytes of files went to the host.
pub type Progress<'a> = &'a mut (dyn FnMut(u64) + Send);

/// Why a peek gave no observation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeekError {
    /// No answer as an agent.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The agent refused.
    #[error("refused: {0}")]
    Refused(Refusal),
}

/// A host that answers, or has answered.
pub struct Session {
    pub(super) host: HostName,
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    pub(super) install: Install,
    agent: Option<Agent>,
    phase: &'static str,
    round_trips: u32,
}

/// How channels to the host are opened.
pub(super) enum Link {
    /// By a child process for this directory.
    Local(PathBuf),
    /// In this connection.
    Ssh(Connection),
}

/// An agent's channel.
struct Agent {
    channel: Channel,
    nonce: String,
    greeted: bool,
}

/// A request as it is written; a prepare's manifest goes after it.
struct Request<'a> {
    message: &'a ToAgent,
    manifest: Option<&'a [u8]>,
}

/// Why an exchange failed.
enum Stop {
    /// The stream ended before the agent's first bytes; what was said instead.
    Silent(Vec<u8>),
    /// Bytes that are not the protocol, or too few of them.
    Wire(WireError),
    /// Known already.
    Fault(Fault),
}

/// Why a request failed.
enum Failure {
    /// No agent is there, on this machine as `uname -s -m` says; it never saw the request.
    NoAgent(String),
    /// Anything else.
    Fault(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl Session {
    pub(super) fn new(host: HostName, shared: Arc<Shared>, link: Link, install: Install) -> Self {
        Self { host, shared, link, install, agent: None, phase: "", round_trips: 0 }
    }

    /// Which host.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Requests that were answered, so round trips beyond connection and installation.
    pub fn round_trips(&self) -> u32 {
        self.round_trips
    }

    /// Looks, without changing anything on the host.
    pub async fn peek(&mut self, peek: Peek, within: Duration) -> Result<Observation, PeekError> {
        let message = ToAgent::Peek(peek);
        match self.ask(&Request { message: &message, manifest: None }, None, within).await? {
            Reply::Observed(observation) => Ok(*observation),
            Reply::Refused(refusal) => Err(PeekError::Refused(refusal)),
            _ => Err(wrong_reply().into()),
        }
    }

    /// Sends a command other than a prepare and waits for its reply.
    pub async fn command(&mut self, command: &Command, within: Duration) -> Result<Reply, Fault> {
        if matches!(command, Command::Prepare { .. }) {
            return Err(Fault::Other("a prepare was sent without its manifest".into()));
        }
        let message = ToAgent::Command(command.clone());
        let reply = self.ask(&Request { message: &message, manifest: None }, None, within).await?;
        checked(command, reply)
    }

    /// Sends a prepare, its manifest and the files that the host lacks, and waits for its reply.
    pub async fn prepare(
        &mut self,
        command: &Command,
        manifest: &[u8],
        source: &dyn ContentSource,
        within: Duration,
        progress: Progress<'_>,
    ) -> Result<Reply, Fault> {
        let message = ToAgent::Command(command.clone());
        let request = Request { message: &message, manifest: Some(manifest) };
        let reply = self.ask(&request, Some((source, progress)), within).await?;
        checked(command, reply)
    }

    /// Ends the conversation and the connection. What has not ended after `within` ends by itself when idle.
    pub async fn close(self, within: Duration) {
        drop(self.agent);
        if let Link::Ssh(connection) = self.link {
            connection.close(within).await;
        }
    }

    /// One request and its reply; installs the agent first where that is wanted and it is not there.
    async fn ask(
        &mut self,
        request: &Request<'_>,
        mut files: Option<(&dyn ContentSource, Progress<'_>)>,
        within: Duration,
    ) -> Result<Reply, Fault> {
        let shared = Arc::clone(&self.shared);
        let _permit = shared.gate.acquire().await;
        let failure = match self.timed(request, files.as_mut(), within).await {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        match failure {
            Failure::NoAgent(machine) if self.install == Install::IfMissing => {
                let budget = Duration::from_millis(INSTALL_MS_MAX);
                let installed = tokio::time::timeout(budget, self.upload(&machine)).await;
                installed.unwrap_or_else(|_| Err(Fault::TimedOut("installing the agent".into())))?;
                self.timed(request, files.as_mut(), within).await.map_err(Failure::into_fault)
            }
            failure => Err(failure.into_fault()),
        }
    }

    async fn timed(
        &mut self,
        request: &Request<'_>,
        files: Option<&mut (&dyn ContentSource, Progress<'_>)>,
        within: Duration,
    ) -> Result<Reply, Failure> {
        match tokio::time::timeout(within, self.converse(request, files)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::TimedOut(self.phase.into()).into()),
        }
    }

    /// The exchange itself. The agent is put back only when it waits for the next request.
    async fn converse(
        &mut self,
        request: &Request<'_>,
        files: Option<&mut (&dyn ContentSource, Progress<'_>)>,
    ) -> Result<Reply, Failure> {
        self.phase = "starting the agent";
        let mut agent = match self.agent.take() {
            Some(agent) => agent,
            None => self.start().await?,
        };
        self.phase = "waiting for the agent's answer";
        let answer = match agent.first_answer(request).await {
            Ok(answer) => answer,
            Err(stop) => return Err(self.explain(stop, agent.channel).await),
        };
        self.round_trips += 1;
        let (reply, in_step) = match (answer, files) {
            ((ToController::Reply(reply), in_step), _) => (reply, in_step),
            ((ToController::Need { digests }, _), Some((source, progress))) => {
                self.phase = "sending files and waiting for the proof";
                match agent.send_files(&digests, *source, &mut **progress).await {
                    Ok(answer) => {
                        self.round_trips += u32::from(!digests.is_empty());
                        answer
                    }
                    Err(stop) => return Err(self.explain(stop, agent.channel).await),
                }
            }
            _ => return Err(wrong_reply().into()),
        };
        self.agent = in_step.then_some(agent);
        Ok(reply)
    }

    /// Opens a channel; the first words to the agent are gathered, not yet sent.
    async fn start(&self) -> Result<Agent, Fault> {
        let (mut channel, root, state) = match &self.link {
            Link::Local(directory) => {
                let below = |path| local::below(directory, path);
                (self.shared.start_local(directory)?, below(&self.shared.root), below(&self.shared.state))
            }
            Link::Ssh(connection) => {
                let mut channel = connection.channel(bootstrap::RUN).await?;
                let line = format!("{}\n", self.shared.digest()?);
                channel.input.write_all(line.as_bytes()).await.map_err(|_| Fault::ClosedEarly)?;
                (channel, self.shared.root.clone(), self.shared.state.clone())
            }
        };
        let nonce = nonce()?;
        let hello = ToAgent::Hello { nonce: nonce.clone(), root, state };
        let hello = encode(&hello).map_err(|e| Fault::Protocol(e.to_string()))?;
        channel.input.write_all(&hello).await.map_err(|_| Fault::ClosedEarly)?;
        Ok(Agent { channel, nonce, greeted: false })
    }

    /// Puts this program on the host, whose machine is named as `uname -s -m` does.
    async fn upload(&self, machine: &str) -> Result<(), Fault> {
        let Link::Ssh(connection) = &self.link else { return Err(Fault::NoAgent) };
        bootstrap::check_machine(machine)?;
        let digest = self.shared.digest()?;
        let mut channel = connection.channel(bootstrap::UPLOAD).await?;
        let mut output = Vec::new();
        let Channel { input, output: from, .. } = &mut channel;
        let mut answer = from.take(NOISE_BYTES_MAX as u64);
        let read = async { answer.read_to_end(&mut output).await.map_err(|e| Stop::Wire(e.into())) };
        let wrote = both(self.send_program(input, digest), read).await;
        let said = bootstrap::parse(&output, digest);
        let stderr = channel.last_words().await;
        match (said, wrote) {
            (Some(said), _) => bootstrap::upload_fault(&said, &stderr, self.shared.program.bytes()).map_or(Ok(()), Err),
            (None, Err(Stop::Fault(fault))) => Err(fault),
            (None, _) if !connection.alive().await => Err(connection.fault()),
            (None, _) => Err(spoken(&output, &stderr)),
        }
    }

    async fn send_program(
        &self,
        input: &mut tokio::io::BufWriter<Box<dyn AsyncWrite + Send + Unpin>>,
        digest: &str,
    ) -> Result<(), Stop> {
        input.write_all(format!("{digest}\n").as_bytes()).await.map_err(WireError::Io)?;
        let mut offset = 0;
        while let Some(chunk) = self.shared.program.chunk(offset).map_err(|e| Stop::Fault(ours(&e)))? {
            input.write_all(&chunk).await.map_err(WireError::Io)?;
            offset += chunk.len() as u64;
        }
        input.flush().await.map_err(WireError::Io)?;
        *input = tokio::io::BufWriter::new(Box::new(tokio::io::sink()));
        Ok(())
    }

    /// What a failed exchange means, with the last words of the host and of ssh.
    async fn explain(&self, stop: Stop, channel: Channel) -> Failure {
        let noise = match stop {
            Stop::Fault(fault) => return fault.into(),
            Stop::Wire(WireError::Ended | WireError::Cut | WireError::Io(_)) => None,
            Stop::Wire(error) => return Fault::Protocol(error.to_string()).into(),
            Stop::Silent(noise) => Some(noise),
        };
        let said = noise.as_ref().zip(self.shared.digest().ok()).and_then(|(n, digest)| bootstrap::parse(n, digest));
        match said {
            Some(Said::Absent(machine)) => return Failure::NoAgent(machine),
            Some(Said::Unsafe) => return bootstrap::unsafe_directory().into(),
            _ => {}
        }
        let stderr = channel.last_words().await;
        if let Link::Ssh(connection) = &self.link
            && !connection.alive().await
        {
            return connection.fault().into();
        }
        match (classify::disk(&stderr), noise) {
            (Some(fault), _) => fault.into(),
            (None, Some(noise)) => spoken(&noise, &stderr).into(),
            (None, None) => Fault::ClosedEarly.into(),
        }
    }
}

impl Failure {
    fn into_fault(self) -> Fault {
        match self {
            Self::NoAgent(_) => Fault::NoAgent,
            Self::Fault(fault) => fault,
        }
    }
}

impl Agent {
    /// Writes a request and reads its first answer; also whether all was written when the answer came.
    async fn first_answer(&mut self, request: &Request<'_>) -> Result<(ToController, bool), Stop> {
        let bytes_max = if request.manifest.is_some() { MESSAGE_BYTES_MAX } else { REPLY_BYTES_MAX };
        let greeting = (!self.greeted).then_some(self.nonce.as_str());
        let Channel { input, output, .. } = &mut self.channel;
        let write = async {
            write_message(input, request.message).await?;
            if let Some(mut manifest) = request.manifest {
                write_blob(input, &mut manifest, &mut |_| {}).await?;
            }
            Ok(input.flush().await.map_err(WireError::Io)?)
        };
        let answer = both(write, read_answer(output, greeting, bytes_max)).await?;
        self.greeted = true;
        Ok(answer)
    }

    /// Writes the wanted files and reads the reply; also whether all was written when it came.
    async fn send_files(
        &mut self,
        digests: &[Digest],
        source: &dyn ContentSource,
        progress: Progress<'_>,
    ) -> Result<(Reply, bool), Stop> {
        if digests.iter().collect::<BTreeSet<_>>().len() != digests.len() {
            return Err(Stop::Fault(Fault::Protocol("it asks for one file twice".into())));
        }
        let Channel { input, output, .. } = &mut self.channel;
        let write = async {
            for digest in digests {
                let mut file = source.open(digest).map_err(|e| Stop::Fault(missing(digest, &e)))?;
                write_blob(input, &mut file, progress).await?;
            }
            Ok(input.flush().await.map_err(WireError::Io)?)
        };
        match both(write, read_answer(output, None, REPLY_BYTES_MAX)).await? {
            (ToController::Reply(reply), in_step) => Ok((reply, in_step)),
            _ => Err(Stop::Fault(wrong_reply())),
        }
    }
}

/// Runs a write and a read beside each other, since either side may have to wait for the other. The read decides; a
/// broken pipe while writing is explained by what is read. Also whether the write was over when the read ended.
async fn both<T>(
    write: impl Future<Output = Result<(), Stop>>,
    read: impl Future<Output = Result<T, Stop>>,
) -> Result<(T, bool), Stop> {
    tokio::pin!(write, read);
    tokio::select! {
        biased;
        sent = &mut write => match sent {
            Ok(()) => Ok((read.await?, true)),
            Err(Stop::Wire(WireError::Io(_))) => Ok((read.await?, false)),
            Err(stop) => Err(stop),
        },
        answer = &mut read => Ok((answer?, false)),
    }
}

/// Reads one message, before it the preface with the nonce `greeting` and the agent's Hello when they are still to come.
async fn read_answer(
    output: &mut (impl AsyncBufRead + Unpin),
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
        check_hello(&read_message(output, REPLY_BYTES_MAX).await?, nonce).map_err(Stop::Fault)?;
    }
    Ok(read_message(output, bytes_max).await?)
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

/// Lets through only the replies that answer this command.
fn checked(command: &Command, reply: Reply) -> Result<Reply, Fault> {
    match (command, &reply) {
        (_, Reply::Refused(_))
        | (Command::Observe { .. }, Reply::Observed(_))
        | (Command::Prepare { .. }, Reply::Prepared { .. })
        | (Command::Switch { .. }, Reply::Switched { .. })
        | (Command::Confirm { .. }, Reply::Confirmed) => Ok(reply),
        _ => Err(wrong_reply()),
    }
}

/// The fault of a host whose shell ended without an agent: its own words.
fn spoken(output: &[u8], stderr: &str) -> Fault {
    let words = classify::last_line(stderr.as_bytes()).or_else(|| classify::last_line(output));
    match words {
        Some(words) => Fault::Protocol(format!("its shell ended with `{words}`")),
        None => Fault::ClosedEarly,
    }
}

fn nonce() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Fault::Other(format!("here: no randomness: {e}")))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn wrong_reply() -> Fault {
    Fault::Protocol("its answer is not one to what was asked".into())
}

fn missing(digest: &Digest, error: &io::Error) -> Fault {
    Fault::Other(format!("here: content {} cannot be read: {error}", digest.short()))
}

fn ours(error: &io::Error) -> Fault {
    Fault::Other(format!("here: the program cannot be read: {error}"))
}
