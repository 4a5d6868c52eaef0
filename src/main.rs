//! Parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(verb), None) if verb == "agent" => agent(),
        _ => ExitCode::from(2),
    }
}

/// Serves one conversation on stdin and stdout; what went wrong goes to stderr, which the controller keeps.
fn agent() -> ExitCode {
    use std::io::Write;
    let served = pointsman::agent::serve(&mut std::io::stdin().lock(), &mut std::io::stdout().lock());
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "pointsman agent: {error}");
            ExitCode::FAILURE
        }
    }
}
