//! Counts and signatures out of an index. `osmem-server`, which speaks OpenSearch's protocol, stands in for OpenSearch and
//! Elasticsearch; answers that are not whole are made up in the unit tests of `signal::search`.

use super::common::{HOSTS, Server, free_port, host, http, read, scope};
use pointsman::gate::reading::{Tally, What};
use pointsman::gate::spec::counts::CountSource;
use pointsman::gate::spec::signatures::LogSource;
use pointsman::model::limits::SEARCH_PAGE_DOCS;
use pointsman::model::time::Time;
use pointsman::model::verdict::Count;
use pointsman::signal::search::readers::{SearchCounts, SearchSignatures};
use pointsman::signal::search::{Search, messages};
use std::collections::BTreeMap;
use std::process::Command;

/// When the first host was switched.
const SINCE_MS: u64 = 1_790_000_000_000;

fn start() -> Server {
    let site = concat!(env!("CARGO_MANIFEST_DIR"), "/target/osmem/lib");
    let python = std::fs::read_dir(site).ok().and_then(|mut entries| entries.next()?.ok());
    let python = python.expect("osmem-server is installed: scripts/lib.sh says how");
    let port = free_port();
    let mut command = Command::new(python.path().join("site-packages/osmem_server/bin/osmem-server"));
    command.args(["-addr", &format!("127.0.0.1:{port}"), "-no-stdin-watch", "-no-ja"]);
    let server = Server::start(command, port, tempfile::tempdir().expect("a directory"), "/");
    let keyword = r#"{"type": "keyword"}"#;
    let fields = format!(r#""host": {keyword}, "wiki": {keyword}, "level": {keyword}, "message": {{"type": "text"}}"#);
    let mappings = format!(r#"{{"mappings": {{"properties": {{"@timestamp": {{"type": "date"}}, {fields}}}}}}}"#);
    let answer = http(port, "PUT", "/logstash-1", &mappings).expect("it makes an index");
    assert!(answer.contains("\"acknowledged\":true"), "{answer}");
    server
}

/// Documents of a host at a time after the switch, ms.
fn write(server: &Server, host: &str, at: i64, level: &str, messages: &[&str]) {
    let mut lines = String::new();
    for message in messages {
        let at = SINCE_MS.saturating_add_signed(at);
        let document = serde_json::json!({
            "@timestamp": at, "host": host, "wiki": "enwiki", "level": level, "message": message, "channel": "exception",
        });
        lines.push_str(&format!("{{\"index\":{{\"_index\":\"logstash-1\"}}}}\n{document}\n"));
    }
    let answer = http(server.port, "POST", "/_bulk?refresh=true", &lines).expect("it takes documents");
    assert!(answer.contains("\"errors\":false"), "{answer}");
}

fn counts(server: &Server, events: &str, host_field: &str) -> SearchCounts {
    SearchCounts(CountSource::Search {
        server: server.url(),
        index: "logstash-*".to_owned(),
        events: events.to_owned(),
        exposure: "*".to_owned(),
        host_field: host_field.to_owned(),
        wiki_field: Some("wiki".to_owned()),
        time_field: "@timestamp".to_owned(),
    })
}

#[test]
fn counts_by_host_and_wiki() {
    let server = start();
    let [rolled, control] = HOSTS;
    write(&server, rolled, -1000, "INFO", &["before"; 3]);
    write(&server, rolled, 0, "ERROR", &["boom"; 2]);
    write(&server, rolled, 5000, "INFO", &["fine"; 8]);
    write(&server, control, 5000, "INFO", &["fine"; 7]);
    write(&server, "db1.codfw.wmnet", 5000, "ERROR", &["not in scope"; 9]);
    let now = SINCE_MS + 60_000;
    let reading = read(&mut counts(&server, "level:ERROR", "host"), &scope(SINCE_MS), now).expect("it answers");
    let of = |events, exposure| Count { events, exposure };
    let want = Tally {
        hosts: BTreeMap::from([(host(rolled), of(2, 10)), (host(control), of(0, 7))]),
        wikis: BTreeMap::from([("enwiki".parse().expect("a wiki"), of(2, 10))]),
        before: Some(BTreeMap::from([(host(rolled), of(0, 3))])),
    };
    assert_eq!(reading.what, What::Counts(want));
    assert_eq!(reading.newest_age_ms, Some(55_000));

    let fails = |mut reader: SearchCounts, why: &str| {
        let error = read(&mut reader, &scope(SINCE_MS), now).expect_err("no counts");
        assert!(error.why.contains(why), "{error}");
    };
    fails(counts(&server, "level:(((", "host"), "status 400: Encountered");
    fails(counts(&server, "*", "no_such_field"), "none of 26 documents has the field no_such_field");
    let mut nowhere = counts(&server, "*", "host");
    let CountSource::Search { index, .. } = &mut nowhere.0 else { panic!("it is a search") };
    *index = "nothing-*".to_owned();
    fails(nowhere, "there is no index nothing-*");
}

fn source(server: &Server) -> LogSource {
    LogSource::Search {
        server: server.url(),
        index: "logstash-*".to_owned(),
        query: "level:ERROR".to_owned(),
        message_field: "message".to_owned(),
        host_field: "host".to_owned(),
        time_field: "@timestamp".to_owned(),
    }
}

#[test]
fn signatures_are_known_from_before_and_counted_once() {
    let server = start();
    let [rolled, control] = HOSTS;
    write(&server, rolled, -5000, "ERROR", &["slow query 12"]);
    write(&server, rolled, 1000, "ERROR", &["slow query 7", "session 1 lost", "session 2 lost", "from the books"]);
    write(&server, control, 1000, "ERROR", &["timeout after 5"]);
    write(&server, rolled, 1000, "INFO", &["no error"]);
    let books = BTreeMap::from([("exception: from the books".to_owned(), Time(SINCE_MS - 10))]);
    let mut signatures = SearchSignatures::new(source(&server), 60_000, books);
    let mut seen = |now: u64| {
        let reading = read(&mut signatures, &scope(SINCE_MS), SINCE_MS + now).expect("it answers");
        let What::Signatures(seen) = reading.what else { panic!("signatures were asked for") };
        let line = |one: &pointsman::gate::signature::Seen| {
            let known = if one.known_since.is_some() { "known" } else { "new" };
            let hosts: Vec<_> = one.hosts.iter().map(|(host, n)| format!("{host} {n}")).collect();
            format!("{known} {}: {}", one.signature, hosts.join(" "))
        };
        (seen.iter().map(line).collect::<Vec<_>>(), reading.newest_age_ms)
    };
    let first = [
        "known exception: from the books: mw2001.codfw.wmnet 1",
        "new exception: session <n> lost: mw2001.codfw.wmnet 2",
        "known exception: slow query <n>: mw2001.codfw.wmnet 1",
        "known exception: timeout after <n>: mw2002.codfw.wmnet 1",
    ];
    assert_eq!(seen(10_000), (first.map(str::to_owned).to_vec(), Some(9000)));
    assert_eq!(seen(11_000).0, first, "nothing is counted twice");
    write(&server, rolled, 9500, "ERROR", &["session 3 lost"]);
    assert_eq!(seen(20_000).0[1], "new exception: session <n> lost: mw2001.codfw.wmnet 3", "one that came in late");
    write(&server, control, 25_000, "ERROR", &["session 4 lost"]);
    let line = &seen(30_000).0[1];
    assert_eq!(line, "known exception: session <n> lost: mw2001.codfw.wmnet 3 mw2002.codfw.wmnet 1");
}

#[test]
fn pages_are_turned_and_documents_of_the_same_time_are_not_lost() {
    let server = start();
    let some = SEARCH_PAGE_DOCS / 2 - 1;
    let texts: Vec<String> = (0..some).map(|n| format!("message {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    (0..5).for_each(|minute| write(&server, HOSTS[0], minute, "ERROR", &texts));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = server.url();
    let search = Search {
        server: &url,
        index: "logstash-1",
        query: "*",
        time_field: "@timestamp",
        within: (Time(SINCE_MS), Time(SINCE_MS + 1000)),
    };
    let found = runtime.block_on(messages(&search, &["message"])).expect("it answers");
    assert_eq!((found.read.len(), found.all), (5 * some, 5 * some as u64));
    assert!(found.read.is_sorted_by(|a, b| a.at >= b.at), "the newest first");
    write(&server, HOSTS[0], 1, "ERROR", &texts);
    write(&server, HOSTS[0], 1, "ERROR", &texts);
    let error = runtime.block_on(messages(&search, &["message"])).expect_err("a page of one time");
    assert!(error.why.contains("the same time"), "{error}");
}
