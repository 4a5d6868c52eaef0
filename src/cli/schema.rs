//! `schema`: what programs that read our output can hold it against.

use super::exit::Exit;
use super::seat::Seat;
use crate::report::events;
use crate::report::notice::form::NoticeJson;
use crate::ui::json::VERSION;
use clap::{Args, ValueEnum};

/// Print the JSON Schema of what this program writes for programs
///
/// They are made from the types that are written. Within a version fields may be added; one that is removed or means
/// something else is a new version, which every line says in `v`. docs/outputs.md has all outputs.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman schema events > events.schema.json\n  pointsman schema status")]
pub struct Schema {
    /// Of what
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, ValueEnum)]
enum Of {
    /// One line of the stream that --json writes
    Events,
    /// What `status --json` writes
    Status,
    /// What a webhook with `form: json` is sent
    Notice,
}

impl Schema {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let schema = match self.of {
            Of::Events => events::schema(VERSION),
            Of::Status => events::status_schema(),
            Of::Notice => events::schema_of::<NoticeJson>().to_value(),
        };
        seat.printer.raw(&serde_json::to_string_pretty(&schema)?);
        Ok(Exit::Done)
    }
}
