//! A person at a real terminal: tmux has one, draws what the program writes, and presses keys.

use crate::site::{Site, V10, V11};
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// A terminal with the program in it.
struct Terminal {
    /// A server of its own, so that it ends with the test.
    socket: tempfile::TempDir,
}

impl Terminal {
    /// The program on a terminal of so many columns; its exit code stands below what it said.
    fn new(site: &Site, columns: usize, arguments: &[&str]) -> Self {
        let terminal = Self { socket: tempfile::tempdir().expect("a directory is made") };
        let arguments: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
        let program = env!("CARGO_BIN_EXE_pointsman");
        let line = format!(
            "trap : INT; {program} -C '{}' {}; echo \"[code $?]\"; exec sleep 3600",
            site.path("").display(),
            arguments.join(" ")
        );
        let columns = columns.to_string();
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", "40", "sh", "-c", &line]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.socket.path().join("tmux")).args(arguments).stdin(Stdio::null());
        let output = command.output().expect("tmux is there: scripts/test installs it");
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What stands on the screen.
    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).trim_end().to_owned()
    }

    /// The screen, once `words` stand on it.
    #[track_caller]
    fn shows(&self, words: &str) -> String {
        for _ in 0..1200 {
            let screen = self.screen();
            if screen.contains(words) {
                return screen;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("`{words}` is not shown:\n{}", self.screen());
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn resize(&self, columns: usize) {
        self.tmux(&["resize-window", "-x", &columns.to_string()]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.arg("-S").arg(self.socket.path().join("tmux")).arg("kill-server").status();
    }
}

/// A hook that waits until the site has a file `go`.
fn waiting(site: &Site, hook: &str) -> String {
    format!("{hook}: [sh, -c, \"until [ -e {}/go ]; do sleep 0.05; done\"]", site.path("").display())
}

fn go(site: &Site) {
    site.write("go", "");
}

/// A site where a switch ends only once `go` is there.
fn slow_switch() -> Site {
    let site = Site::small("");
    site.edit("hooks: {", &format!("hooks: {{{}, ", waiting(&site, "restart")));
    site
}

const PROMOTE: [&str; 5] = ["promote", "group0", V11, "-m", "train"];

#[test]
fn a_wave_is_one_line_that_fits_and_says_what_it_waits_for() {
    for columns in [60, 80, 120, 200] {
        let site = slow_switch();
        let terminal = Terminal::new(&site, columns, &[&PROMOTE[..], &["--yes"]].concat());
        let screen = terminal.shows("wave 1 of 3: 0 of 1 proven, waits for mw1017");
        let living: Vec<&str> = screen.lines().filter(|line| line.contains("wave 1 of 3")).collect();
        assert_eq!(living.len(), 1, "one line a wave:\n{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= columns), "{screen}");
        assert_eq!(living[0].contains("[    "), columns >= 80, "a bar where there is room:\n{screen}");
        go(&site);
        let screen = terminal.shows("[code 0]");
        for wave in ["wave 1 of 3: 1 of 1 proven in", "wave 2 of 3: 1 of 1 proven in", "wave 3 of 3: 1 of 1 proven in"]
        {
            assert_eq!(screen.matches(wave).count(), 1, "`{wave}`:\n{screen}");
        }
        assert!(!screen.contains("waits for"), "nothing of the living line is left:\n{screen}");
    }
}

/// A terminal that became narrower breaks the line that it shows in two, of which the first then stays: erasing it could
/// erase what was said before where a terminal does not break lines.
#[test]
fn in_a_resized_window_nothing_is_lost_and_the_line_fits_again() {
    let site = slow_switch();
    let terminal = Terminal::new(&site, 120, &[&PROMOTE[..], &["--yes"]].concat());
    terminal.shows("wave 1 of 3: 0 of 1 proven, waits for mw1017");
    terminal.resize(60);
    terminal.shows("wave 1 of 3: 0 of 1 proven, waits for mw1017");
    terminal.resize(150);
    terminal.shows("[                    ] wave 1 of 3: 0 of 1 proven, waits for mw1017");
    go(&site);
    let screen = terminal.shows("[code 0]");
    let lines = [
        "r2 promote (plan",
        "wave 1: 1 host",
        "wave 3: 1 host",
        "wave 1 of 3: 1 of 1",
        "wave 2 of 3: 1 of 1",
        "journal: ",
    ];
    for line in lines.iter().chain(&["wave 3 of 3: 1 of 1 proven in", "r2: group0: 2 wikis", "3 of 3 hosts proven"]) {
        assert_eq!(screen.matches(line).count(), 1, "`{line}`:\n{screen}");
    }
    assert!(screen.matches("waits for").count() <= 1, "of the living line:\n{screen}");
}

#[test]
fn at_the_question_ctrl_c_is_heard_and_is_a_no() {
    let site = Site::small("");
    let terminal = Terminal::new(&site, 100, &PROMOTE);
    terminal.shows("Go on? [y/N]");
    terminal.press("C-c");
    terminal.shows("nothing was switched: stopped before");
    terminal.shows("[code 130]");
    assert_eq!(site.counts(), ".10: 7");
    for (key, code) in [("y", 0), ("n", 4)] {
        let group = if key == "y" { "group0" } else { "group1" };
        let terminal = Terminal::new(&site, 100, &["promote", group, V11, "-m", "train"]);
        terminal.shows("Go on? [y/N]");
        terminal.press(key);
        terminal.press("Enter");
        terminal.shows(&format!("[code {code}]"));
    }
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn ctrl_c_once_finishes_what_is_under_way_and_says_what_to_type() {
    let site = slow_switch();
    let terminal = Terminal::new(&site, 100, &[&PROMOTE[..], &["--yes"]].concat());
    terminal.shows("waits for mw1017");
    terminal.press("C-c");
    terminal.shows("stopping: no new step begins, what is under way to 1 host is finished; once more stops at once");
    assert!(!terminal.screen().contains("[code"), "it waits for the host");
    go(&site);
    let screen = terminal.shows("[code 130]");
    assert!(screen.contains("stopped: no new step was begun; 1 of 3 hosts serves what was wanted"), "{screen}");
    assert!(screen.contains("hint: pointsman converge --forward"), "{screen}");
    assert!(!screen.contains("not answered"), "Ctrl-C was for nobody but the controller:\n{screen}");
    assert!(site.map(&site.hosts()[0]).values().any(|version| version == V11), "the debug host was switched");
    assert!(site.map(&site.hosts()[1]).values().all(|version| version == V10), "and nobody after it");
    site.run(&["converge", "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn ctrl_c_twice_stops_at_once_and_a_converge_mends_it() {
    let site = slow_switch();
    let terminal = Terminal::new(&site, 100, &[&PROMOTE[..], &["--yes"]].concat());
    terminal.shows("waits for mw1017");
    terminal.press("C-c");
    terminal.shows("once more stops at once");
    terminal.press("C-c");
    let screen = terminal.shows("[code 130]");
    assert!(screen.contains("stopped at once by a second signal"), "{screen}");
    go(&site);
    site.run(&["converge", "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["status"]).ends(0).says("lock: free").says("owed: none");
}

#[test]
fn a_log_has_a_line_a_step_and_no_control_characters() {
    let site = Site::small("");
    let log = site.path("log");
    let file = fs::File::create(&log).expect("made");
    let mut command = site.command(&[&PROMOTE[..], &["--yes"]].concat());
    let status = command.stdout(Stdio::null()).stderr(file).status().expect("it starts");
    assert!(status.success());
    let said = fs::read_to_string(&log).expect("it is text");
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
    for line in ["wave 1 of 3: 1 host\n", "mw1017.eqiad.wmnet: switched\n", "mw1017.eqiad.wmnet: proven\n"] {
        assert_eq!(said.matches(line).count(), 1, "{said}");
    }
}
