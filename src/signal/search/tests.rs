//! What is not an answer of all documents is an error.

use super::*;

fn answer() -> Value {
    json!({
        "timed_out": false,
        "_shards": {"total": 2, "successful": 2, "skipped": 0, "failed": 0},
        "hits": {"total": {"value": 7, "relation": "eq"}, "hits": []},
        "aggregations": {
            "by": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [
                {"key": "mw1", "doc_count": 4},
                {"key": "mw2", "doc_count": 3},
            ]},
            "newest": {"value": 1.795420803123e12},
        },
    })
}

/// The answer with one part of it replaced.
fn with(path: &str, value: Value) -> Value {
    let mut answer = answer();
    *answer.pointer_mut(path).expect("a part of it") = value;
    answer
}

fn read(answer: &Value) -> Result<Counted, String> {
    whole(200, answer, "logstash-*")?;
    counted(answer, "host")
}

#[test]
fn counts_of_a_whole_answer() {
    let found = read(&answer()).expect("it is whole");
    assert_eq!(found.by, BTreeMap::from([("mw1".to_owned(), 4), ("mw2".to_owned(), 3)]));
    assert_eq!(found.newest, Some(Time(1_795_420_803_123)));
    let mut none = with("/aggregations/by/buckets", json!([]));
    none["hits"]["total"]["value"] = json!(0);
    none["aggregations"]["newest"]["value"] = Value::Null;
    assert_eq!(read(&none), Ok(Counted::default()), "an index that has nothing of it");
}

#[test]
fn an_answer_that_is_not_whole_is_an_error() {
    let bad = [
        (with("/timed_out", json!(true)), "timed out"),
        (with("/_shards/failed", json!(1)), "1 of 2 shards failed"),
        (with("/_shards/total", json!(0)), "no index logstash-*"),
        (with("/_shards", Value::Null), "no answer to a search"),
        (with("/timed_out", Value::Null), "no answer to a search"),
        (with("/aggregations/by/sum_other_doc_count", json!(5)), "5 documents have further values"),
        (with("/aggregations/by/buckets", json!([])), "none of 7 documents has the field host"),
        (with("/aggregations/by/buckets/0/key", json!(5)), "no text"),
        (with("/aggregations/by/buckets/0/doc_count", json!("5")), "without a count"),
        (with("/aggregations", Value::Null), "without what was counted"),
    ];
    for (answer, why) in bad {
        let said = read(&answer).expect_err("not whole");
        assert!(said.contains(why), "{said}, not {why}");
    }
    let error = json!({"error": {"reason": "all shards failed", "caused_by": {"reason": "Cannot parse"}}});
    assert_eq!(whole(400, &error, "a"), Err("status 400: Cannot parse".to_owned()));
    assert_eq!(whole(200, &json!([]), "a"), Err("this is no answer to a search".to_owned()));
}

#[test]
fn documents_have_an_id_and_a_time_in_milliseconds_or_nanoseconds() {
    let hit = |sort: Value| json!({"hits": {"hits": [{"_index": "a", "_id": "1", "sort": sort, "_source": {"m": 1}}]}});
    let at = |sort| page(&hit(sort)).map(|(page, last)| (page[0].at.0, page[0].id.clone(), last));
    assert_eq!(at(json!([1_795_420_803_123_u64])), Ok((1795420803123, "a/1".to_owned(), Some(1795420803123))));
    let nanos = 1_795_420_803_123_456_789_u64;
    assert_eq!(at(json!([nanos])), Ok((1795420803123, "a/1".to_owned(), Some(nanos))));
    assert!(at(json!([])).is_err() && page(&json!({"hits": {}})).is_err());
}
