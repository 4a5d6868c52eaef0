//! A site that is put back to the same beginning before each trial, the program under strace, and the judge.
//!
//! Invariant: a trial is over when every process that it started has ended: they all hold a pipe open. What is then found
//! is compared, byte by byte, with what an undisturbed run of the same command found and left.

use crate::site::Site;
use crate::takeover::{Directory, Keeper};
use crate::trace::{self, Call, Order};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Mutex;
use tempfile::TempDir;

/// What is served below one name of a deploy root, by path: permission to execute, and bytes.
type Tree = BTreeMap<PathBuf, (bool, Vec<u8>)>;
/// What each host serves, by host and name.
type Fleet = BTreeMap<String, BTreeMap<String, Tree>>;

/// A command that is drilled.
pub struct Drill {
    pub name: &'static str,
    pub order: &'static [&'static str],
    /// What comes before it, on a small site that is synced and serves `.10`.
    pub before: fn(&Site),
    /// Whether the hosts must be as after it even if it was cut at its beginning.
    pub always_ends_new: bool,
}

/// Which process is interfered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Controller,
    /// The agent that is started as the so-manieth, from 1 on.
    Agent(usize),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Killed,
    Code(i32),
}

/// A site, its beginning, and the program.
pub struct Stand {
    pub site: Site,
    drill: &'static Drill,
    /// Who keeps its books.
    pub keeper: Rc<dyn Keeper>,
    /// The hosts and the books as they are put back.
    beginning: TempDir,
    programs: TempDir,
    processor: Processor,
    before: Fleet,
    after: Fleet,
    /// The calls of the controller and of each agent in an undisturbed run.
    pub recorded: Vec<(Who, Vec<Call>)>,
}

