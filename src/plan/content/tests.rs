//! Syncs that are undone, what hosts keep, and the first map.

use crate::model::books::{Books, Status};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::time::Time;
use crate::plan::content;
use crate::plan::fixture::{books, done, ended, opened, policy, site, wiki, wmf};
use crate::plan::goal::Why;
use expect_test::expect;

#[test]
fn undo_leaves_alone_what_another_sync_brought() {
    let policy = policy(12);
    let mut books = books(&policy);
    let [ten, eleven] = [10, 11].map(|n| Component::Version(wmf(n)));
    let first = books.wanted().expect("it is").wanted[&ten];
    for (now, component) in [(1, &ten), (2, &eleven)] {
        let content = [(component.clone(), Digest::of(format!("fix {now}").as_bytes()))].into();
        let goal = content::sync(site(&policy, &books, now), &content, None, false, "fix").expect("it is planned");
        done(&mut books, goal, now);
    }
    let syncs: Vec<_> = content::undoable(&books).map(|rollout| rollout.id).collect();
    assert_eq!(syncs.len(), 2);
    let goal = content::undo(site(&policy, &books, 3), Some(syncs[1]), "worse").expect("it is planned");
    assert_eq!([&ten, &eleven].map(|of| goal.snapshot.wanted[of]), [first, Digest::of(b"fix 2")]);
    assert_eq!((goal.snapshot.id, goal.snapshot.at), (books.next_snapshot(), Time(3)));
    done(&mut books, goal, 3);
    assert_eq!(content::undoable(&books).map(|rollout| rollout.id).collect::<Vec<_>>(), [syncs[0]]);
    let goal = content::undo(site(&policy, &books, 4), Some(syncs[0]), "worse").expect("it is planned");
    ended(&mut books, goal, Status::Dropped, 4);
    assert_eq!(
        content::undoable(&books).map(|rollout| rollout.id).collect::<Vec<_>>(),
        [syncs[0]],
        "it was not undone"
    );
    // What is wanted already is no sync to undo.
    let content = [(eleven, Digest::of(b"fix 2"))].into();
    let goal = content::sync(site(&policy, &books, 4), &content, None, false, "once more").expect("it is planned");
    done(&mut books, goal, 4);
    assert_eq!(content::undoable(&books).map(|rollout| rollout.id).collect::<Vec<_>>(), [syncs[0]]);
}

#[test]
fn hosts_keep_what_is_wanted_and_what_an_undertaking_needs() {
    let policy = policy(12);
    let mut books = books(&policy);
    let kept = |books: &Books| {
        let keep =
            content::collect(site(&policy, books, 9), "room").expect("it is planned").keep.expect("it keeps some");
        keep.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    expect!["1.27.0-wmf.10 1.27.0-wmf.11 1.27.0-wmf.12 1.27.0-wmf.9"].assert_eq(&kept(&books));
    let goal = content::sync(site(&policy, &books, 1), &Default::default(), None, true, "cut").expect("it is planned");
    done(&mut books, goal, 1);
    expect!["1.27.0-wmf.10 1.27.0-wmf.9"].assert_eq(&kept(&books));
    let content = [(Component::Version(wmf(13)), Digest::of(b"13"))].into();
    let goal = content::sync(site(&policy, &books, 2), &content, None, false, "cut").expect("it is planned");
    opened(&mut books, goal, false, 2);
    expect!["1.27.0-wmf.10 1.27.0-wmf.13 1.27.0-wmf.9"].assert_eq(&kept(&books));
}

#[test]
fn the_first_map_has_every_wiki() {
    let policy = policy(12);
    let (empty, mut map) =
        (Books::new(crate::model::ids::BooksId(7)), books(&policy).wanted().expect("it is").map.clone());
    let sync = |map: &_| content::sync(site(&policy, &empty, 1), &Default::default(), Some(map), true, "first");
    assert!(sync(&map).is_ok());
    map.0.remove(&wiki("enwiki"));
    let blocked = sync(&map).expect_err("one is lost");
    expect!["the version map lacks 1 of the wikis in groups.yaml, enwiki first"].assert_eq(&blocked.what);
    let blocked = content::sync(site(&policy, &empty, 1), &Default::default(), None, true, "first");
    assert_eq!(blocked.expect_err("there is no map").why, Why::Paused);
}
