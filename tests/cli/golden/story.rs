//! What is typed on the site whose outputs are kept, in the order in which it makes sense.

/// One line of the story.
pub enum Line {
    /// Its output is kept below the name of its command; it ends with this code.
    Says(i32),
    /// It comes before the next one, and is not looked at.
    Before,
}

use Line::{Before, Says};

/// Commands without an output here, and why.
pub const ELSEWHERE: &[(&str, &str)] = &[
    ("completions", "a program for a shell: shells.rs"),
    ("man", "it writes files and says nothing: examples.rs"),
    ("schema", "JSON: schemas.rs"),
    ("config schema", "JSON: examples.rs"),
    ("plan schema", "JSON: plans.rs"),
    ("lock", "it waits for Ctrl-C; what it says is in the story before unlock: books.rs"),
    ("serve", "a page: tests/page"),
    ("demo", "a story of a minute: tests/demo"),
    ("demo down", "it ends a demo: tests/demo"),
    ("history export", "a file in YAML: recording.rs"),
    ("gate suggest", "it needs a source with a past: gates.rs"),
];

/// What is a file in Markdown, whose lines nobody folds.
pub const FOLDED_BY_NOBODY: &str = "pointsman timeline";

/// The site has six hosts; `mw2020` will be lost, and `mw1017` pinned.
pub const STORY: &[(&str, Line)] = &[
    ("pointsman --help", Says(0)),
    // A site begins.
    ("pointsman -C new init", Says(0)),
    ("pointsman -C new init", Says(2)),
    ("pointsman config check", Says(0)),
    ("pointsman status", Says(1)),
    ("pointsman doctor", Says(0)),
    ("pointsman agent install", Says(0)),
    ("pointsman sync-common --from-staging -m 'cut of 1.27.0-wmf.11' --yes", Says(0)),
    ("pointsman check", Says(0)),
    ("pointsman gate list", Says(0)),
    ("pointsman canary", Says(0)),
    // The train begins by a saved plan, and one host is kept off it.
    ("pointsman plan promote group0 1.27.0-wmf.11 -m 'train, T119517' -o promote.plan", Says(0)),
    ("pointsman plan show promote.plan", Says(0)),
    ("pointsman promote group0 1.27.0-wmf.11 -m 'train, T119517' --dry-run", Says(0)),
    ("pointsman apply promote.plan --yes", Says(0)),
    ("pointsman apply promote.plan --yes", Says(6)),
    ("pointsman watch", Says(0)),
    ("pointsman pin mw1017.eqiad.wmnet 1.27.0-wmf.10 --reason 'debug the session loss' --until 14d --yes", Says(0)),
    // Who may go on.
    ("pointsman hold -m 'database switchover until 16:00 UTC'", Says(0)),
    ("pointsman blocker list", Says(0)),
    ("pointsman blocker add T124143 -m 'sessions are lost on logout'", Says(0)),
    ("pointsman blocker list", Says(0)),
    ("pointsman promote group1 1.27.0-wmf.11 -m train --yes", Says(10)),
    ("pointsman release", Says(0)),
    ("pointsman promote group1 1.27.0-wmf.11 -m train --yes", Says(10)),
    ("pointsman blocker close T124143 -m 'fixed in wmf.11'", Says(0)),
    (
        "pointsman lock -m 'moving the deploy host' >lock.said 2>&1 & echo $! >lock.pid; until pointsman status | grep -q 'lock: .* pid'; do :; done",
        Before,
    ),
    ("pointsman status", Says(0)),
    ("pointsman promote group1 1.27.0-wmf.11 -m train --yes", Says(5)),
    ("pointsman unlock -m 'it was forgotten'", Says(0)),
    ("until pointsman status | grep -q 'lock: free'; do :; done; kill -9 $(cat lock.pid) 2>/dev/null || :", Before),
    // A playbook waits for a person.
    ("pointsman run night --dry-run", Says(0)),
    ("pointsman plan run night", Says(0)),
    ("pointsman run night", Says(4)),
    ("pointsman run night", Says(10)),
    ("pointsman status", Says(0)),
    ("pointsman approve p1 -m 'the error rate is known'", Says(0)),
    ("pointsman resume", Says(0)),
    ("pointsman resume", Says(2)),
    ("pointsman run night", Before),
    ("pointsman deny p2 -m 'not before Monday'", Says(0)),
    ("pointsman abort", Says(0)),
    // A gate fails, and a host is lost.
    ("echo 2 > checks/plugin.code", Before),
    ("pointsman canary", Says(3)),
    ("pointsman promote group1 1.27.0-wmf.11 -m train --yes", Says(3)),
    ("pointsman promote group1 1.27.0-wmf.11 -m train --yes", Says(10)),
    ("echo 0 > checks/plugin.code", Before),
    ("mv hosts/mw2020.codfw.wmnet away", Before),
    ("pointsman check", Says(7)),
    ("pointsman promote group1 1.27.0-wmf.11 -m train --yes --again --reason 'T124224 is fixed'", Says(7)),
    ("pointsman plan rollback -m '5xx since 19:41'", Says(0)),
    ("pointsman rollback -m '5xx since 19:41' --yes", Says(8)),
    ("pointsman rollback -m '5xx since 19:41' --yes", Says(8)),
    ("pointsman status", Says(0)),
    ("pointsman converge --yes", Says(8)),
    ("pointsman depool mw2020.codfw.wmnet --reason 'being reinstalled'", Says(0)),
    ("pointsman status", Says(0)),
    ("mv away hosts/mw2020.codfw.wmnet", Before),
    ("pointsman sync-common mw2020.codfw.wmnet --yes", Says(0)),
    ("pointsman pool mw2020.codfw.wmnet", Says(0)),
    ("pointsman hosts trust mw2020.codfw.wmnet", Says(1)),
    ("pointsman hosts adopt mw2020.codfw.wmnet", Says(0)),
    ("pointsman converge --yes", Says(0)),
    // Files.
    ("echo '<?php $wmgLog = false;' > staging/wmf-config/InitialiseSettings.php", Before),
    ("pointsman plan sync-file wmf-config/InitialiseSettings.php -m 'no session log'", Says(0)),
    ("pointsman sync-file wmf-config/InitialiseSettings.php -m 'no session log' --yes", Says(0)),
    ("pointsman undo -m 'the fix made it worse' --yes", Says(0)),
    ("pointsman plan sync-common mw2020.codfw.wmnet", Says(0)),
    ("pointsman unpin mw1017.eqiad.wmnet --reason 'found it' --yes", Says(0)),
    ("pointsman gc --dry-run", Says(0)),
    ("pointsman gc --yes", Says(0)),
    // What was done.
    ("pointsman history", Says(0)),
    ("pointsman show r2", Says(0)),
    ("pointsman report r2 --html r2.html", Says(0)),
    ("pointsman timeline", Says(0)),
    ("pointsman journal verify", Says(0)),
    ("pointsman journal verify --noted 3:1f0c6a2b93de", Says(1)),
    ("pointsman journal head", Says(0)),
    ("pointsman sign --wanted", Says(0)),
    ("pointsman sign --keep release", Says(1)),
    ("pointsman coverage --log access.log", Says(0)),
    ("pointsman replay small.yaml", Says(0)),
    ("pointsman test small.test.yaml", Says(0)),
    ("pointsman simulate --seeds 17..18 --hosts 10", Says(0)),
    // The books are lost.
    ("rm books/books.sqlite*", Before),
    ("pointsman status", Says(1)),
    ("pointsman books rebuild", Says(0)),
];
