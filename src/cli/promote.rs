//! `promote`: groups go forward.

use super::acting::{self, Acting};
use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::drive::act::Order;
use crate::model::names::{Group, Version};
use crate::plan::forward;
use clap::Args;

/// Promote a group of wikis to a version
///
/// Every host proves the target version and the version one would go back to, complete with what it builds itself,
/// before any host is switched. One stale host and nothing is switched (code 7). Debug hosts go first, then canaries,
/// then the rest; pinned wikis and hosts are stepped around and named.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman promote group1 1.27.0-wmf.11 -m 'train of the week, T119517'\n  pointsman promote group1 1.27.0-wmf.11 -m 'train' --again --reason 'T124224 is fixed'"
)]
pub struct Promote {
    /// The group, as groups.yaml names it
    group: Group,
    /// The version, like 1.27.0-wmf.11
    version: Version,
    /// Why, for the log line
    #[arg(short, long, value_name = "MSG")]
    message: String,
    /// Promote a version that was rolled back before; needs --reason
    #[arg(long, requires = "reason")]
    again: bool,
    /// Why a version that was rolled back may go forward again
    #[arg(long, requires = "again")]
    reason: Option<String>,
    #[command(flatten)]
    acting: Acting,
}

impl Promote {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if self.reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            return Err(Usage("--reason is empty: say why the version may go forward again".to_owned()).into());
        }
        let again = self.reason.as_deref();
        let goal = |site: crate::plan::goal::Site<'_>| {
            forward::promote(site, &self.group, &self.version, &self.message, again)
        };
        let order = Order::new(format!("promote {} {}", self.group, self.version), &goal);
        acting::run(seat, &self.acting, order)
    }
}
