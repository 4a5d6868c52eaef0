//! Every form, word for word, and what hostile texts become in each.

use super::*;
use crate::model::time::Time;
use expect_test::{Expect, expect};

fn notice() -> Notice {
    Notice {
        on: Occasion::GateFailed,
        at: Time(1_453_402_560_000),
        subject: "r12 promote group1 1.27.0-wmf.11".to_owned(),
        by: "alice@deploy1".to_owned(),
        text: "a gate failed; everything is taken back: errors Fails: ratio 4.1".to_owned(),
        lines: vec!["mw2020.codfw.wmnet 340 of 1000".to_owned()],
        hint: Some("pointsman show r12".to_owned()),
    }
}

/// What somebody may have written into a message, a host into its answer, or a log into a signature.
fn hostile() -> Notice {
    let text = "<!channel> @all <https://evil|click> & *b* `c`\r\nQUIT :x\nBcc: evil@example.org\n.\n\u{1b}[31m\0|";
    Notice {
        by: "eve\nFrom: x".to_owned(),
        text: text.to_owned(),
        lines: vec![format!("{text}{}", "x".repeat(9999)), "\u{202e}txt".to_owned()],
        ..notice()
    }
}

const GATEWAY: &str = "releng";
const TO: [&str; 2] = ["ops@example.org", "train+log@example.org"];

fn speaker() -> Speaker {
    Speaker { host: "deploy1 \u{e9}x".to_owned(), pid: 4711 }
}

