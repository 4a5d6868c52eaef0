//! `converge`: finish or repair whatever is unfinished.

use super::acting::{self, Acting};
use super::exit::Exit;
use super::seat::Seat;
use crate::drive::act::Order;
use crate::plan::{content, forward};
use clap::Args;

/// Bring hosts to the state that the books want; finishes whatever was interrupted
///
/// An unfinished rollback is finished. An unfinished promotion that switched no host is dropped; one that switched
/// some goes back, unless --forward finishes it with fresh proofs. Safe to run twice, and the whole recovery after a
/// crash, a power cut or a lost connection.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman converge\n  pointsman converge mw2020.codfw.wmnet\n  pointsman converge --forward"
)]
pub struct Converge {
    /// Only these: names, ranges, role:canary, dc:codfw
    hosts: Option<String>,
    /// Finish an interrupted promotion instead of taking it back
    #[arg(long, conflicts_with = "hosts")]
    pub(super) forward: bool,
    #[command(flatten)]
    pub(super) acting: Acting,
}

impl Converge {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let only = match &self.hosts {
            Some(hosts) => Some(seat.hosts(&seat.policy()?, Some(hosts))?),
            None => None,
        };
        let goal = |site: crate::plan::goal::Site<'_>| match self.forward {
            true => forward::resume(site),
            false => content::converge(site, crate::plan::goal::Extent::Wanted, "converge"),
        };
        let order = Order { resumes: self.forward, only, ..Order::new("converge", &goal) };
        acting::run(seat, &self.acting, order)
    }
}
