//! Cookie jars, redirects, and who another host is.

use super::{Answer, Jar, another, asserts, redirect, secrets};
use crate::gate::spec::probe::{Assert, CookieState, HeaderText, Step, Target};
use crate::model::secret::Reference;
use crate::signal::testworld::{name, scope};
use expect_test::expect;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::os::unix::fs::PermissionsExt;

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Answer { status, headers: map, body: body.as_bytes().to_vec(), ms: 1 }
}

fn step() -> Step {
    Step {
        jar: "a".to_owned(),
        target: Target::Scope,
        tls: None,
        host_header: "enwiki".to_owned(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: None,
        redirects_max: 0,
        asserts: vec![Assert::Status(vec![200])],
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

#[test]
fn a_removal_counts_also_for_a_cookie_that_the_jar_never_had() {
    let (mut jar, here) = (Jar::default(), url("http://enwiki/"));
    let removed = answer(200, &[("set-cookie", "session=x; Max-Age=0")], "");
    jar.take(&removed, &here);
    assert!(jar.was_cleared("session") && !jar.has("session"));
    let mut jar = Jar::default();
    jar.take(&answer(200, &[("set-cookie", "session=1; Path=/")], ""), &here);
    assert!(jar.has("session") && !jar.was_cleared("session"));
    let cleared = Assert::Cookie("session".to_owned(), CookieState::Cleared);
    let why = asserts::holds(&cleared, &removed, &jar, 1).expect_err("it is there");
    assert_eq!(why, "the cookie session survived; it was to be cleared");
    jar.take(&answer(200, &[("set-cookie", "session=; expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/")], ""), &here);
    assert!(jar.was_cleared("session") && !jar.has("session"));
}

#[test]
fn s10_what_a_host_sends_back_of_our_secrets_is_blotted_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("probe");
    std::fs::write(&file, "Bearer CANARYCANARY=\n").expect("ours");
    let step = Step {
        headers: vec![
            ("X-Debug".to_owned(), HeaderText::Plain("backend=mw1".to_owned())),
            ("Authorization".to_owned(), HeaderText::Secret(Reference::File(file.clone()))),
        ],
        ..step()
    };
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("ours");
    mode(0o644);
    let why = secrets::sent(&step).err().expect("others can read it");
    assert!(why.starts_with("the header Authorization cannot be sent: file:") && why.contains("chmod 600"), "{why}");
    mode(0o600);
    let sent = secrets::sent(&step).unwrap_or_else(|why| panic!("{why}"));
    let told: Vec<(&str, &str)> = sent.iter().map(|(name, text)| (*name, text.expose())).collect();
    assert_eq!(told, [("X-Debug", "backend=mw1"), ("Authorization", "Bearer CANARYCANARY=")]);
    let mut spoken = secrets::Spoken::default();
    spoken.note(&step, &sent);
    let body = "you are CANARYCANARY by Bearer CANARYCANARY=, on backend=mw1";
    let seen = spoken.blotted(&answer(500, &[("x-you", "CANARYCANARY"), ("vary", "Cookie")], body));
    assert_eq!(String::from_utf8_lossy(&seen.body), "you are (secret) by (secret), on backend=mw1");
    assert_eq!(
        (&seen.headers["x-you"], &seen.headers["vary"]),
        (&"(secret)".parse().expect("legal"), &"Cookie".parse().expect("legal"))
    );
    // A later step of the journey sends another one, and answers may show both, in any form that pages have.
    let mut say = |secret: &str| {
        std::fs::write(&file, secret).expect("ours");
        spoken.note(&step, &secrets::sent(&step).unwrap_or_else(|why| panic!("{why}")));
    };
    say("Basic cHJvYmU6aHVudGVyMg==");
    say("Bearer a/b+&=c");
    let body = r#"{"token": "a\/b+&=c", "url": "?t=a%2Fb%2B%26%3Dc", "html": "a/b+&amp;=c"} hunter2 CANARYCANARY"#;
    let shown = r#"{"token": "(secret)", "url": "?t=(secret)", "html": "(secret)"} (secret) (secret)"#;
    assert_eq!(spoken.blot(body), shown);
    std::fs::write(&file, "CANARY\nCANARY").expect("ours");
    let why = secrets::sent(&step).err().expect("it is two lines");
    assert!(why.ends_with("what stands there is not the value of a header") && !why.contains("CANARY"), "{why}");
}

#[test]
fn a_secure_cookie_is_not_sent_without_tls() {
    let mut jar = Jar::default();
    jar.take(&answer(200, &[("set-cookie", "session=1; Secure; Path=/")], ""), &url("https://enwiki/"));
    let sent = |to: &str| jar.store.get_request_values(&url(to)).count();
    assert_eq!((sent("https://enwiki/"), sent("http://enwiki/"), sent("https://dewiki/")), (1, 0, 0));
}

#[test]
fn s17_a_redirect_is_followed_on_the_same_name_only() {
    let to = |location| redirect(&answer(302, &[("location", location)], ""), &url("http://enwiki/a/b?c"));
    assert_eq!(to("/x?y=1#z"), Some(Ok("/x?y=1".to_owned())));
    assert_eq!(to("c"), Some(Ok("/a/c".to_owned())));
    for elsewhere in ["http://dewiki/", "https://enwiki/", "http://enwiki:81/", "//10.0.0.1/", "file:///etc/passwd"] {
        assert!(matches!(to(elsewhere), Some(Err(_))), "{elsewhere}");
    }
    assert_eq!(redirect(&answer(200, &[("location", "/x")], ""), &url("http://enwiki/")), None);
}

#[test]
fn another_host_is_of_the_same_side_and_never_the_same() {
    let scope = scope(&["mw1", "mw3"], &["mw2"], 0);
    let other = |host: &str| another(&name(host), &scope).map(|host| host.to_string());
    assert_eq!((other("mw1"), other("mw3"), other("mw2")), (Some("mw3".into()), Some("mw1".into()), None));
}

#[test]
fn what_is_not_so_is_said() {
    let seen = answer(503, &[("vary", "Cookie")], "{\"a\": [1]}\u{1b}[2J");
    let said = |assert| asserts::holds(&assert, &seen, &Jar::default(), 7).expect_err("it is not so");
    let text = |text: &str| text.to_owned();
    let all = [
        said(Assert::Status(vec![200, 304])),
        said(Assert::Header(text("vary"), text("cookie"))),
        said(Assert::HeaderAbsent(text("Vary"))),
        said(Assert::Json(text("/a/0"), 2.into())),
        said(Assert::TimeMax(6)),
        said(Assert::Cookie(text("session"), CookieState::Set)),
    ];
    expect![[r#"
        status 503 instead of 200 or 304
        the header vary is `Cookie`; wanted is `cookie`
        the header Vary is there and must not be
        the body is not JSON; it begins with `{"a": [1]}�[2J`
        it took 7 ms, more than 6
        the cookie session is not set"#]]
    .assert_eq(&all.join("\n"));
}