fn all(notice: &Notice) -> [(&'static str, String); 8] {
    [
        ("sal", sal(notice)),
        ("slack", slack(notice).to_string()),
        ("mattermost", mattermost(notice).to_string()),
        ("irc-bridge", irc_bridge(notice, GATEWAY).to_string()),
        ("json", serde_json::to_string(&json(notice)).expect("it is plain")),
        ("mail", mail(notice, "pointsman@deploy1.example.org", &TO.map(str::to_owned))),
        ("syslog here", syslog_local(notice, &speaker())),
        ("syslog elsewhere", syslog_remote(notice, &speaker())),
    ]
}

/// What separates a mention from its name can't be seen.
fn check(notice: &Notice, want: Expect) {
    let seen = |text: String| text.replace('\u{200b}', "<ZWSP>");
    want.assert_eq(&all(notice).map(|(form, text)| format!("-- {form}\n{}\n", seen(text))).concat());
}

#[test]
fn each_form_is_what_its_reader_reads() {
    check(
        &notice(),
        expect![[r#"
        -- sal
        2016-01-21T18:56:00Z alice@deploy1 r12 promote group1 1.27.0-wmf.11: a gate failed; everything is taken back: errors Fails: ratio 4.1
        -- slack
        {"mrkdwn":false,"text":"r12 promote group1 1.27.0-wmf.11: a gate failed; everything is taken back: errors Fails: ratio 4.1\nmw2020.codfw.wmnet 340 of 1000\nhint: pointsman show r12","unfurl_links":false,"unfurl_media":false}
        -- mattermost
        {"text":"r12 promote group1 1.27.0-wmf.11: a gate failed; everything is taken back: errors Fails: ratio 4.1\nmw2020.codfw.wmnet 340 of 1000\nhint: pointsman show r12"}
        -- irc-bridge
        {"gateway":"releng","text":"r12 promote group1 1.27.0-wmf.11: a gate failed; everything is taken back: errors Fails: ratio 4.1 (pointsman show r12)","username":"pointsman"}
        -- json
        {"v":1,"type":"notice","on":"gate-failed","at":"2016-01-21T18:56:00Z","subject":"r12 promote group1 1.27.0-wmf.11","by":"alice@deploy1","text":"a gate failed; everything is taken back: errors Fails: ratio 4.1","lines":["mw2020.codfw.wmnet 340 of 1000"],"hint":"pointsman show r12"}
        -- mail
        From: pointsman@deploy1.example.org
        To: ops@example.org, train+log@example.org
        Subject: [pointsman] gate-failed: r12 promote group1 1.27.0-wmf.11
        Auto-Submitted: auto-generated
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        r12 promote group1 1.27.0-wmf.11: a gate failed; everything is taken back: errors Fails: ratio 4.1
        mw2020.codfw.wmnet 340 of 1000
        hint: pointsman show r12
        2016-01-21T18:56:00Z, by alice@deploy1

        -- syslog here
        <27>Jan 21 18:56:00 pointsman[4711]: r12 promote group1 1.27.0-wmf.11: a gate failed; everything is taken back: errors Fails: ratio 4.1
        -- syslog elsewhere
        <27>1 2016-01-21T18:56:00Z deploy1x pointsman 4711 gate-failed - r12 promote group1 1.27.0-wmf.11: a gate failed; everything is taken back: errors Fails: ratio 4.1
    "#]],
    );
}

#[test]
fn s12_a_hostile_text_stays_text_in_every_form() {
    check(
        &hostile(),
        expect![[r#"
        -- sal
        2016-01-21T18:56:00Z eve\u{a}From: x r12 promote group1 1.27.0-wmf.11: <!channel> @all <https://evil|click> & *b* `c`\u{d}\u{a}QUIT :x\u{a}Bcc: evil@example.org\u{a}.\u{a}\u{1b}[31m\u{0}|
        -- slack
        {"mrkdwn":false,"text":"r12 promote group1 1.27.0-wmf.11: &lt;!channel&gt; @all &lt;https://evil|click&gt; &amp; *b* `c`\\u{d}\\u{a}QUIT :x\\u{a}Bcc: evil@example.org\\u{a}.\\u{a}\\u{1b}[31m\\u{0}|\n&lt;!channel&gt; @all &lt;https://evil|click&gt; &amp; *b* `c`\\u{d}\\u{a}QUIT :x\\u{a}Bcc: evil@example.org\\u{a}.\\u{a}\\u{1b}[31m\\u{0}|xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\n\\u{202e}txt\nhint: pointsman show r12","unfurl_links":false,"unfurl_media":false}
        -- mattermost
        {"text":"r12 promote group1 1.27.0-wmf.11: &lt;\\!channel&gt; \\@<ZWSP>all &lt;https:\\//evil\\|click&gt; &amp; \\*b\\* \\`c\\`\\\\u{d}\\\\u{a}QUIT :x\\\\u{a}Bcc: evil\\@<ZWSP>example.org\\\\u{a}.\\\\u{a}\\\\u{1b}\\[31m\\\\u{0}\\|\n&lt;\\!channel&gt; \\@<ZWSP>all &lt;https:\\//evil\\|click&gt; &amp; \\*b\\* \\`c\\`\\\\u{d}\\\\u{a}QUIT :x\\\\u{a}Bcc: evil\\@<ZWSP>example.org\\\\u{a}.\\\\u{a}\\\\u{1b}\\[31m\\\\u{0}\\|xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\n\\\\u{202e}txt\nhint: pointsman show r12"}
        -- irc-bridge
        {"gateway":"releng","text":"r12 promote group1 1.27.0-wmf.11: <!channel> @all <https://evil|click> & *b* `c`\\u{d}\\u{a}QUIT :x\\u{a}Bcc: evil@example.org\\u{a}.\\u{a}\\u{1b}[31m\\u{0}| (pointsman show r12)","username":"pointsman"}
        -- json
        {"v":1,"type":"notice","on":"gate-failed","at":"2016-01-21T18:56:00Z","subject":"r12 promote group1 1.27.0-wmf.11","by":"eve\\u{a}From: x","text":"<!channel> @all <https://evil|click> & *b* `c`\\u{d}\\u{a}QUIT :x\\u{a}Bcc: evil@example.org\\u{a}.\\u{a}\\u{1b}[31m\\u{0}|","lines":["<!channel> @all <https://evil|click> & *b* `c`\\u{d}\\u{a}QUIT :x\\u{a}Bcc: evil@example.org\\u{a}.\\u{a}\\u{1b}[31m\\u{0}|xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...","\\u{202e}txt"],"hint":"pointsman show r12"}
        -- mail
        From: pointsman@deploy1.example.org
        To: ops@example.org, train+log@example.org
        Subject: [pointsman] gate-failed: r12 promote group1 1.27.0-wmf.11
        Auto-Submitted: auto-generated
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        r12 promote group1 1.27.0-wmf.11: <!channel> @all <https://evil|click> & *b* `c`\u{d}\u{a}QUIT
        :x\u{a}Bcc: evil@example.org\u{a}.\u{a}\u{1b}[31m\u{0}|
        <!channel> @all <https://evil|click> & *b* `c`\u{d}\u{a}QUIT :x\u{a}Bcc:
        evil@example.org\u{a}.\u{a}\u{1b}[31m\u{0}|xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
        \u{202e}txt
        hint: pointsman show r12
        2016-01-21T18:56:00Z, by eve\u{a}From: x

        -- syslog here
        <27>Jan 21 18:56:00 pointsman[4711]: r12 promote group1 1.27.0-wmf.11: <!channel> @all <https://evil|click> & *b* `c`\u{d}\u{a}QUIT :x\u{a}Bcc: evil@example.org\u{a}.\u{a}\u{1b}[31m\u{0}|
        -- syslog elsewhere
        <27>1 2016-01-21T18:56:00Z deploy1x pointsman 4711 gate-failed - r12 promote group1 1.27.0-wmf.11: <!channel> @all <https://evil|click> & *b* `c`\u{d}\u{a}QUIT :x\u{a}Bcc: evil@example.org\u{a}.\u{a}\u{1b}[31m\u{0}|
    "#]],
    );
}

/// Characters that mean something to a terminal or a line of a protocol, but for the line ends that are ours.
fn is_control(text: &str) -> bool {
    text.contains(|c: char| c.is_control() && c != '\n')
}

#[test]
fn s13_no_text_adds_a_line_a_header_or_a_mention() {
    for notice in [notice(), hostile()] {
        for (form, text) in all(&notice) {
            assert!(!is_control(&text), "{form}: {text:?}");
        }
        for line in [sal(&notice), syslog_local(&notice, &speaker()), syslog_remote(&notice, &speaker())] {
            assert!(!line.contains('\n') && line.len() <= 1024 + 300, "{line}");
        }
        let irc = irc_bridge(&notice, GATEWAY)["text"].as_str().map(str::to_owned).expect("a text");
        assert!(!irc.contains('\n') && irc.len() <= IRC_LINE_BYTES_MAX, "{irc}");
        let slack = slack(&notice)["text"].as_str().map(str::to_owned).expect("a text");
        assert!(!slack.contains(['<', '>']), "{slack}");
        let mattermost = mattermost(&notice)["text"].as_str().map(str::to_owned).expect("a text");
        assert!(mattermost.split('@').skip(1).all(|after| after.starts_with('\u{200b}')), "{mattermost}");
        let mail = mail(&notice, "a@b", &TO.map(str::to_owned));
        let (headers, body) = mail.split_once("\n\n").expect("an empty line ends the headers");
        let names: Vec<&str> = headers.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
        let ours =
            ["From", "To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];
        assert_eq!(names, ours);
        assert!(mail.lines().all(|line| line.len() <= 998) && !body.lines().any(|line| line == "."), "{mail}");
    }
}

proptest::proptest! {
    #[test]
    fn s13_whatever_the_text_a_mail_has_our_headers_and_a_log_one_line(text in "(?s).{0,400}", by in "(?s).{0,40}") {
        let notice = Notice { text: text.clone(), by, lines: vec![text], ..notice() };
        for line in [sal(&notice), syslog_local(&notice, &speaker()), syslog_remote(&notice, &speaker())] {
            proptest::prop_assert!(!line.contains(char::is_control), "{line:?}");
        }
        let mail = mail(&notice, "a@b", &TO.map(str::to_owned));
        let headers = mail.split_once("\n\n").map_or("", |(headers, _)| headers);
        proptest::prop_assert_eq!(headers.lines().count(), 7);
        let mattermost = mattermost(&notice)["text"].to_string();
        let apart = mattermost.split('@').skip(1).all(|after| after.starts_with('\u{200b}'));
        proptest::prop_assert!(apart, "{mattermost}");
    }
}
