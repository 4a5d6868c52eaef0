//! Lines as an incident has them, and properties of masking.

use super::*;
use expect_test::expect;
use proptest::prelude::*;

#[test]
fn lines_of_the_incident_have_signatures_that_can_be_read() {
    let lines = [
        r#"{"@timestamp":"2016-01-26T20:11:02Z","host":"mw1017","wiki":"dewiki","channel":"session","level":"ERROR","message":"Can neither load the session nor create an empty session for user 4711"}"#,
        r#"{"message":"boom","channel":"exception","level_name":"CRITICAL","context":{"exception":{"class":"BadMethodCallException","message":"Infinite recursion between user and session loading (depth 17)","file":"/srv/mediawiki/php-1.27.0-wmf.11/includes/session/SessionManager.php:312"}},"datetime":"2016-01-26T20:11:02+00:00"}"#,
        "2016-01-26 20:11:02 [VqfT3gpAMFoAAGs2kYsAAAAG] mw1017 enwiki 1.27.0-wmf.11 l10n ERROR: No localisation cache found for English. Please run maintenance/rebuildLocalisationCache.php.",
        "2016-01-26 20:11:02 mw2020 dewiki: [a1b2c3d4] /w/index.php?title=A,(B)&x=1 MWException from line 469 of /srv/mediawiki/php-1.27.0-wmf.11/includes/cache/LocalisationCache.php: No localisation cache found",
        "[2016-01-26 20:11:02] exception.ERROR: user can't log in from 2620:0:861:1::5 nor 10.64.0.1:3306, he said 'it can''t be'",
        "Error 1213: Deadlock found (10.64.16.12) SELECT user_id FROM `user` WHERE user_name = 'O\\'Hara' AND user_id IN (1,2, 3) LIMIT 1",
        "session 550e8400-e29b-41d4-a716-446655440000: key enwiki:MWSession:9f86d081884c7d659a2feaa0c55ad015 gone, see https://phabricator.example/T124440?x=(y).",
        "PHP Fatal error: Allowed memory size of 262144000 bytes exhausted in includes/parser/Parser.php on line 42",
    ];
    let signatures: Vec<String> = lines.iter().map(|line| signature(line).unwrap_or_default()).collect();
    expect![[r#"
        session: Can neither load the session nor create an empty session for user <n>
        exception: BadMethodCallException: Infinite recursion between user and session loading (depth <n>) at SessionManager.php
        l10n: No localisation cache found for English. Please run maintenance/rebuildLocalisationCache.php.
        [<n>] <path> MWException from line <n> of <path>: No localisation cache found
        exception.ERROR: user can't log in from <ip> nor <ip>, he said <str><str>
        Error <n>: Deadlock found (<ip>) SELECT user_id FROM `user` WHERE user_name = <str> AND user_id IN (<n>) LIMIT <n>
        session <n>: key enwiki:MWSession:<n> gone, see <url>).
        PHP Fatal error: Allowed memory size of <n> bytes exhausted in <path> on line <n>"#]].assert_eq(&signatures.join("\n"));
}

#[test]
fn a_quote_that_is_escaped_ends_nothing_and_identifiers_are_told_from_words_by_their_length() {
    for (line, masked) in [
        (r"x 'a\' b' y", "x <str> y"),
        ("x abcdefa y", "x abcdefa y"),
        ("x abcdefab y", "x <n> y"),
        ("x abcd1e y", "x <n> y"),
        ("x abc1d y", "x abc<n>d y"),
        ("x abcdef y", "x abcdef y"),
        ("x 0xa y", "x <n> y"),
        ("x 0xg y", "x <n>xg y"),
        ("x aZ3zzzzzzzzzzzzz y", "x <n> y"),
        ("x aZ3zzzzzzzzzzzz y", "x aZ<n>zzzzzzzzzzzz y"),
        ("x aZzzzzzzzzzzzzzz y", "x aZzzzzzzzzzzzzzz y"),
        ("x az3zzzzzzzzzzzzz y", "x az<n>zzzzzzzzzzzzz y"),
        ("x AZ3ZZZZZZZZZZZZZ y", "x AZ<n>ZZZZZZZZZZZZZ y"),
    ] {
        assert_eq!(signature(line).as_deref(), Some(masked), "{line}");
    }
}

#[test]
fn frames_of_a_trace_are_no_events() {
    for line in ["", "#0 /srv/x.php(12): foo()", "  at foo (x.js:1)", "\tmore", "   "] {
        assert_eq!(signature(line), None, "{line}");
    }
}

#[test]
fn s12_what_a_host_writes_stays_one_harmless_line() {
    let line = format!("\u{1b}[31mred\u{202e}\r\n{}", "x".repeat(100_000));
    let masked = signature(&line).expect("an event");
    assert!(masked.starts_with("\u{fffd}"), "{masked}");
    assert_eq!(masked.chars().count(), SIGNATURE_CHARS_MAX);
    assert!(!masked.contains(['\u{1b}', '\u{202e}', '\r', '\n']));
    // The first and the last of each block of characters that turn or hide what is beside them.
    let hidden = "\u{61c}\u{200b}\u{200f}\u{2028}\u{202e}\u{2060}\u{206f}\u{feff}\u{fff9}\u{fffb}\u{e0000}\u{e007f}";
    let shown: Vec<String> = hidden.chars().map(|c| harmless(&format!("a{c}b"), 9)).collect();
    assert!(shown.iter().all(|text| text == "a\u{fffd}b" || text == "a b"), "{shown:?}");
    assert_eq!(harmless("a\nb", 2), "a ...");
}

/// A line's fixed words, each followed by something that is masked.
fn filled(words: &[String], values: &[String]) -> String {
    words.iter().zip(values).map(|(word, value)| format!("{word} {value} ")).collect()
}

fn word() -> impl Strategy<Value = String> {
    "[g-z]{2,8}".prop_map(|word| word)
}

/// Two values of the same kind.
fn pair() -> impl Strategy<Value = (String, String)> {
    fn twice(of: &str) -> BoxedStrategy<(String, String)> {
        (proptest::string::string_regex(of).expect("legal"), proptest::string::string_regex(of).expect("legal")).boxed()
    }
    prop_oneof![
        twice("[0-9]{1,12}"),
        twice("[0-9a-f]{8,40}"),
        twice("0x[0-9a-f]{1,16}"),
        twice("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        twice("(25[0-5]|1[0-9]{2}|[1-9])(\\.(25[0-5]|1[0-9]{2}|[1-9])){3}"),
        twice("(/[a-z0-9_.]{0,3}[a-z]){1,5}(:[0-9]{1,4}[a-z])?"),
        twice("https?://[a-z]{1,8}(/[a-zA-Z0-9?&=,()]{0,8}[a-z]){0,3}"),
        twice("'[a-zA-Z0-9 ,.(){}<>]{0,20}'"),
        twice("\"[a-zA-Z0-9 ,.(){}<>]{0,20}\""),
        twice("\\([0-9]{1,5}(, ?[0-9]{1,5}){0,6}\\)"),
        twice("\\('[a-z ]{0,5}'(,'[a-z]{0,5}'){0,6}\\)"),
    ]
}

proptest! {
    #[test]
    fn lines_that_differ_in_what_is_masked_are_the_same(
        (words, pairs) in (1..6usize).prop_flat_map(|n| {
            (proptest::collection::vec(word(), n), proptest::collection::vec(pair(), n))
        }),
    ) {
        let (a, b): (Vec<String>, Vec<String>) = pairs.into_iter().unzip();
        let (a, b) = (filled(&words, &a), filled(&words, &b));
        prop_assert_eq!(signature(&a), signature(&b), "{} {}", a, b);
    }

    #[test]
    fn other_words_are_another_signature(a in word(), b in word()) {
        prop_assume!(a != b);
        prop_assert_ne!(signature(&format!("session {a} 5")), signature(&format!("session {b} 5")));
    }

    #[test]
    fn masking_again_changes_nothing(text in "\\PC{0,80}|[a-f0-9'\"<>/:. ,n()\\\\=-]{0,60}|([a-z']{1,5}|<n>|<str>|'| |/|9){0,30}") {
        let masked = mask(&text);
        prop_assert_eq!(&mask(&masked), &masked);
        prop_assert!(masked.chars().count() <= SIGNATURE_CHARS_MAX);
    }
}
