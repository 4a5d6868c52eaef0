//! Questions to a person. Without a terminal the answer is no: a pipe must not agree to anything.
//!
//! Who asks while signals are listened to asks on a thread of its own: waiting for a line can't be cut short, and so
//! Ctrl-C would not be heard before Return.

use std::io::{self, BufRead, IsTerminal, Read, Write};

/// The longest answer that is read, bytes.
const ANSWER_BYTES_MAX: u64 = 64;

/// Asks and waits for `y` or `yes`; anything else, an end of input included, is no. Without a terminal it says to use
/// `--yes` and answers no.
pub fn confirm(question: &str) -> io::Result<bool> {
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    // stderr stays free for whatever else has to be said meanwhile.
    ask(question, terminal, &mut io::stdin().lock(), &mut io::stderr())
}

fn ask(question: &str, terminal: bool, input: &mut dyn BufRead, output: &mut dyn Write) -> io::Result<bool> {
    if !terminal {
        writeln!(output, "{question} no: there is no terminal to ask on; use `--yes` to agree beforehand")?;
        return Ok(false);
    }
    write!(output, "{question} [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    input.take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answer: &str, terminal: bool) -> (bool, String) {
        let mut said = Vec::new();
        let agreed = ask("Go on?", terminal, &mut answer.as_bytes(), &mut said).expect("it is read");
        (agreed, String::from_utf8(said).expect("it is text"))
    }

    #[test]
    fn only_a_plain_yes_on_a_terminal_agrees() {
        for (answer, agreed) in [("y\n", true), (" YES \n", true), ("\n", false), ("", false), ("yo\n", false)] {
            assert_eq!(asked(answer, true), (agreed, "Go on? [y/N] ".to_owned()), "{answer:?}");
        }
    }

    #[test]
    fn a_pipe_never_agrees() {
        let said = "Go on? no: there is no terminal to ask on; use `--yes` to agree beforehand\n";
        assert_eq!(asked("y\n", false), (false, said.to_owned()));
    }
}