/// A trial that was begun.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Stand {
    /// Builds the site and runs the command twice undisturbed: to see what it leaves, and to record its calls.
    pub fn new(drill: &'static Drill) -> Self {
        Self::on(drill, Rc::new(Directory))
    }

    /// The same on a site that is made ready in its own way before its first command.
    pub fn on(drill: &'static Drill, keeper: Rc<dyn Keeper>) -> Self {
        let strace = Command::new("strace").arg("--version").output();
        assert!(strace.is_ok(), "strace is missing: scripts/test installs it");
        // The drills sync often.
        if Path::new("/dev/shm").is_dir() {
            tempfile::env::override_temp_dir(Path::new("/dev/shm")).ok();
        }
        let site = Site::unsynced("");
        keeper.begin(&site);
        site.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
        (drill.before)(&site);
        let beginning = TempDir::new().expect("a directory is made");
        copy(&[site.path("hosts"), site.path("books")], beginning.path());
        keeper.keep(&site);
        let (programs, processor) = (programs(), Processor::take());
        let (before, after, recorded) = (fleet(&site), Fleet::new(), Vec::new());
        let mut stand = Self { site, drill, keeper, beginning, programs, processor, before, after, recorded };
        stand.site.run(drill.order).ends(0);
        stand.after = fleet(&stand.site);
        assert!(stand.before != stand.after, "{} changes nothing", drill.name);
        stand.record();
        stand
    }

    fn record(&mut self) {
        let log = |name: &str| self.programs.path().join(name);
        self.put_back();
        self.agents("all", &format!("-y -o {}", log("agent").display()));
        let strace = ["strace".to_owned(), "-y".to_owned(), "-o".to_owned(), log("controller").display().to_string()];
        let ended = self.start(&strace).end();
        assert_eq!(ended.0, End::Code(0), "{}", ended.1);
        let mut recorded = vec![(Who::Controller, trace::read(&log("controller")))];
        let agents = (1..).map(|n| (n, log(&format!("agent.{n}")))).take_while(|(_, log)| log.exists());
        recorded.extend(agents.map(|(n, log)| (Who::Agent(n), trace::read(&log))));
        assert!(recorded.len() > self.site.hosts().len(), "each host has an agent");
        self.recorded = recorded;
    }

    /// The whole of the beginning again.
    pub fn put_back(&self) {
        for name in ["hosts", "books"] {
            fs::remove_dir_all(self.site.path(name)).expect("ours");
        }
        copy(&[self.beginning.path().join("hosts"), self.beginning.path().join("books")], &self.site.path(""));
        self.keeper.put_back(&self.site);
    }

    /// One trial from the beginning on: the command with strace's order to one of the processes.
    pub fn trial(&self, who: Who, order: &Order) -> (End, String) {
        self.put_back();
        self.begin(who, order, None).end()
    }

    /// Starts the command with strace's order to one of the processes; strace tells `to` of that call and of signals.
    pub fn begin(&self, who: Who, order: &Order, to: Option<&Path>) -> Running {
        let to = to.unwrap_or(Path::new("/dev/null")).display().to_string();
        let words: Vec<String> = ["-qq".to_owned(), "-o".to_owned(), to].into_iter().chain(order.words()).collect();
        match who {
            Who::Controller => {
                self.agents("none", "");
                self.start(&[vec!["strace".to_owned()], words].concat())
            }
            Who::Agent(n) => {
                self.agents(&n.to_string(), &words.join(" "));
                self.start(&[])
            }
        }
    }

    /// One trial from the beginning on, with so much room, in kB, on the file system of a part of the site: `books`, or a
    /// host. Afterwards it has all the room of the disk again.
    pub fn trial_on_full(&self, part: &str, room_kb: usize) -> (End, String) {
        self.put_back();
        self.agents("none", "");
        let (part, left) = (self.site.path(part), self.site.path("left"));
        let shown = |path: &Path| path.display().to_string();
        let words = ["unshare", "--mount", "sh", "-ec", FULL, "sh"].map(str::to_owned).into_iter();
        let ended =
            self.start(&words.chain([shown(&part), shown(&left), room_kb.to_string()]).collect::<Vec<_>>()).end();
        fs::remove_dir_all(&part).expect("ours");
        fs::rename(&left, &part).expect("it was copied there");
        ended
    }

    /// Says which of the agents to come run under strace, and how. See [`AGENT`].
    fn agents(&self, which: &str, strace: &str) {
        let begun = self.programs.path().join("begun");
        let _ = fs::remove_dir_all(&begun);
        fs::create_dir(&begun).expect("made");
        let orders = format!("which={which}\nstrace='{strace}'\n");
        fs::write(self.programs.path().join("orders"), orders).expect("written");
    }

    /// Starts the command on one processor, so that nothing is done by threads; by another program unless that is empty.
    fn start(&self, by: &[String]) -> Running {
        let log = self.programs.path().join("said");
        let mut command = Command::new("sh");
        // All processes of the trial inherit the pipe as number 9.
        command.args(["-c", "exec 9>&1 >\"$0\" 2>&1; exec \"$@\""]).arg(&log);
        command.args(["taskset", "-c", &self.processor.0.to_string()]).args(by);
        command.arg(self.programs.path().join("pointsman")).arg("-C").arg(self.site.path("")).args(self.drill.order);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        Running { child, log }
    }

    /// What must hold after a command that ended so: nothing torn is to be seen, success is said only when it is there,
    /// and one converge settles the rest.
    pub fn judge(&self, end: End, said: &str) -> Result<(), String> {
        let found = fleet(&self.site);
        self.untorn(&found)?;
        // tokio panics when it gets no descriptor for itself, or cannot wake itself. We may not.
        let panicked = said.lines().find(|line| line.contains("panicked at"));
        if let Some(line) = panicked.filter(|line| !line.contains("/tokio-")) {
            return Err(line.to_owned());
        }
        if end == End::Code(0) && found != self.after {
            return Err(format!("it said that it is done, and it is not: {}", differing(&found, &self.after)));
        }
        self.runs(&["converge"])?;
        let settled = fleet(&self.site);
        let legal = settled == self.after || settled == self.before && !self.drill.always_ends_new;
        if !legal {
            return Err(format!("after a converge it is neither old nor new: {}", differing(&settled, &self.after)));
        }
        self.runs(&["journal", "verify"])?;
        self.runs(&["check"])?;
        let status = self.runs(&["status"])?;
        let wanted = ["stale: none", "owed: none", "lock: free"].into_iter().find(|words| !status.contains(words));
        match wanted.or(status.contains("unfinished").then_some("nothing unfinished")) {
            Some(wanted) => Err(format!("after a converge the status lacks `{wanted}`:\n{status}")),
            None => Ok(()),
        }
    }

    /// Whether all hosts serve exactly what they did before the command, or after it.
    pub fn serves(&self, after: bool) -> bool {
        fleet(&self.site) == *if after { &self.after } else { &self.before }
    }

    /// Whatever a host serves is, name by name, exactly as before or as after.
    fn untorn(&self, found: &Fleet) -> Result<(), String> {
        for (host, names) in found {
            let [before, after] = [&self.before[host], &self.after[host]];
            let all: BTreeSet<&String> = names.keys().chain(before.keys()).chain(after.keys()).collect();
            for name in all {
                let is = names.get(name);
                if is != before.get(name) && is != after.get(name) {
                    return Err(format!("{host}: `{name}` is neither old nor new"));
                }
            }
        }
        Ok(())
    }

    fn runs(&self, arguments: &[&str]) -> Result<String, String> {
        let ran = self.site.run(arguments);
        match ran.code {
            0 => Ok(ran.stdout),
            _ => Err(ran.to_string()),
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Killed => f.write_str("killed"),
            Self::Code(code) => write!(f, "code {code}"),
        }
    }
}

