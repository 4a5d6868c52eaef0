//! The agent alone, without the controller around it: what hosts are sent, since it is a fraction of the whole program.
//!
//! Invariant: it does what `pointsman agent` does, through the same call.

use pointsman::fleet::local;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "--version") {
        let line = format!("{}\n", pointsman::model::version::agent_line());
        return code(io::stdout().write_all(line.as_bytes()).is_ok());
    }
    // Said by a controller on this machine only, for a host that is a directory.
    let below = std::env::args_os().skip_while(|argument| argument != "--below").nth(1);
    let signers = local::signers(below.as_deref().map(Path::new));
    code(pointsman::agent::serve(&signers, &mut io::stdin().lock(), &mut io::stdout().lock()).is_ok())
}

fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
