//! The command line: one file a command, whose doc comment is its help text.
//!
//! A command turns arguments into a call and the call's outcome into words and an exit code. Nothing is decided here.

mod abort;
mod acting;
mod agent;
mod apply;
mod approve;
mod audience;
mod blocker;
mod books;
mod canary;
mod candidates;
mod check;
mod completions;
mod config;
#[cfg(test)]
mod contrib;
mod converge;
mod coverage;
mod demo;
mod depool;
mod doctor;
mod dry;
mod ended;
mod exit;
mod gate;
mod gc;
mod history;
mod hold;
mod hosts;
mod init;
mod journal;
mod lock;
mod man;
mod outputs;
mod pin;
mod plan;
mod playbook;
mod promote;
mod replay;
mod report;
mod resume;
mod rights;
mod rollback;
mod run;
mod schema;
mod seat;
mod serve;
mod sign;
mod simulate;
mod staged;
mod status;
mod sync_common;
mod sync_file;
mod test;
mod timeline;
mod undo;
mod usage;
mod watch;
mod whole;
mod wishes;
mod words;

use crate::model::version::VERSION;
use clap::{Parser, Subcommand};
use seat::{Seat, SeatArgs};
use std::process::ExitCode;

/// Moves groups of wikis between versions over a fleet of hosts: proves every host before it switches any, and takes
/// everything back with one command.
#[derive(Parser)]
#[command(name = "pointsman", version = VERSION, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    seat: SeatArgs,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done and proven, or nothing to do     6   the plan is stale
  1  an error of ours or of this machine   7   stale or unreachable hosts, nothing was switched
  2  usage or configuration                8   done, but hosts are owed, named
  3  the fleet was held or taken back      9   changes present
  4  a person is needed                    10  refused: no right, a hold, or taken back before
  5  somebody else holds the lock          130/143 stopped by a signal

POINTSMAN_LOG=pointsman=debug says on stderr what goes to hosts and what comes back.

At 01:16, with half the world logged out:  pointsman rollback -m 'sessions are lost'";

#[derive(Subcommand)]
enum Command {
    Status(status::Status),
    Check(check::Check),
    Canary(canary::Canary),
    Promote(promote::Promote),
    Run(run::Run),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Resume(resume::Resume),
    Abort(abort::Abort),
    Watch(watch::Watch),
    Approve(approve::Approve),
    Deny(approve::Deny),
    Blocker(blocker::Blocker),
    Gate(gate::Gate),
    Rollback(rollback::Rollback),
    Converge(converge::Converge),
    SyncCommon(sync_common::SyncCommon),
    SyncFile(sync_file::SyncFile),
    Undo(undo::Undo),
    Pin(pin::Pin),
    Unpin(pin::Unpin),
    Depool(depool::Depool),
    Gc(gc::Gc),
    Pool(depool::Pool),
    Lock(lock::Lock),
    Unlock(lock::Unlock),
    Hold(hold::Hold),
    Release(hold::Release),
    History(history::History),
    Show(history::Show),
    Report(report::Report),
    Serve(serve::Serve),
    Timeline(timeline::Timeline),
    Replay(replay::Replay),
    Simulate(simulate::Simulate),
    Test(test::Test),
    Journal(journal::Journal),
    Sign(sign::Sign),
    Books(books::Books),
    Hosts(hosts::Hosts),
    Coverage(coverage::Coverage),
    Agent(agent::Agent),
    Config(config::Config),
    Init(init::Init),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(man::Man),
    Schema(schema::Schema),
    Demo(demo::Demo),
    #[command(name = "demo-web", hide = true)]
    DemoWeb(demo::DemoWeb),
}

/// Parses the arguments, runs the command and says how it ended.
pub fn main() -> ExitCode {
    candidates::answer();
    no_core();
    let cli = Cli::parse();
    log();
    let seat = Seat::new(&cli.seat);
    let ended = cli.command.run(&seat);
    exit::code(&seat, ended)
}

/// Keeps what is in memory, passwords and tokens among it, out of core files, and of debuggers of other processes (S10).
fn no_core() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // What may be dumped decides; the limit is for what this program starts, which is dumpable again. Neither can fail
    // for a process about itself, and a kernel that refuses is no reason to leave a fleet as it is.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// What the program does, for whoever looks for a fault in it: on stderr, when POINTSMAN_LOG asks for it.
fn log() {
    let filter = tracing_subscriber::EnvFilter::builder().with_env_var("POINTSMAN_LOG").try_from_env();
    if let Ok(filter) = filter {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}

impl Command {
    fn run(self, seat: &Seat) -> anyhow::Result<exit::Exit> {
        rights::ask(seat, &self.needs())?;
        match self {
            Self::Status(command) => command.run(seat),
            Self::Check(command) => command.run(seat),
            Self::Canary(command) => command.run(seat),
            Self::Promote(command) => command.run(seat),
            Self::Run(command) => command.run(seat),
            Self::Plan(command) => command.run(seat),
            Self::Apply(command) => command.run(seat),
            Self::Resume(command) => command.run(seat),
            Self::Abort(command) => command.run(seat),
            Self::Watch(command) => command.run(seat),
            Self::Approve(command) => command.run(seat),
            Self::Deny(command) => command.run(seat),
            Self::Blocker(command) => command.run(seat),
            Self::Gate(command) => command.run(seat),
            Self::Rollback(command) => command.run(seat),
            Self::Converge(command) => command.run(seat),
            Self::SyncCommon(command) => command.run(seat),
            Self::SyncFile(command) => command.run(seat),
            Self::Undo(command) => command.run(seat),
            Self::Pin(command) => command.run(seat),
            Self::Unpin(command) => command.run(seat),
            Self::Depool(command) => command.run(seat),
            Self::Gc(command) => command.run(seat),
            Self::Pool(command) => command.run(seat),
            Self::Lock(command) => command.run(seat),
            Self::Unlock(command) => command.run(seat),
            Self::Hold(command) => command.run(seat),
            Self::Release(command) => command.run(seat),
            Self::History(command) => command.run(seat),
            Self::Show(command) => command.run(seat),
            Self::Report(command) => command.run(seat),
            Self::Serve(command) => command.run(seat),
            Self::Timeline(command) => command.run(seat),
            Self::Replay(command) => command.run(seat),
            Self::Simulate(command) => command.run(seat),
            Self::Test(command) => command.run(seat),
            Self::Journal(command) => command.run(seat),
            Self::Sign(command) => command.run(seat),
            Self::Books(command) => command.run(seat),
            Self::Hosts(command) => command.run(seat),
            Self::Coverage(command) => command.run(seat),
            Self::Agent(command) => command.run(seat),
            Self::Config(command) => command.run(seat),
            Self::Init(command) => command.run(seat),
            Self::Doctor(command) => command.run(seat),
            Self::Completions(command) => command.run(seat),
            Self::Man(command) => command.run(seat),
            Self::Schema(command) => command.run(seat),
            Self::Demo(command) => command.run(seat),
            Self::DemoWeb(command) => command.run(seat),
        }
    }
}