impl Running {
    /// Waits until all its processes have ended; how the controller ended and what it said.
    pub fn end(mut self) -> (End, String) {
        let mut nothing = Vec::new();
        let pipe = self.child.stdout.as_mut().expect("it is piped");
        pipe.read_to_end(&mut nothing).expect("it is read");
        let status = self.child.wait().expect("it ended");
        let said = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
        (status.code().map_or(End::Killed, End::Code), said)
    }

    /// The controller's process, once strace has started it.
    pub fn controller(&self) -> Option<i32> {
        let strace = self.child.id();
        let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }
}

/// Runs a command while `$1` is a file system with nothing but a copy of what it was and `$3` kB of room. What it is after
/// all processes of the command have ended is copied to `$2`.
const FULL: &str = r#"
part=$1 left=$2 room=$3
shift 3
cp -a "$part" "$left.before"
mount -t tmpfs -o size=64m none "$part"
cp -a "$left.before/." "$part"
rm -r "$left.before"
free=$(df --output=avail -k "$part" | tail -n 1)
exec 8>"$part/jam"
rm "$part/jam"
fallocate -l $((free - room))k /proc/self/fd/8
exec 6>&1
code=$(exec 7>&1 >&6; code=0; "$@" || code=$?; echo $code >&7)
cp -a "$part" "$left"
exit "$code"
"#;

/// Stands beside the program as the agent of its build. It counts the agents that are started, and runs those under
/// strace that its orders name.
const AGENT: &str = r#"#!/bin/sh
[ "$1" = agent ] || exec "HERE/agent" "$@"
. "HERE/orders"
n=1
while ! mkdir "HERE/begun/$n" 2>/dev/null; do n=$((n + 1)); done
case "$which" in
    all) exec strace -qq $strace.$n "HERE/agent" "$@" ;;
    "$n") exec strace $strace "HERE/agent" "$@" ;;
    *) exec "HERE/agent" "$@" ;;
esac
"#;

