//! `hold` and `release`: a reason that stops forward moves.

use super::exit::Exit;
use super::seat::Seat;
use crate::drive::act::record;
use crate::drive::deploy::who;
use crate::model::books::Record;
use clap::Args;

/// Stop forward moves, with a reason; rollback, converge, check and sync-common go on
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman hold -m 'database switchover until 16:00 UTC'")]
pub struct Hold {
    /// Why
    #[arg(short, long, value_name = "MSG")]
    message: String,
}

/// Let forward moves go on
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman release")]
pub struct Release {}

impl Hold {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let mut store = seat.books(&seat.policy()?)?;
        record(&mut store, "hold", &[Record::Held { by: who().to_owned(), reason: self.message.clone() }])?;
        seat.printer.talk(&format!("held: {}; pointsman release ends that", self.message));
        Ok(Exit::Done)
    }
}

impl Release {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let mut store = seat.books(&seat.policy()?)?;
        record(&mut store, "release", &[Record::Released { by: who().to_owned() }])?;
        seat.printer.talk("released: forward moves may go on");
        Ok(Exit::Done)
    }
}
