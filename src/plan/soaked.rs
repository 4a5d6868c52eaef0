//! For how long a version has run at the content that it has now.

use crate::model::books::{Books, Status};
use crate::model::component::Component;
use crate::model::names::Version;
use crate::model::time::Time;

/// Since when `version` has been served somewhere, at the content that is wanted now, without a break; `None`: it is not
/// served now. A hot fix of the version begins its soak anew.
pub fn since(books: &Books, version: &Version) -> Option<Time> {
    let component = Component::Version(version.clone());
    let now = books.wanted()?;
    let id = now.wanted.get(&component)?;
    let served = |map: &crate::model::map::VersionMap| map.0.values().any(|v| v == version);
    if !served(&now.map) {
        return None;
    }
    let mut since = now.at;
    let moved = books.rollouts.values().rev().filter(|r| matches!(r.status, Status::Done | Status::Owed));
    for state in moved.filter_map(|rollout| books.snapshots.get(&rollout.to)) {
        if !served(&state.map) || state.wanted.get(&component) != Some(id) {
            break;
        }
        since = since.min(state.at);
    }
    Some(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::books::{Kind, Record, Rollout, Snapshot};
    use crate::model::digest::Digest;
    use crate::plan::fixture::{books, policy, site, wmf};

    /// Groups of the fixture at .11 so far, and the content of .11, become the wanted state at a time.
    fn moved(books: &mut Books, ahead: bool, content: u8, at: u64) {
        let before = books.wanted().expect("a state").clone();
        let mut map = before.map.clone();
        map.0.values_mut().take(2).for_each(|version| *version = wmf(if ahead { 11 } else { 10 }));
        let mut wanted = before.wanted.clone();
        wanted.insert(Component::Version(wmf(11)), Digest::of(&[content]));
        let snapshot = Snapshot { id: books.next_snapshot(), map, wanted, at: Time(at), ..before };
        let policy = policy(4);
        let base: Rollout = site(&policy, books, at).rollout(Kind::Promote, snapshot.id, "x");
        let rollout = Rollout { status: Status::Done, ..base };
        books.apply(Time(at), &Record::Opened { rollout, snapshot: Some(snapshot), moves_current: true });
    }

    #[test]
    fn a_hot_fix_and_a_rollback_begin_it_anew() {
        let mut books = books(&policy(4));
        assert_eq!(since(&books, &wmf(11)), None, "it runs nowhere");
        moved(&mut books, true, 1, 100);
        moved(&mut books, true, 1, 200);
        assert_eq!(since(&books, &wmf(11)), Some(Time(100)));
        moved(&mut books, true, 2, 300);
        assert_eq!(since(&books, &wmf(11)), Some(Time(300)), "its content changed");
        moved(&mut books, false, 2, 400);
        assert_eq!(since(&books, &wmf(11)), None, "it was taken back");
        moved(&mut books, true, 2, 500);
        assert_eq!(since(&books, &wmf(11)), Some(Time(500)));
    }
}
