//! Parse, run, exit code.

fn main() -> std::process::ExitCode {
    pointsman::cli::main()
}
