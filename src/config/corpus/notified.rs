//! Who is told: what is written, and what is said of mistakes.

use super::{GOOD, read};
use crate::config::parse;
use crate::config::policy::{Hook, NotifierPolicy, NotifyTo, SalTo, SyslogTo};
use crate::model::notice::Occasion;
use crate::model::secret::Reference;
use expect_test::{Expect, expect};
use std::path::Path;

fn notify(entries: &str) -> Result<Vec<NotifierPolicy>, String> {
    let text = format!("{GOOD}notify:\n{entries}");
    parse(Path::new("groups.yaml"), &text, &read).map(|policy| policy.notify).map_err(|mistakes| mistakes.to_string())
}

fn check(entry: &str, want: Expect) {
    let said = notify(&format!("  - {{{entry}}}\n"));
    want.assert_eq(&said.map_or_else(|mistakes| mistakes, |_| "good".to_owned()));
}

#[test]
fn what_is_written_is_what_is_meant() {
    let said = notify(
        "  - {name: log, to: sal, file: /var/log/sal}\n  - {name: dologmsg, to: sal, argv: [dologmsg, --stdin]}\n  \
         - {name: chat, to: webhook, form: slack, url: file:/etc/chat, on: [owed, rolled-back]}\n  \
         - {name: irc, to: webhook, form: irc-bridge, url: env:BRIDGE, token: env:TOKEN, gateway: releng, ca: ca.pem}\n  \
         - {name: list, to: mail, from: p@deploy1, recipients: [ops+train@example.org]}\n  \
         - {name: here, to: syslog}\n  - {name: there, to: syslog, address: \"log1.example.org:514\"}\n  \
         - {name: v6, to: syslog, address: \"[::1]:514\"}\n",
    );
    let found = said.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(found[0].to, NotifyTo::Sal(SalTo::File("/var/log/sal".into())));
    assert_eq!(found[0].on.len(), Occasion::ALL.len(), "everything, when it is not said");
    assert_eq!(found[1].to, NotifyTo::Sal(SalTo::Argv(vec!["dologmsg".to_owned(), "--stdin".to_owned()])));
    assert_eq!(found[2].on, [Occasion::RolledBack, Occasion::Owed].into());
    let env = |name: &str| Reference::Env(name.to_owned());
    let NotifyTo::Webhook { hook, url, token, ca } = &found[3].to else { panic!("{found:?}") };
    assert_eq!((hook, url), (&Hook::IrcBridge { gateway: "releng".to_owned() }, &env("BRIDGE")));
    assert_eq!(token, &Some(env("TOKEN")));
    assert!(ca.as_ref().is_some_and(|ca| ca.is_absolute() && ca.ends_with("ca.pem")), "{ca:?}");
    let NotifyTo::Mail { sendmail, to, .. } = &found[4].to else { panic!("{found:?}") };
    assert_eq!(
        (sendmail.as_path(), to.as_slice()),
        (Path::new("/usr/sbin/sendmail"), &["ops+train@example.org".to_owned()][..])
    );
    assert_eq!(found[5].to, NotifyTo::Syslog(SyslogTo::Socket("/dev/log".into())));
    assert_eq!(found[6].to, NotifyTo::Syslog(SyslogTo::Udp("log1.example.org".to_owned(), 514)));
    assert_eq!(found[7].to, NotifyTo::Syslog(SyslogTo::Udp("::1".to_owned(), 514)));
}

