//! Pages as a person meets them: in a real Chromium, judged by what it shows and by what it does not run.

mod answers;
mod board;
mod browser;
#[path = "../cli/gated.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest")]
mod gated;
mod hostile;
mod incident;
mod journal;
mod report;
#[path = "../../src/store/tests/server.rs"]
#[expect(dead_code, reason = "the tests of the library use the rest")]
mod server;
#[path = "../cli/site.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest")]
mod site;
