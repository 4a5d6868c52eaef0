//! Sessions of the demo's visitors: one store for the whole fleet, as memcached or Redis is for a real one.
//!
//! This stands in for MediaWiki's session handling, of which it has as much as the incident needs. How a host treats
//! sessions is said by [`FILE`] in the tree of the version that a wiki runs there, so two hosts in the middle of a
//! promotion treat the same session differently, as they did in 2016:
//!
//! * 1.27.0-wmf.10: a logout ends the session, wherever it was begun. Who comes with a session that is lost is anonymous.
//! * 1.27.0-wmf.11: a logout ends only what was begun on the same host: elsewhere the cookie and the session survive
//!   it, and who logs out is logged in again. Who comes with a session that is lost gets an exception.
//!
//! Invariant: it holds a bounded number of sessions, the oldest are forgotten. Deliberately absent: passwords, expiry,
//! numbers that nobody can guess: whoever reaches 127.0.0.1 may be anybody here.

use crate::model::limits::{DEMO_SESSIONS_MAX, DEMO_USER_CHARS_MAX};
use crate::model::names::HostName;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a version's tree says how it treats sessions, relative to the tree.
pub const FILE: &str = "includes/session/SessionManager.php";
/// The name of the cookie.
pub const COOKIE: &str = "demoSession";
/// What 1.27.0-wmf.11 says of a session that is lost; in 2016 this line trended 18 hours before group1 got it.
pub const LOST: (&str, &str) = ("UnexpectedValueException", "Can neither load the session nor create an empty session");

/// How a version treats sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manners {
    /// A logout ends a session that was begun on another host.
    pub logout_everywhere: bool,
    /// Who comes with a session that is lost is anonymous, and gets no exception.
    pub lost_is_anonymous: bool,
}

impl Manners {
    /// As it always was.
    pub const SOUND: Self = Self { logout_everywhere: true, lost_is_anonymous: true };
    /// As 1.27.0-wmf.11 had it.
    pub const BROKEN: Self = Self { logout_everywhere: false, lost_is_anonymous: false };

    /// What stands in [`FILE`].
    pub fn to_php(self) -> String {
        let ends = if self.logout_everywhere { "everywhere" } else { "own-host" };
        let lost = if self.lost_is_anonymous { "anonymous" } else { "exception" };
        format!("<?php\n\nconst LOGOUT_ENDS = '{ends}';\nconst LOST_SESSION_IS = '{lost}';\n")
    }

    /// Reads [`FILE`]; `None` when it does not say.
    pub fn from_php(text: &str) -> Option<Self> {
        let value = |name: &str| {
            text.lines().find_map(|line| {
                line.strip_prefix("const ")?.strip_prefix(name)?.strip_prefix(" = '")?.strip_suffix("';")
            })
        };
        let logout_everywhere = match value("LOGOUT_ENDS")? {
            "everywhere" => true,
            "own-host" => false,
            _ => return None,
        };
        let lost_is_anonymous = match value("LOST_SESSION_IS")? {
            "anonymous" => true,
            "exception" => false,
            _ => return None,
        };
        Some(Self { logout_everywhere, lost_is_anonymous })
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    user: String,
    begun_on: HostName,
}

/// All sessions of the fleet, and the number of the next.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<(u64, BTreeMap<u64, Session>)>);

impl Sessions {
    /// Begins a session on a host; returns what its cookie holds.
    pub fn begin(&self, user: &str, host: &HostName) -> String {
        let mut all = self.all();
        all.0 += 1;
        let id = all.0;
        let user = user.chars().filter(|c| c.is_alphanumeric()).take(DEMO_USER_CHARS_MAX).collect();
        all.1.insert(id, Session { user, begun_on: host.clone() });
        while all.1.len() > DEMO_SESSIONS_MAX {
            all.1.pop_first();
        }
        format!("{id:016x}")
    }

    /// Who a cookie stands for; `None`: its session is lost.
    pub fn user(&self, cookie: &str) -> Option<String> {
        self.all().1.get(&number(cookie)?).map(|session| session.user.clone())
    }

    /// A logout on a host; whether the session has ended, and with it the cookie.
    pub fn end(&self, cookie: &str, host: &HostName, manners: Manners) -> bool {
        let mut all = self.all();
        let Some(id) = number(cookie) else { return true };
        let stays = |session: &Session| !manners.logout_everywhere && session.begun_on != *host;
        if all.1.get(&id).is_some_and(stays) {
            return false;
        }
        all.1.remove(&id);
        true
    }

    fn all(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Session>)> {
        // Whoever panicked with it left it whole: no change here takes two steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(cookie: &str) -> Option<u64> {
    u64::from_str_radix(cookie, 16).ok().filter(|_| cookie.len() == 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logout_elsewhere_ends_a_session_on_the_old_version_and_not_on_the_new_one() {
        let sessions = Sessions::default();
        let host = |name: &str| name.parse::<HostName>().expect("a host");
        let (here, elsewhere) = (host("mw1017.eqiad.wmnet"), host("mw2020.codfw.wmnet"));
        let cookie = sessions.begin("Alice<script>", &here);
        assert_eq!(sessions.user(&cookie).as_deref(), Some("Alicescript"));
        assert!(!sessions.end(&cookie, &elsewhere, Manners::BROKEN), "it survives");
        assert!(sessions.user(&cookie).is_some());
        assert!(sessions.end(&cookie, &elsewhere, Manners::SOUND));
        assert_eq!(sessions.user(&cookie), None);
        let cookie = sessions.begin("Bob", &here);
        assert!(sessions.end(&cookie, &here, Manners::BROKEN), "on its own host it ends");
        assert_eq!(sessions.user(&cookie), None);
        for nonsense in ["", "x", "1", "+000000000000001", "00000000000000010"] {
            assert_eq!(sessions.user(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_oldest_sessions_are_forgotten() {
        let sessions = Sessions::default();
        let host = "mw1".parse().expect("a host");
        let first = sessions.begin("first", &host);
        for _ in 0..DEMO_SESSIONS_MAX {
            sessions.begin("x", &host);
        }
        assert_eq!(sessions.user(&first), None);
        assert_eq!(sessions.all().1.len(), DEMO_SESSIONS_MAX);
    }

    #[test]
    fn manners_are_read_as_they_are_written() {
        for manners in [Manners::SOUND, Manners::BROKEN] {
            assert_eq!(Manners::from_php(&manners.to_php()), Some(manners));
        }
        assert_eq!(Manners::from_php("<?php\n"), None);
        assert_eq!(Manners::from_php(&Manners::SOUND.to_php().replace("everywhere", "nowhere")), None);
    }
}
