//! The report of undertakings that really happened.

use crate::browser::{Browser, LOOKS, Look};
use crate::gated::{Running, answers, site};
use crate::site::V11;
use std::fs;
use std::path::{Path, PathBuf};

/// Where pictures lie after a test, to be looked at.
pub fn pictures() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&directory).expect("made");
    directory
}

/// Looks at the open page as people do: nobody is kept out, nothing is cut off, nothing is complained of.
#[track_caller]
pub fn is_a_good_page(browser: &Browser, name: &str) {
    for look in LOOKS {
        browser.look(look);
        fs::write(pictures().join(format!("{name}-{}.png.base64", look.name())), browser.picture()).expect("written");
        assert_eq!(browser.barriers(), [""; 0], "{name} at {}", look.name());
        let wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wide, 0, "{name} at {} is wider than the screen", look.name());
    }
    assert_eq!(browser.complaints(), [""; 0], "{name}");
    browser.look(Look { width: 768, dark: true });
    browser.as_on_paper();
    let hidden = "return [...document.querySelectorAll('main td')].filter(td => !td.checkVisibility()).length";
    assert_eq!(browser.run(hidden), 0, "what is folded on the screen is open on paper");
    fs::write(pictures().join(format!("{name}-paper.png.base64")), browser.picture()).expect("written");
    let paper = browser.paper();
    assert!(paper.starts_with("JVBERi0"), "it can be printed");
    fs::write(pictures().join(format!("{name}.pdf.base64")), paper).expect("written");
}

fn text(browser: &Browser, selector: &str) -> String {
    let script = format!("return document.querySelector('{selector}').innerText");
    browser.run(&script).as_str().expect("it is text").to_owned()
}

#[test]
fn what_went_wrong_and_came_back_is_on_one_page() {
    let plugin = "name: plugin, kind: command, argv: [checks/plugin.sh], at: [group]";
    let lag = "name: lag, kind: threshold, source: {program: [checks/number.sh]}, success: \"< 5\", failure: \"> 8\", at: \
        [before, wave, group]";
    let site = site("wave: 1ms, group: 1ms, max: 1h, watch: 0s", &[plugin, lag]);
    answers(&site, "number", 3);
    site.promote("group0", V11).ends(0);

    answers(&site, "number", 4);
    answers(&site, "plugin", 1);
    let mut waits = Running::start(&site, &["promote", "group1", V11, "--yes", "-m", "<b>train</b>"]);
    waits.says("plugin inconclusive");
    answers(&site, "number", 7);
    waits.says("lag inconclusive");
    answers(&site, "number", 9);
    waits.ends(3);

    let before = site.digest();
    site.run(&["report", "r9", "--html", "r9.html"]).ends(2).says("the books have no r9");
    let to = tempfile::tempdir().expect("a directory is made");
    let file = to.path().join("r3.html");
    let file_name = file.to_str().expect("it is text");
    site.run(&["report", "r3", "--html", file_name]).ends(0).says("r3 is written to");
    assert_eq!(site.digest(), before, "it only reads");

    let browser = Browser::start();
    browser.open_file(&file);
    is_a_good_page(&browser, "report");
    assert_eq!(browser.run("return document.scripts.length"), 0);
    assert_eq!(text(&browser, "h1"), format!("r3: promote group1 to {V11}"));
    let summary = text(&browser, "#summary");
    assert!(summary.contains("<b>train</b>") && summary.contains("taken back by r4"), "{summary}");
    let timeline = text(&browser, "#timeline");
    assert!(timeline.contains("r3 promote group1") && timeline.contains("r4 converge"), "{timeline}");
    assert!(!timeline.contains("r2 "), "{timeline}");
    let hosts = text(&browser, "#hosts");
    for words in ["Wave 3", "mw1019.eqiad.wmnet", "switched and proven"] {
        assert!(hosts.contains(words), "`{words}`: {hosts}");
    }
    // A value of each verdict, with both limits and a line for each of three waves.
    let plotted =
        |what: &str| browser.run(&format!("return document.querySelectorAll('#gates svg.plot {what}').length"));
    for mark in [".pass", ".fail", ".undecided"] {
        assert_ne!(plotted(mark), 0, "{mark}");
    }
    assert_eq!((plotted("line.limit"), plotted("line.wave"), plotted("line.tick")), (2.into(), 3.into(), 3.into()));
    let gates = text(&browser, "#gates");
    assert!(gates.contains("No plot: the journal holds no value of this gate with a limit in numbers."), "{gates}");
    assert!(text(&browser, "#lines").contains("PLUGIN 1"));
    assert!(text(&browser, "#plan").contains("3 wikis"));
}