/// A directory with the program and, as its agent, a script that may put strace before it.
fn programs() -> TempDir {
    let here = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory is made");
    for (program, name) in
        [(env!("CARGO_BIN_EXE_pointsman"), "pointsman"), (env!("CARGO_BIN_EXE_pointsman-agent"), "agent")]
    {
        fs::hard_link(program, here.path().join(name)).expect("on one file system");
    }
    let place = here.path().to_str().expect("it is UTF-8");
    let script = AGENT.replace("HERE", place);
    let written = here.path().join("agent.sh");
    fs::write(&written, script).expect("written");
    // By another process: nobody in this one, whose other threads fork, may hold it open for writing.
    let mut install = Command::new("install");
    let installed = install.args(["-m", "755"]).arg(written).arg(here.path().join("pointsman-agent")).status();
    assert!(installed.expect("install runs").success());
    here
}

fn copy(from: &[PathBuf], to: &Path) {
    let copied = Command::new("cp").arg("-a").args(from).arg(to).status();
    assert!(copied.expect("cp runs").success());
}

/// One of the processors that we may run on; stands beside each other spread over them.
struct Processor(usize);

/// How many stands are on each of the processors that we may run on.
static TAKEN: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

impl Processor {
    /// The one that the fewest have taken.
    fn take() -> Self {
        let ours = processors();
        let mut taken = TAKEN.lock().expect("nobody panics with it");
        for processor in ours {
            taken.entry(processor).or_default();
        }
        let (processor, stands) = taken.iter_mut().min_by_key(|(_, stands)| **stands).expect("we run on one");
        *stands += 1;
        Self(*processor)
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().expect("nobody panics with it");
        *taken.get_mut(&self.0).expect("it was taken") -= 1;
    }
}

fn processors() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel says it");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the kernel says it");
    let number = |word: &str| word.parse::<usize>().expect("processors are numbers");
    let range = |words: &str| {
        let (first, last) = words.split_once('-').unwrap_or((words, words));
        number(first)..=number(last)
    };
    list.trim().split(',').flat_map(range).collect()
}

fn fleet(site: &Site) -> Fleet {
    site.hosts().iter().map(|host| (host.clone(), served(&site.host(host).join("srv/mediawiki")))).collect()
}

/// Below a deploy root, what nothing reads: where trees are assembled, and the names under which a map waits for its rename.
const UNREAD: [&str; 3] = [".pointsman-staging", "wikiversions.json.next", "wikiversions.php.next"];

/// What a host serves: all but what nothing reads.
fn served(root: &Path) -> BTreeMap<String, Tree> {
    let names = fs::read_dir(root).expect("it is listed").map(|entry| entry.expect("it is listed").file_name());
    let names = names.map(|name| name.into_string().expect("ours are UTF-8"));
    names.filter(|name| !UNREAD.contains(&name.as_str())).map(|name| (name.clone(), tree(&root.join(&name)))).collect()
}

fn tree(top: &Path) -> Tree {
    let mut found = Tree::new();
    walk(top, top, &mut found);
    found
}

fn walk(top: &Path, path: &Path, found: &mut Tree) {
    let meta = fs::symlink_metadata(path).expect("it is there");
    let below = path.strip_prefix(top).expect("it is below").to_owned();
    if meta.is_dir() {
        for entry in fs::read_dir(path).expect("it is listed") {
            walk(top, &entry.expect("it is listed").path(), found);
        }
        return;
    }
    let bytes = match meta.is_symlink() {
        true => fs::read_link(path).expect("it is read").into_os_string().into_encoded_bytes(),
        false => fs::read(path).expect("it is read"),
    };
    found.insert(below, (meta.permissions().mode() & 0o100 != 0, bytes));
}

/// The first host and name that is not as wanted.
fn differing(found: &Fleet, wanted: &Fleet) -> String {
    for (host, names) in wanted {
        for (name, tree) in names {
            if found[host].get(name) != Some(tree) {
                return format!("{host}: `{name}`");
            }
        }
    }
    "a host has more than it should".to_owned()
}