#[test]
fn mistakes_are_named_with_their_place() {
    check(
        "name: a, to: pager",
        expect![[r#"
        groups.yaml:23:19: `pager` is not known here
          hint: one of sal, webhook, mail, syslog"#]],
    );
    check(
        "name: a, to: webhook",
        expect![[r#"
        groups.yaml:23:12: a notifier with `to: webhook` needs `form`
        groups.yaml:23:12: a notifier with `to: webhook` needs `url`"#]],
    );
    check(
        "name: a, to: webhook, form: teams, url: env:X",
        expect![[r#"
        groups.yaml:23:34: `teams` is not known here
          hint: one of slack, mattermost, irc-bridge, json"#]],
    );
    check(
        "name: a, to: webhook, form: irc-bridge, url: env:X",
        expect!["groups.yaml:23:12: a notifier with `to: webhook` needs `gateway`"],
    );
    check(
        "name: a, to: webhook, form: json, gateway: x, url: env:X",
        expect!["groups.yaml:23:49: `gateway` belongs to a webhook with `form: irc-bridge`"],
    );
    check(
        "name: a, to: sal",
        expect![[r#"
        groups.yaml:23:12: a notifier with `to: sal` needs either `file` or `argv`
          hint: `file: /var/log/pointsman/sal.log`, or `argv: [PROGRAM]` which gets the line on its stdin"#]],
    );
    check(
        "name: a, to: sal, file: /a, argv: [b]",
        expect![[r#"
        groups.yaml:23:12: a notifier with `to: sal` needs either `file` or `argv`
          hint: `file: /var/log/pointsman/sal.log`, or `argv: [PROGRAM]` which gets the line on its stdin"#]],
    );
    check(
        "name: a, to: sal, file: sal.log",
        expect![[r#"
        groups.yaml:23:30: this path must be absolute
          hint: it begins with `/`"#]],
    );
    check("name: a, to: sal, argv: []", expect!["groups.yaml:23:30: a program must stand here"]);
    check("name: a, to: sal, argv: [-x]", expect!["groups.yaml:23:30: the first argument is the program to run"]);
}

#[test]
fn mistakes_of_mail_syslog_and_occasions_are_too() {
    check(
        "name: a, to: mail, from: p@deploy1, recipients: []",
        expect!["groups.yaml:23:54: 1 to 20 addresses must stand here, not 0"],
    );
    check(
        "name: a, to: syslog, address: \"log1:syslog\"",
        expect![[r#"
        groups.yaml:23:36: `log1:syslog` is not where a syslog listens
          hint: a socket as in `/dev/log`, or a host and its port as in `log1.example.org:514`"#]],
    );
    check(
        "name: a, to: syslog, file: /a, form: json",
        expect![[r#"
        groups.yaml:23:33: `file` belongs to a notifier with `to: sal`
        groups.yaml:23:43: `form` belongs to a notifier with `to: webhook`"#]],
    );
    check(
        "name: a, to: syslog, on: [rollback]",
        expect![[r#"
            groups.yaml:23:32: `rollback` is not known here
              hint: one of approved, wave-done, gate-failed, paused, rolled-back, owed, ended"#]],
    );
    check(
        "name: a, to: syslog, on: []",
        expect!["groups.yaml:23:31: at least one occasion must stand here; without the key it is all of them"],
    );
    check(
        "name: \"a b\", to: syslog",
        expect![
            "groups.yaml:23:12: `a b` is not the name of a notifier: only lower case letters, digits, `_` and `-` may stand in it"
        ],
    );
    check(
        "name: a, to: syslog, mail: x",
        expect![[r#"
        groups.yaml:23:27: `mail` is not a key of a notifier
          hint: the keys of a notifier are name, to, on, file, argv, form, url, token, ca, gateway, from, recipients, sendmail, address"#]],
    );
    let twice = notify("  - {name: a, to: syslog}\n  - {name: a, to: syslog}\n").expect_err("twice");
    expect!["groups.yaml:24:12: the notifier `a` is listed twice"].assert_eq(&twice);
}

#[test]
fn s10_a_secret_that_stands_there_is_refused_and_not_repeated() {
    for key in ["url: \"https://hooks.example.org/CANARY\"", "url: env:X, token: CANARY", "url: \"file:\""] {
        let said = notify(&format!("  - {{name: a, to: webhook, form: json, {key}}}\n")).expect_err(key);
        assert!(said.contains("only where it stands is written here") && !said.contains("CANARY"), "{said}");
    }
}

#[test]
fn s01_an_address_that_could_end_a_header_or_be_an_option_is_none() {
    for bad in [
        "",
        "ops",
        "@example.org",
        "-oX@example.org",
        "ops@-x.org",
        "a b@example.org",
        "a@b, c@d",
        "a@b\\nBcc: c@d",
        "<a@b>",
        "\\\"a\\\"@b",
        "a@b@c",
        "a;b@c.org",
        "a\\u202e@b.org",
        ".a@b.org",
    ] {
        for keys in
            [format!("from: \"{bad}\", recipients: [a@b.org]"), format!("from: a@b.org, recipients: [\"{bad}\"]")]
        {
            let said = notify(&format!("  - {{name: a, to: mail, {keys}}}\n")).expect_err(bad);
            assert!(said.contains("is not the address of a mailbox"), "{bad}: {said}");
        }
    }
}
