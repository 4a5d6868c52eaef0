//! Questions to a person. Without a terminal the answer is no: a pipe must not agree to anything.

use super::printer::Printer;
use std::io::{self, BufRead, IsTerminal, Read};

/// The longest answer that is read, bytes.
const ANSWER_BYTES_MAX: u64 = 64;

/// Asks and waits for `y` or `yes`; anything else, an end of input included, is no. Without a terminal it says to use
/// `--yes` and answers no.
pub fn confirm(printer: &Printer, question: &str) -> io::Result<bool> {
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    ask(printer, question, terminal, &mut io::stdin().lock())
}

fn ask(printer: &Printer, question: &str, terminal: bool, input: &mut dyn BufRead) -> io::Result<bool> {
    if !terminal {
        printer.error(format!("nobody is there to ask: {question}"));
        printer.hint("there is no terminal; use `--yes` to agree beforehand");
        return Ok(false);
    }
    printer.ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    input.take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::printer::{Settings, tests::printer};

    #[test]
    fn only_a_plain_yes_on_a_terminal_agrees() {
        for (answer, agreed) in [("y\n", true), (" YES \n", true), ("\n", false), ("", false), ("yo\n", false)] {
            let (printer, _, err) = printer(Settings { quiet: true, terminal: false });
            let said = ask(&printer, "go?", true, &mut answer.as_bytes()).expect("it is read");
            assert_eq!(said, agreed, "{answer:?}");
            assert_eq!(err.text(), "go? [y/N] ", "a question is asked even when quiet");
        }
    }

    #[test]
    fn a_pipe_never_agrees() {
        let (printer, out, err) = printer(Settings::default());
        assert!(!ask(&printer, "go?", false, &mut "y\n".as_bytes()).expect("nothing is read"));
        assert_eq!(out.text(), "");
        let expected = "error: nobody is there to ask: go?\n\
                        hint: there is no terminal; use `--yes` to agree beforehand\n";
        assert_eq!(err.text(), expected);
    }
}
