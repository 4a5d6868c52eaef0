//! Questions to a person.

use std::io::{self, BufRead, IsTerminal, Write};

/// Asks on the terminal; anything but a yes is a no. Without a terminal nobody can answer, which is a no too.
pub fn confirm(question: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        writeln!(io::stderr().lock(), "{question} no: there is no terminal to ask on, --yes says it beforehand")?;
        return Ok(false);
    }
    write!(io::stderr().lock(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}
