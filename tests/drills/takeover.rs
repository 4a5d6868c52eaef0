//! An operator is stopped in the middle of what it does, somebody else takes over, and the first goes on: it finds that its
//! time is over, and nothing of it comes after.
//!
//! The drill knows books by [`Keeper`] only, so that each kind of store can be put through it.

use crate::amount::{Sums, times};
use crate::killed::{PROMOTE, SYNC_COMMON};
use crate::site::{Ran, Site};
use crate::stand::{Drill, End, Running, Stand, Who};
use crate::trace;
use pointsman::model::books::Record;
use pointsman::store::error::StoreError;
use pointsman::store::sqlite;
use pointsman::store::{LockNote, Store, StoredEvent, lock_note};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};

/// How often somebody takes over in a usual run, and how often at most.
const TIMES: [usize; 2] = [9, 200];

/// Who keeps the books that two operators meet at.
pub trait Keeper {
    /// Where they are.
    fn books(&self) -> trace::Books;
    /// Makes a site's groups.yaml name these books, before its first command.
    fn begin(&self, site: &Site);
    /// Remembers the books as they are now.
    fn keep(&self, site: &Site);
    /// They are again as they were remembered; what lies in the site's own directory was put back already.
    fn put_back(&self, site: &Site);
    /// Opens them to look.
    fn open(&self, site: &Site) -> Result<Box<dyn Store>, StoreError>;
}

/// Books in a directory of the site.
pub struct Directory;

impl Keeper for Directory {
    fn books(&self) -> trace::Books {
        trace::Books::File
    }

    fn begin(&self, _: &Site) {}

    fn keep(&self, _: &Site) {}

    fn put_back(&self, _: &Site) {}

    fn open(&self, site: &Site) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(sqlite::open_read_only(&site.path("books"))?))
    }
}

/// One pair of operators.
struct Pair {
    first: &'static Drill,
    second: &'static [&'static str],
}

const PAIRS: [Pair; 3] = [
    Pair { first: &PROMOTE, second: &["rollback", "--yes", "-m", "5xx"] },
    Pair { first: &PROMOTE, second: &["converge", "--take-over"] },
    Pair { first: &SYNC_COMMON, second: &["converge", "--take-over"] },
];

/// The first operator, stopped or ended.
struct First {
    running: Running,
    stopped: bool,
    /// Is read until the first one ends.
    _news: Receiver<()>,
}

/// Starts the first operator and lets it be stopped at a call.
fn stopped_at(stand: &Stand, call: &trace::Call) -> First {
    let pipe = stand.site.path("strace");
    if !pipe.exists() {
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    }
    let running = stand.begin(Who::Controller, &trace::Order::once(call, "signal=SIGSTOP"), Some(&pipe));
    let log = std::fs::File::open(&pipe).expect("strace writes there");
    let (tell, news) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if line.contains("stopped by SIGSTOP") {
                let _ = tell.send(());
            }
        }
    });
    First { stopped: news.recv().is_ok(), running, _news: news }
}

impl First {
    /// Lets it go on, to its end.
    fn goes_on(self) -> (End, String) {
        // Who was stopped in the middle of a write to a file may have been ended by the second one, see `store/writer.rs`.
        if let Some(controller) = self.running.controller().filter(|_| self.stopped) {
            kill_process(Pid::from_raw(controller).expect("a process id"), Signal::CONT).ok();
        }
        self.running.end()
    }
}

/// One takeover; how it ended.
fn take_over(stand: &Stand, pair: &Pair, call: &trace::Call) -> (&'static str, Result<(), String>) {
    stand.put_back();
    let books = || stand.keeper.open(&stand.site).and_then(|books| books.load());
    let before = books().expect("nobody is there").current;
    let first = stopped_at(stand, call);
    let books = books();
    // A converge goes to what the books want: that of a sync from its intent on, that of a promotion once it has ended.
    let ends_new = pair.second[0] == "converge" && books.as_ref().is_ok_and(|books| books.current != before);
    let held = books.as_ref().ok().and_then(|books| books.lock.as_ref()).map(|lock| lock.epoch);
    let second = stand.site.run(pair.second);
    let (stopped, was_ended) = (first.stopped, second.stderr.contains("was ended (SIGKILL)"));
    let (end, said) = first.goes_on();
    let (how, judged) = match (stopped, held, was_ended) {
        (true, _, true) => ("ended in the middle of a write", after_its_end(stand, end, &said, &second)),
        (true, Some(epoch), _) => ("taken over", judge(stand, ends_new, (epoch, end, &said, &second))),
        // Whatever the first one said of the fleet, the second one acted after it.
        _ => ("before or after", stand.judge(End::Killed, &said)),
    };
    (
        how,
        judged.map_err(|why| {
            format!(
                "{} stopped at {}({}): {why}\n{second}\n--- the first:\n{said}",
                pair.first.name, call.name, call.nth
            )
        }),
    )
}

