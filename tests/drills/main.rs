//! Drills: the built program is killed at its system calls, refused them, left without room, or stopped while somebody
//! takes over, and what is left is judged by its bytes.
//!
//! A run of the tests tries a few points of each drill, evenly spread. `POINTSMAN_DRILLS=all` tries all of them, which
//! takes one to two hours; `POINTSMAN_DRILLS=50` fifty of each; `POINTSMAN_DRILLS=3/12` the third of twelve slices that
//! have no point in common and together all of them. What was tried so adds up in `target/drills.jsonl`.
//! docs/reliability.md has what came of it.

mod amount;
mod failing;
mod full;
mod killed;
mod lasting;
mod points;
mod results;
#[path = "../../src/store/tests/server.rs"]
#[expect(dead_code, reason = "the tests of the library use the rest")]
mod server;
mod shared;
#[path = "../cli/site.rs"]
#[expect(dead_code, reason = "a drill needs less of a site than the command line's tests")]
mod site;
mod stand;
mod takeover;
mod trace;
