//! Every example that `--help` gives is typed at a terminal on a site like the working example, in an order in which each
//! makes sense, and ends as it should.

use crate::site::{Ran, Site, ran};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is done with a line of the table.
enum Line {
    /// It is an example, and ends with this code.
    Ends(i32),
    /// It is no example and comes before the next one.
    Before,
    /// Another test runs it, or what it needs: its name.
    Elsewhere(&'static str),
}

use Line::{Before, Elsewhere, Ends};

/// In the order in which they are typed. Names of runs are those of this site, see [`here`].
const TABLE: &[(&str, Line)] = &[
    // A site begins.
    ("pointsman init", Elsewhere("begins::init_writes_what_config_check_reads")),
    ("pointsman init --inventory inventory.ini --staging /srv/mediawiki-staging", Elsewhere("begins::")),
    ("pointsman init --hosts hosts.txt --wikiversions wikiversions.json", Elsewhere("begins::")),
    ("pointsman config check", Ends(0)),
    ("pointsman config schema > groups.schema.json", Ends(0)),
    ("pointsman schema events > events.schema.json", Ends(0)),
    ("pointsman schema status", Ends(0)),
    ("pointsman completions bash", Ends(0)),
    ("pointsman man man1", Ends(0)),
    ("pointsman doctor", Ends(0)),
    ("pointsman doctor --json", Ends(0)),
    ("pointsman agent install", Ends(0)),
    ("pointsman agent install --hosts dc:codfw", Ends(0)),
    ("pointsman sync-common --from-staging -m 'cut of 1.27.0-wmf.11'", Ends(0)),
    // Looking.
    ("pointsman status", Ends(0)),
    ("pointsman status --live --json > view.json", Ends(0)),
    ("pointsman check", Ends(0)),
    ("pointsman check 1.27.0-wmf.10 --hosts dc:codfw", Ends(0)),
    ("pointsman check --junit readiness.xml", Ends(0)),
    ("pointsman check --deep --hosts mw2020.codfw.wmnet", Ends(0)),
    ("pointsman canary", Ends(0)),
    ("pointsman canary --nagios --hosts dc:codfw", Ends(0)),
    ("pointsman canary --prometheus /var/lib/prometheus/node-exporter/pointsman.prom", Ends(0)),
    ("pointsman gate list", Ends(0)),
    ("pointsman gate suggest edit-failures --since 30d", Elsewhere("gates: suggest")),
    // A train.
    ("pointsman plan run train --var version=1.27.0-wmf.11", Ends(0)),
    ("pointsman run train --var version=1.27.0-wmf.11 --dry-run", Ends(0)),
    ("pointsman run playbooks/train.yaml --var version=1.27.0-wmf.11", Elsewhere("week::")),
    ("pointsman resume", Elsewhere("playbooks::")),
    ("pointsman resume p3 --override-freeze 'the fix cannot wait'", Elsewhere("playbooks::")),
    ("pointsman abort p3", Elsewhere("playbooks::")),
    ("pointsman abort --rollback -m 'sessions are lost'", Elsewhere("played::")),
    ("pointsman approve r12 -m 'the error rate is known, T124143'", Elsewhere("gates::an_approval")),
    ("pointsman deny r12 -m 'not before Monday'", Elsewhere("gates::an_approval")),
    ("mkdir kept && cp -a books hosts kept", Before),
    ("pointsman plan promote group1 1.27.0-wmf.11 -m 'train of the week' -o promote.plan", Ends(0)),
    ("pointsman plan show promote.plan", Ends(0)),
    ("pointsman plan show promote.plan --json", Ends(0)),
    ("pointsman plan schema > plan.schema.json", Ends(0)),
    ("pointsman apply promote.plan", Ends(0)),
    ("pointsman plan rollback -m '5xx' --detailed-exitcode", Ends(9)),
    ("pointsman plan rollback -m '5xx' -o back.plan && pointsman apply back.plan --yes", Ends(0)),
    // As if that had not been.
    ("rm -r books hosts && mv kept/books kept/hosts .", Before),
    ("pointsman promote group1 1.27.0-wmf.11 -m 'train of the week, T119517'", Ends(0)),
    ("pointsman watch", Ends(0)),
    ("pointsman watch r12 --for 2h", Elsewhere("gates: a watch of seconds")),
    ("pointsman rollback", Ends(0)),
    ("pointsman release", Ends(0)),
    ("pointsman promote group1 1.27.0-wmf.11 -m 'train' --again --reason 'T124224 is fixed'", Ends(0)),
    ("pointsman rollback group1 -m '5xx since 19:41'", Ends(0)),
    ("pointsman rollback --to s12 -m 'back to Monday'", Ends(0)),
    ("pointsman converge", Ends(0)),
    ("pointsman converge mw2020.codfw.wmnet", Ends(0)),
    ("pointsman converge --forward", Ends(2)),
    // Files.
    ("echo '<?php $wmgLog = false;' > staging/wmf-config/InitialiseSettings.php", Before),
    ("pointsman sync-file wmf-config/InitialiseSettings.php -m 'switch off the session log channel'", Ends(0)),
    ("pointsman undo -m 'the fix made it worse'", Ends(0)),
    ("echo '<?php $wmgLog = 0;' > staging/wmf-config/InitialiseSettings.php", Before),
    ("pointsman sync-file wmf-config/InitialiseSettings.php -m 'once more'", Before),
    ("pointsman undo r41", Ends(0)),
    ("pointsman sync-common mw2020.codfw.wmnet", Ends(0)),
    // Hosts.
    ("pointsman pin mw1017.eqiad.wmnet 1.27.0-wmf.11 --reason 'debug the session loss' --until 14d", Ends(0)),
    ("pointsman unpin mw1017.eqiad.wmnet --reason 'found it'", Ends(0)),
    ("pointsman depool mw2020.codfw.wmnet --reason 'being reinstalled'", Ends(0)),
    ("pointsman pool mw2020.codfw.wmnet", Ends(0)),
    ("pointsman hosts trust mw2020.codfw.wmnet", Elsewhere("fleet: hosts trust")),
    ("pointsman hosts adopt mw2020.codfw.wmnet", Ends(0)),
    ("pointsman gc --dry-run", Ends(0)),
    ("pointsman gc --yes --keep 14d", Ends(0)),
    // Who may go on.
    ("pointsman blocker add T124143 -m 'sessions are lost on logout'", Ends(0)),
    ("pointsman blocker list", Ends(0)),
    ("pointsman hold -m 'database switchover until 16:00 UTC'", Ends(0)),
    ("pointsman release", Ends(0)),
    ("pointsman lock -m 'moving the deploy host'", Elsewhere("books: a lock that is held")),
    ("pointsman unlock -m 'ori went home'", Elsewhere("books: a lock that is held")),
    // What was done.
    ("pointsman history -n 5", Ends(0)),
    ("pointsman history export r12 > incidents/r12.yaml", Ends(0)),
    ("pointsman replay incidents/r12.yaml --policy groups.yaml", Ends(0)),
    ("pointsman show r12", Ends(0)),
    ("pointsman report r12 --html r12.html", Ends(0)),
    ("pointsman show r12 --otlp > trace.json", Ends(0)),
    ("pointsman serve --listen 127.0.0.1:8080", Elsewhere("page: the board")),
    (
        "pointsman serve --listen 10.0.0.1:8443 --name board.example.org --people people --tls-cert board.pem --tls-key board.key",
        Elsewhere("page: within TLS"),
    ),
    ("pointsman timeline --since 3h", Ends(0)),
    ("pointsman timeline --since 2016-01-23T01:16:00Z --until 2016-01-23T02:00:00Z > incident.md", Ends(0)),
    ("pointsman journal verify", Ends(0)),
    ("pointsman journal verify --noted 57:1f0c6a2b93de", Ends(1)),
    (
        "pointsman journal head > head && ssh-keygen -Y sign -n pointsman-journal -f ~/.ssh/id_ed25519 head",
        Elsewhere("signed::s20_"),
    ),
    ("pointsman journal verify --head head --signature head.sig --allowed-signers signers", Elsewhere("signed::s20_")),
    (
        "pointsman sign > release && ssh-keygen -Y sign -n pointsman-release -f ~/.ssh/id_ed25519 release",
        Elsewhere("signed::"),
    ),
    ("pointsman sign --keep release", Elsewhere("signed::")),
    ("pointsman coverage --log /var/log/apache2/access.log --log mw1017.eqiad.wmnet=mw1017.log", Ends(0)),
    ("pointsman replay incidents/2016-01-23.yaml", Elsewhere("replay::")),
    ("pointsman replay incidents/2016-01-23.yaml --chapter night --html night.html", Elsewhere("replay::")),
    ("pointsman replay incidents/2016-01-23.yaml --policy groups.yaml", Elsewhere("replay::")),
    ("pointsman test", Elsewhere("policies::")),
    ("pointsman test incidents/night.test.yaml --junit policy.xml", Elsewhere("policies::")),
    ("pointsman simulate --seeds 0..2000", Elsewhere("simulations::")),
    ("pointsman simulate --seeds 17..18 --hosts 30", Ends(0)),
    // The books are lost.
    ("rm books/books.sqlite*", Before),
    ("pointsman books rebuild --dry-run", Ends(0)),
    ("pointsman books rebuild", Ends(0)),
    ("rm books/books.sqlite*", Before),
    ("pointsman rollback --from-fleet -m 'the books are lost'", Ends(0)),
    ("pointsman demo", Elsewhere("demo::")),
    ("pointsman demo --keep", Elsewhere("demo::")),
    ("pointsman demo down", Elsewhere("demo::")),
    ("pointsman demo down --dir /tmp/demo", Elsewhere("demo::")),
];

/// An example with what this site has in the place of names that no other has.
fn here(site: &Site, example: &str) -> String {
    let history = site.run(&["history", "-n", "1"]).stdout;
    // Nothing before the first sync.
    let newest = format!(" {}", history.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default());
    let names = [
        ("/var/lib/prometheus/node-exporter/", ""),
        ("/var/log/apache2/", ""),
        (" s12 ", " s1 "),
        (" r41", newest.as_str()),
        (" r12", " r2"),
        ("57:1f0c6a2b93de", "3:1f0c6a2b93de"),
    ];
    names.iter().fold(example.to_owned(), |text, (there, here)| text.replace(there, here))
}

/// Types a line at a terminal, and `y` to whatever is asked.
fn typed(site: &Site, line: &str) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_pointsman")).parent().expect("it has a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("there is one"));
    let mut command = Command::new("script");
    command.args(["-qec", line, "/dev/null"]).current_dir(site.path("")).env("PATH", path).env("TERM", "dumb");
    command.env("SHELL", "/bin/sh");
    let mut yes = tempfile::tempfile().expect("a file is made");
    yes.write_all(b"y\ny\n").expect("written");
    std::io::Seek::rewind(&mut yes).expect("it is a file");
    ran(command.stdin(Stdio::from(yes)), &[line])
}

