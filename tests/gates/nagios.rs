//! Real Nagios plugins, on the deploy host and through the agent of a host.

use pointsman::config;
use pointsman::fleet::{Fleet, Install};
use pointsman::model::question::{Answer, PluginSaid, Question};
use pointsman::signal::plugin::run;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Where Debian's monitoring-plugins-basic puts them.
const PLUGINS: &str = "/usr/lib/nagios/plugins";
/// Long enough on any machine.
const LONG: Duration = Duration::from_secs(120);

const GROUPS: &str = "\
deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
wikis: [testwiki]
groups:
  - {name: group0, wikis: [testwiki]}
hosts:
  - {name: mw1.test, roles: [appserver], datacenter: eqiad, transport: local, directory: hosts}
";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn argv(plugin: &str, arguments: &[&str]) -> Vec<String> {
    let plugin = format!("{PLUGINS}/{plugin}");
    assert!(Path::new(&plugin).is_file(), "{plugin} is missing: apt-get install monitoring-plugins-basic");
    [plugin.as_str()].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect()
}

/// Each plugin with what makes it say so.
fn cases() -> Vec<(Vec<String>, i32, &'static str)> {
    vec![
        (argv("check_load", &["-w", "9999,9999,9999", "-c", "9999,9999,9999"]), 0, "|load1="),
        (argv("check_load", &["-w", "0,0,0", "-c", "9999,9999,9999"]), 1, "|load1="),
        (argv("check_disk", &["-w", "0%", "-c", "0%", "-p", "/"]), 0, "DISK OK"),
        (argv("check_disk", &["-w", "100%", "-c", "100%", "-p", "/"]), 2, "DISK CRITICAL"),
        (argv("check_procs", &["-c", "1:", "-C", "no-such-program"]), 2, "PROCS CRITICAL"),
        (argv("check_dummy", &["3", "not known"]), 3, "UNKNOWN: not known"),
    ]
}

fn check(said: &PluginSaid, code: i32, words: &str) {
    assert_eq!(said.code, Some(code), "{said:?}");
    assert!(said.output.contains(words), "{said:?}");
}

#[test]
fn codes_and_perfdata_of_real_plugins_come_back() {
    for (argv, code, words) in cases() {
        check(&block_on(run(&argv, LONG)).expect("it starts"), code, words);
    }
}

#[test]
fn a_web_server_that_refuses_is_critical() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    drop(taken);
    let argv = argv("check_http", &["-I", "127.0.0.1", "-p", &port, "-t", "60"]);
    let said = block_on(run(&argv, LONG)).expect("it starts");
    assert_eq!(said.code, Some(2), "{said:?}");
}

#[test]
fn a_hosts_agent_runs_the_same_plugins() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir_all(dir.path().join("hosts/mw1.test")).expect("it is ours");
    let file = dir.path().join("groups.yaml");
    fs::write(&file, GROUPS).expect("it is ours");
    let policy = config::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let program = Path::new(env!("CARGO_BIN_EXE_pointsman"));
    let fleet = Fleet::open_with(&policy, &dir.path().join("run"), program).expect("the fleet opens");
    block_on(async {
        let mw1 = "mw1.test".parse().expect("a legal name");
        let mut session = fleet.session(&mw1, Install::Never).await.expect("it answers");
        for (argv, code, words) in cases() {
            let question = Question::Plugin { argv, deadline_ms: 60_000 };
            let Ok(Answer::Plugin(said)) = session.question(&question, LONG).await else { panic!("a plugin answers") };
            check(&said, code, words);
        }
        session.close(LONG).await;
    });
}
