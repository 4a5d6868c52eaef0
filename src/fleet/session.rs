//! A conversation with one host's agent, kept open between the requests of one run.
//!
//! Invariant: a request is written again only when no agent has seen it (there was none); after a fault, a deadline or
//! an answer that came too early, the channel is closed and the next request opens another. A lost reply is reported,
//! never repeated: observe, then decide. What a host may cost is its deadline and one message.

use super::bootstrap::{self, Bare, Said};
use super::channel::Channel;
use super::classify;
use super::exchange::{Agent, ContentSource, Need, Progress, Request, Stop, wrong_reply};
use super::install;
use super::local;
use super::question;
use super::ssh::Connection;
use super::{Install, Shared};
use crate::model::fault::Fault;
use crate::model::limits::INSTALL_MS_MAX;
use crate::model::names::HostName;
use crate::model::protocol::{Command, Observation, Peek, Refusal, Reply};
use crate::model::question::{Answer, Question};
use crate::wire::frame::WireError;
use crate::wire::message::{BUNDLES, PACKED, ToAgent, ToController, encode};
use crate::wire::said;
use crate::wire::serve::{Serve, Served, Shelve};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

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
    /// A channel in which the bootstrap line waits already.
    opened: Option<Channel>,
    agent: Option<Agent>,
    phase: &'static str,
    round_trips: u32,
    /// Whether its requests take turns with other hosts'.
    in_turn: bool,
}

/// How channels to the host are opened.
pub(super) enum Link {
    /// By a child process for this directory.
    Local(PathBuf),
    /// In this connection.
    Ssh(Connection),
}

