//! `completions`: what a shell is told once, so that it asks the program from then on.

use super::candidates::VARIABLE;
use super::exit::Exit;
use super::seat::Seat;
use anyhow::Context;
use clap::{Args, ValueEnum};
use clap_complete::env::Shells;

/// Print what makes bash, zsh or fish complete commands, options, groups, hosts, versions and recorded states
///
/// The shell asks the program at each press of the key, so that names are those of groups.yaml and the books at that
/// moment.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman completions bash\n\nIn ~/.bashrc:  source <(pointsman completions bash)\nIn ~/.zshrc, after compinit:  source <(pointsman completions zsh)\nFor fish:      pointsman completions fish > ~/.config/fish/completions/pointsman.fish"
)]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let name = match self.shell {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        };
        let shells = Shells::builtins();
        let shell = shells.completer(name).context("this shell is not known")?;
        let mut text = Vec::new();
        shell.write_registration(VARIABLE, "pointsman", "pointsman", "pointsman", &mut text)?;
        seat.printer.raw(String::from_utf8(text).context("failed to write it as text")?.trim_end());
        Ok(Exit::Done)
    }
}