/// Every example of a command and those below it.
fn examples(site: &Site, path: &[&str], found: &mut BTreeSet<String>) {
    let help = site.run(&[path, &["--help"]].concat()).ends(0).stdout;
    let mut lines = help.lines().skip_while(|line| *line != "Example:").skip(1).peekable();
    while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
        let mut line = line.trim().to_owned();
        // A long one goes on, as the terminal is narrow.
        while let Some(rest) = lines.next_if(|next| next.starts_with("  ") && !next.starts_with("  pointsman")) {
            line = format!("{line} {}", rest.trim());
        }
        found.insert(line);
    }
    for name in below(site, path) {
        examples(site, &[path, &[&name]].concat(), found);
    }
}

/// The names of the commands below a command.
pub fn below(site: &Site, path: &[&str]) -> Vec<String> {
    let help = site.run(&[path, &["--help"]].concat()).ends(0).stdout;
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = below.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn every_example_of_every_help_ends_as_it_should() {
    let site = Site::incident();
    let mut found = BTreeSet::new();
    examples(&site, &[], &mut found);
    let listed: BTreeSet<String> =
        TABLE.iter().filter(|(_, line)| !matches!(line, Before)).map(|(example, _)| (*example).to_owned()).collect();
    assert_eq!(found.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the table");
    assert_eq!(listed.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "in no help");
    let groups = fs::read_to_string(site.path("groups.yaml")).expect("there");
    site.write("groups.yaml", &format!("{groups}soak: {{wave: 1s, group: 1s, watch: 1s}}\n"));
    fs::create_dir(site.path("incidents")).expect("made");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let train = fs::read_to_string(repository.join("playbooks/train.yaml")).expect("there");
    // It is any time of any day when this runs.
    let always: String = train.lines().filter(|line| !line.starts_with("hours:")).map(|l| format!("{l}\n")).collect();
    site.write("playbooks/train.yaml", &always);
    let log = "enwiki 10.0.0.1 - - [23/Jan/2016:01:16:00 +0000] \"GET /wiki/A HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    site.write("access.log", log);
    site.write("mw1017.log", log);
    for (example, line) in TABLE {
        match line {
            Ends(code) => drop(typed(&site, &here(&site, example)).ends(*code)),
            Before => drop(typed(&site, example).ends(0)),
            Elsewhere(test) => assert!(!test.is_empty()),
        }
    }
}
