//! `undo`: the content before a sync.

use super::acting::{self, Acting};
use super::exit::Exit;
use super::seat::Seat;
use crate::drive::act::Order;
use crate::model::ids::RolloutId;
use crate::plan::content;
use clap::Args;

/// Take a sync back: the wanted content of the whole fleet is again what it was before
///
/// Without an id the newest sync that was not undone yet. Staging is not touched, so it differs afterwards, and the
/// next sync --from-staging shows that difference and asks.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman undo -m 'the fix made it worse'\n  pointsman undo r41")]
pub struct Undo {
    /// Which sync, as `history` names it
    sync: Option<RolloutId>,
    /// Why
    #[arg(short, long, value_name = "MSG", default_value = "undo")]
    message: String,
    #[command(flatten)]
    pub(super) acting: Acting,
}

impl Undo {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let goal = |site: crate::plan::goal::Site<'_>| content::undo(site, self.sync, &self.message);
        let order = Order::new("undo", &goal);
        acting::run(seat, &self.acting, order)
    }
}
