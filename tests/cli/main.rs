//! The command line as a person meets it: the real program over real directories, judged from outside.

mod begins;
mod blame;
mod books;
mod canary;
mod codes;
mod content;
mod cores;
mod docs;
mod dry;
mod examples;
mod gated;
mod gates;
mod gc;
mod golden;
mod hosts;
mod killed;
mod lost;
mod machines;
mod mirrors;
mod notified;
mod outputs;
mod plans;
mod playbooks;
mod played;
mod policies;
mod proxies;
mod recording;
mod replay;
mod rights;
mod schemas;
mod security;
#[path = "../../src/store/tests/server.rs"]
#[expect(dead_code, reason = "the tests of the library use the rest")]
mod server;
mod shared;
mod shells;
mod signed;
mod simulations;
mod site;
mod stopped;
mod story;
mod terminal;
mod timeline;
mod together;
mod traced;
mod week;