/// What must hold when the second one had to end the first, which kept everybody out of the books.
fn after_its_end(stand: &Stand, end: End, said: &str, second: &Ran) -> Result<(), String> {
    let came_through = second.code == 0 || second.stderr.contains("the books record no promotion");
    match (end, came_through) {
        (End::Killed, true) => stand.judge(End::Killed, said),
        (end, _) => Err(format!("the first one was ended with {end:?}, and the second one with code {}", second.code)),
    }
}

/// What must hold after a takeover from the holder of an epoch, who then ended so and said that.
fn judge(stand: &Stand, ends_new: bool, (epoch, end, said, second): (u64, End, &str, &Ran)) -> Result<(), String> {
    let is = |holds: bool, words: &str| if holds { Ok(()) } else { Err(words.to_owned()) };
    // A promotion that has switched nobody is not on the books yet, and there may be none before it.
    let nothing_to_take_back = second.code == 2 && second.stderr.contains("the books record no promotion");
    is(second.code == 0 || nothing_to_take_back, "the second operator did not come through")?;
    is(end == End::Code(5), &format!("the first one ended with {end:?} instead of code 5"))?;
    let words = [format!("epoch {epoch} is over"), "pointsman status".to_owned()];
    is(words.iter().all(|words| said.contains(words)), "the first one does not say what happened and what to type")?;
    let events = stand.keeper.open(&stand.site).and_then(|books| books.events(0, usize::MAX)).expect("readable");
    let newest = follow(&events, epoch)?;
    for host in stand.site.hosts().iter().filter(|_| !nothing_to_take_back) {
        let fence = std::fs::read_to_string(stand.site.host(host).join("var/lib/pointsman/fence")).expect("it has one");
        is(fence.contains(&format!("\"epoch\":{newest},")), &format!("{host} does not obey epoch {newest}: {fence}"))?;
    }
    is(stand.serves(ends_new), "the hosts do not serve what the second operator wanted")?;
    stand.judge(End::Code(if ends_new { 0 } else { 5 }), said)
}

/// The epoch that took over from another one. Nothing of the older one may come after it.
fn follow(events: &[StoredEvent], older: u64) -> Result<u64, String> {
    if events.windows(2).any(|pair| pair[1].epoch < pair[0].epoch) {
        return Err("events of two epochs are mixed".to_owned());
    }
    let taken = |event: &&StoredEvent| event.epoch > older && lock_note(&event.record) == Some(LockNote::TookOver);
    let Some(taken) = events.iter().find(taken) else { return Err("the books know of no takeover".to_owned()) };
    for event in events {
        if let Record::Intents { hosts, .. } = &event.record
            && hosts.iter().any(|(_, generation)| generation.epoch != event.epoch)
        {
            return Err(format!("event {} is of another epoch than its command", event.seq));
        }
    }
    Ok(taken.epoch)
}

/// Numbers that follow from a seed: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>
fn random(seed: u64, below: usize) -> usize {
    let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as usize % below
}

/// Takes over at random moments between the first operator's first intent and its last reply.
pub fn drill(name: &str, keeper: &Rc<dyn Keeper>) {
    let stands = [&PROMOTE, &SYNC_COMMON].map(|first| Stand::on(first, Rc::clone(keeper)));
    let mut sums = Sums::default();
    let wanted = times(TIMES[0], TIMES[1]);
    for number in 0..wanted {
        let pair = &PAIRS[number % PAIRS.len()];
        let stand = &stands[usize::from(pair.first.name == SYNC_COMMON.name)];
        let moments = trace::between_intent_and_reply(&stand.recorded[0].1, keeper.books());
        let call = &moments[random(number as u64 + 1, moments.len())];
        let (how, judged) = take_over(stand, pair, call);
        sums.add(&format!("{} then {}", pair.first.name, pair.second[0]), how, judged);
    }
    sums.hold(&format!("takeovers, {name}"), wanted);
    let met = sums.ended("taken over") + sums.ended("ended in the middle of a write");
    assert!(met > wanted / 2 && sums.ended("taken over") > 0, "too few came to it: {sums:?}");
}

#[test]
fn an_operator_that_was_stopped_finds_its_time_over() {
    let directory: Rc<dyn Keeper> = Rc::new(Directory);
    drill("SQLite", &directory);
}