/// Why a request failed.
enum Failure {
    /// No agent is there; it never saw the request.
    NoAgent(Bare),
    /// Anything else.
    Fault(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Session {
    pub(super) fn new(
        (host, link): (HostName, Link),
        shared: Arc<Shared>,
        opened: Option<Channel>,
        install: Install,
        in_turn: bool,
    ) -> Self {
        Self { host, shared, link, install, opened, agent: None, phase: "", round_trips: 0, in_turn }
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
        match reply(self.ask(&Request { message: &message, manifest: None }, None, within).await?)? {
            Reply::Observed(observation) => Ok(*observation),
            Reply::Refused(refusal) => Err(PeekError::Refused(refusal)),
            _ => Err(wrong_reply().into()),
        }
    }

    /// Asks what changes nothing on the host and needs no stamp.
    pub async fn question(&mut self, question: &Question, within: Duration) -> Result<Answer, Fault> {
        let sent = match &self.link {
            Link::Local(directory) => question::below(directory, question),
            Link::Ssh(_) => question.clone(),
        };
        let message = ToAgent::Ask(sent);
        let said = self.ask(&Request { message: &message, manifest: None }, None, within).await;
        question::answer(question, said.map_err(question::of_an_older_agent)?)
    }

    /// Has the host serve what is proven there, until this session ends.
    pub async fn serve(&mut self, order: &Serve, within: Duration) -> Result<Served, Fault> {
        let message = ToAgent::Serve(order.clone());
        match self.ask(&Request { message: &message, manifest: None }, None, within).await? {
            ToController::Served(served) => Ok(served),
            _ => Err(wrong_reply()),
        }
    }

    /// Puts the objects of these files on the shelf of a host that serves already. Whoever asks bounds its time; given up
    /// half-way, the session is of no further use.
    pub async fn shelve(&mut self, order: &Shelve, files: &[PathBuf], progress: Progress<'_>) -> Result<Served, Fault> {
        let mut agent = self.agent.take().ok_or(Fault::ClosedEarly)?;
        match agent.shelve(order, files, progress).await {
            Ok((ToController::Served(served), in_step)) => {
                self.agent = in_step.then_some(agent);
                Ok(served)
            }
            Ok(_) => Err(wrong_reply()),
            Err(stop) => Err(self.explain(stop, agent.channel).await.into_fault()),
        }
    }

    /// Sends a command other than a prepare and waits for its reply.
    pub async fn command(&mut self, command: &Command, within: Duration) -> Result<Reply, Fault> {
        if matches!(command, Command::Prepare { .. }) {
            return Err(Fault::Other("a prepare was sent without its manifest".into()));
        }
        let message = ToAgent::Command(command.clone());
        let answer = self.ask(&Request { message: &message, manifest: None }, None, within).await?;
        checked(command, reply(answer)?)
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
        let answer = self.ask(&request, Some((source, progress)), within).await?;
        checked(command, reply(answer)?)
    }

    /// Ends the conversation, and the connection unless it is kept. What has not ended after `within` ends by itself when idle.
    pub async fn close(self, within: Duration) {
        drop((self.agent, self.opened));
        if let Link::Ssh(connection) = self.link {
            connection.close(within).await;
        }
    }

    /// One request and its answer; installs the agent first where that is wanted and it is not there.
    async fn ask(
        &mut self,
        request: &Request<'_>,
        mut files: Option<(&dyn ContentSource, Progress<'_>)>,
        within: Duration,
    ) -> Result<ToController, Fault> {
        let shared = Arc::clone(&self.shared);
        let _permit = match self.in_turn {
            true => Some(shared.gate.acquire().await),
            false => None,
        };
        let failure = match self.timed(request, files.as_mut(), within).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        match failure {
            Failure::NoAgent(bare) if self.install == Install::IfMissing => {
                let budget = Duration::from_millis(INSTALL_MS_MAX);
                let installed = tokio::time::timeout(budget, self.install(&bare)).await;
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
    ) -> Result<ToController, Failure> {
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
    ) -> Result<ToController, Failure> {
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
        let (answer, in_step) = match (answer, files) {
            (answer @ (ToController::Reply(_) | ToController::Answer(_) | ToController::Served(_), _), _) => answer,
            ((ToController::Need { digests, held, fetches }, _), Some((source, progress))) => {
                let sends = !digests.is_empty();
                self.phase = "sending files and waiting for the proof";
                match agent.send(Need { digests, held, fetches }, *source, &mut **progress).await {
                    Ok(answer) => {
                        self.round_trips += u32::from(sends);
                        (ToController::Reply(answer.0), answer.1)
                    }
                    Err(stop) => return Err(self.explain(stop, agent.channel).await),
                }
            }
            _ => return Err(wrong_reply().into()),
        };
        self.agent = in_step.then_some(agent);
        Ok(answer)
    }

    /// Opens a channel; the first words to the agent are gathered, not yet sent.
    async fn start(&mut self) -> Result<Agent, Fault> {
        let opened = self.opened.take();
        let (mut channel, root, state) = match &self.link {
            Link::Local(directory) => {
                let below = |path| local::below(directory, path);
                (self.shared.start_local(directory)?, below(&self.shared.root), below(&self.shared.state))
            }
            Link::Ssh(connection) => {
                let mut channel = match opened {
                    Some(channel) => channel,
                    None => connection.channel(bootstrap::RUN).await?,
                };
                let line = format!("{}\n", self.shared.digest()?);
                channel.input.write_all(line.as_bytes()).await.map_err(|_| Fault::ClosedEarly)?;
                (channel, self.shared.root.clone(), self.shared.state.clone())
            }
        };
        let nonce = nonce()?;
        let offers = [BUNDLES, PACKED].map(str::to_owned).to_vec();
        let hello = ToAgent::Hello { nonce: nonce.clone(), root, state, offers };
        let hello = encode(&hello).map_err(|e| Fault::Protocol(e.to_string()))?;
        channel.input.write_all(&hello).await.map_err(|_| Fault::ClosedEarly)?;
        Ok(Agent { channel, nonce, greeted: false, said: Some(said::Said::default()) })
    }

    async fn install(&self, bare: &Bare) -> Result<(), Fault> {
        match &self.link {
            Link::Ssh(connection) => install::upload(connection, &self.shared.program, bare).await,
            Link::Local(_) => Err(Fault::NoAgent),
        }
    }

    /// The fault of a host that takes no agent from us and has not got this one.
    fn kept_out(&self) -> Fault {
        self.shared.digest().map_or_else(|fault| fault, |digest| Fault::AgentKeptOut(format!("agent-{digest}")))
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
            Some(Said::Absent(bare)) => return Failure::NoAgent(bare),
            Some(Said::Unsafe) => return bootstrap::unsafe_directory().into(),
            Some(Said::Locked) => return self.kept_out().into(),
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
            (None, Some(noise)) => install::spoken(&noise, &stderr).into(),
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

/// What a peek or a command is answered by.
fn reply(answer: ToController) -> Result<Reply, Fault> {
    match answer {
        ToController::Reply(reply) => Ok(reply),
        _ => Err(wrong_reply()),
    }
}

/// Lets through only the replies that answer this command.
fn checked(command: &Command, reply: Reply) -> Result<Reply, Fault> {
    match (command, &reply) {
        (_, Reply::Refused(_))
        | (Command::Observe { .. }, Reply::Observed(_))
        | (Command::Prepare { .. }, Reply::Prepared { .. })
        | (Command::Switch { .. }, Reply::Switched { .. })
        | (Command::Confirm { .. }, Reply::Confirmed)
        | (Command::Confirm { keep: Some(_), .. }, Reply::Collected(_)) => Ok(reply),
        _ => Err(wrong_reply()),
    }
}

/// Random digits of the form that [`crate::wire::message::is_nonce`] knows.
pub fn nonce() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Fault::Other(format!("here: no randomness: {e}")))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
