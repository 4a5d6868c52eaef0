//! Places other than this one that a host is sent to for its content, one after another.
//!
//! Invariant: a place is asked once. What did not come from any is sent over the channel, so a mirror can make a
//! transfer slower by what a host waits for it, and nothing else.

use super::channel::Channel;
use super::exchange::{Agent, ContentSource, Elsewhere, Need, Stop, both, once, read_answer, wrong_reply};
use crate::model::limits::{MESSAGE_BYTES_MAX, MIRRORS_MAX, REPLY_BYTES_MAX};
use crate::model::protocol::{Held, Reply};
use crate::wire::async_io::write_message;
use crate::wire::fetch::{Fetch, Fetched};
use crate::wire::frame::WireError;
use crate::wire::message::{Sending, ToAgent, ToController};
use tokio::io::AsyncWriteExt;

/// Where it stands when no place is left.
pub(super) enum Fetching {
    /// This did not come.
    Left(Need),
    /// All came; the reply, and whether the channel is in step.
    Over(Reply, bool),
}

impl Agent {
    /// Sends the host to each place that has something. Bases of bundles that came and were of no use go to `tried`.
    pub(super) async fn fetch(
        &mut self,
        mut need: Need,
        source: &dyn ContentSource,
        tried: &mut Vec<Option<Held>>,
    ) -> Result<Fetching, Stop> {
        for turn in 0..=MIRRORS_MAX {
            once(&need)?;
            let Some(held) = need.held.as_ref().filter(|_| need.fetches && !need.digests.is_empty()) else { break };
            let Some(Elsewhere { fetch, bundle }) = source.elsewhere(held, &need.digests, turn).await else { break };
            if fetch.objects() == 0 {
                continue;
            }
            let (fetched, answer, in_step) = self.send_to(fetch).await?;
            source.fetched(turn, &fetched);
            need = match answer {
                ToController::Need { digests, held: Some(held), fetches } if in_step => {
                    // All that was announced came, and it did not suit: sent from here it would not either.
                    let whole = fetched.failure.is_none() && fetched.missing == 0;
                    if let Some(bundle) = bundle.filter(|_| whole) {
                        source.distrust(&bundle);
                        tried.push(bundle.base);
                    }
                    Need { digests, held: Some(held), fetches }
                }
                ToController::Reply(reply) => return Ok(Fetching::Over(reply, in_step)),
                _ => return Err(Stop::Fault(wrong_reply())),
            };
        }
        Ok(Fetching::Left(need))
    }

    /// Tells the host what is elsewhere, and reads how that went and what it says then.
    async fn send_to(&mut self, fetch: Fetch) -> Result<(Fetched, ToController, bool), Stop> {
        let said = &mut self.said;
        let Channel { input, output, .. } = &mut self.channel;
        let message = ToAgent::Send(Sending::Fetch(fetch));
        let write = async {
            write_message(input, &message).await?;
            Ok(input.flush().await.map_err(WireError::Io)?)
        };
        let read = async {
            let fetched = match read_answer(output, said, None, REPLY_BYTES_MAX).await? {
                ToController::Fetched(fetched) => fetched,
                // A refusal in the middle.
                reply @ ToController::Reply(_) => return Ok((Fetched::default(), reply)),
                _ => return Err(Stop::Fault(wrong_reply())),
            };
            Ok((fetched, read_answer(output, said, None, MESSAGE_BYTES_MAX).await?))
        };
        let ((fetched, answer), in_step) = both(write, read).await?;
        Ok((fetched, answer, in_step))
    }
}
