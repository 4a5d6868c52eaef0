//! A replay as JSON, and as one page that needs nothing else: no scripts, no fonts, nothing from the network.
//!
//! Invariant: every text is made harmless and escaped; the page forbids itself to load anything.

use super::columns::{shown, sums};
use super::played::{Act, ChapterPlayed, Played, Row, Side};
use crate::model::names::HostName;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

/// The whole of it for machines; times as RFC 3339 and milliseconds where it says so.
pub fn json(played: &Played) -> Value {
    let chapters: Vec<Value> = played.chapters.iter().map(chapter_json).collect();
    json!({"incident": shown(&played.incident), "title": shown(&played.title), "chapters": chapters})
}

fn chapter_json(chapter: &ChapterPlayed) -> Value {
    let row = |row: &Row| {
        let side = if row.side == Side::History { "history" } else { "pointsman" };
        json!({"at": row.at.to_string(), "side": side, "text": shown(&row.text), "prov": shown(&row.prov)})
    };
    let served = chapter.served.iter().map(|(group, served)| {
        let served = json!({"history_ms": served.history_ms, "pointsman_ms": served.pointsman_ms});
        (group.to_string(), served)
    });
    json!({
        "name": shown(&chapter.name),
        "from": chapter.from.to_string(),
        "to": chapter.to.to_string(),
        "rows": chapter.rows.iter().map(row).collect::<Vec<_>>(),
        "acts": chapter.acts.iter().map(act_json).collect::<Vec<_>>(),
        "served": served.collect::<serde_json::Map<_, _>>(),
        "unmeasured": chapter.unmeasured,
    })
}

fn act_json(act: &Act) -> Value {
    json!({
        "what": act.what,
        "began": act.began.to_string(),
        "ended": act.ended.to_string(),
        "end": act.end.word(),
        "why": act.why.iter().map(|why| shown(why)).collect::<Vec<_>>(),
        "repaired": hosts(&act.repaired),
        "left": hosts(&act.left),
        "forward": act.forward,
    })
}

/// Hosts and words about each.
fn hosts(all: &BTreeMap<HostName, String>) -> Value {
    all.iter()
        .map(|(host, words)| (host.to_string(), Value::from(shown(words))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
const STYLE: &str = "<style>\n\
:root{color-scheme:light dark}body{font:16px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\n\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;\
border-bottom:1px solid #8886}\n\
td:first-child{white-space:nowrap;font-variant-numeric:tabular-nums}small{opacity:.7}\n\
@media print{body{margin:0;max-width:none}}\n</style>\n";

/// The page.
pub fn html(played: &Played) -> String {
    let title = Html(&played.title).to_string();
    let mut out = format!("{HEAD}<title>{title}</title>\n{STYLE}</head><body>\n<h1>{title}</h1>\n");
    for chapter in &played.chapters {
        self::chapter(&mut out, chapter);
    }
    out.push_str("</body></html>\n");
    out
}

fn chapter(out: &mut String, chapter: &ChapterPlayed) {
    let _ = writeln!(out, "<h2>{}</h2>", Html(&chapter.name));
    let _ = writeln!(out, "<p>From {} to {}.</p>", chapter.from, chapter.to);
    out.push_str("<table><thead><tr><th>UTC</th><th>What happened</th>");
    out.push_str("<th>What pointsman would have done</th></tr></thead><tbody>\n");
    for row in &chapter.rows {
        let assumed = if row.prov == "assumed" { " <small>(assumed)</small>" } else { "" };
        let cell = format!("<td>{}{assumed}</td>", Html(&row.text));
        let cells = match row.side {
            Side::History => format!("{cell}<td></td>"),
            Side::Pointsman => format!("<td></td>{cell}"),
        };
        let _ = writeln!(out, "<tr><td>{}</td>{cells}</tr>", row.at);
    }
    out.push_str("</tbody></table>\n<ul>\n");
    for line in sums(chapter) {
        let _ = writeln!(out, "<li>{}</li>", Html(&line));
    }
    out.push_str("</ul>\n");
}

/// A text within an element.
struct Html<'a>(&'a str);

impl Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in shown(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
