//! Counts verdicts and decides when a rollout goes on, fails, or waits for a person.
//!
//! Invariants. Pure: time is an argument, so that a replay decides as the real thing does. A rollout goes on only when
//! every gate that enforces has passed and the least time is over; a gate that was not asked has not passed.

use super::spec::{Counters, Gate, Kind, Mode, Moment};
use crate::model::limits::APPROVAL_MS_MAX;
use crate::model::names::GateName;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::model::words::count;

/// How long is soaked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When.
    pub moment: Moment,
    /// Not decided to go on before, ms.
    pub least_ms: u64,
    /// A person is asked after, ms.
    pub max_ms: u64,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Everything passed for long enough.
    GoOn,
    /// These gates failed.
    Failed(Vec<GateName>),
    /// A person is needed, and why: a line for each gate.
    Paused(Vec<String>),
}

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not decided yet.
    Open,
    /// Enough verdicts were passes.
    Passed,
    /// More failures than are borne.
    Failed,
    /// More errors in a row than are borne.
    Errored,
    /// It has to be known now, and it is not.
    Undecided,
}

/// One gate that is being asked.
#[derive(Debug, Clone)]
struct Running {
    gate: Gate,
    passes: u32,
    failures: u32,
    inconclusive: u32,
    passes_in_row: u32,
    errors_in_row: u32,
    /// Verdicts so far.
    asked: u32,
    /// When it is to be asked next; `None`: never again, or it was asked and has not answered.
    next: Option<Time>,
    standing: Standing,
    last: Option<Judgement>,
}

/// Gates that are asked until something is decided.
#[derive(Debug, Clone)]
pub struct Soak {
    terms: Terms,
    began: Time,
    running: Vec<Running>,
}

impl Soak {
    /// Begins now, with those of `gates` that are asked at the moment.
    pub fn new(gates: impl IntoIterator<Item = Gate>, terms: Terms, now: Time) -> Self {
        let asked = gates.into_iter().filter(|gate| gate.at.contains(&terms.moment));
        let running = asked.map(|gate| Running::new(gate, now)).collect();
        Self { terms, began: now, running }
    }

    /// Gates that are to be asked now.
    pub fn is_due(&self, now: Time) -> impl Iterator<Item = &Gate> {
        let due = self.running.iter().filter(move |running| running.next.is_some_and(|next| next <= now));
        due.map(|running| &running.gate)
    }

    /// The gates that are to be asked now. Each of them is not due again before it was [`Self::take`]n.
    pub fn due(&mut self, now: Time) -> Vec<Gate> {
        let due = self.running.iter_mut().filter(|running| running.next.is_some_and(|next| next <= now));
        due.map(|running| {
            running.next = None;
            running.gate.clone()
        })
        .collect()
    }

    /// Counts a judgement of a gate that was due; whether it is what the gate rests on now.
    pub fn take(&mut self, now: Time, judgement: Judgement) -> bool {
        let (moment, name) = (self.terms.moment, judgement.gate.clone());
        let running = self.running.iter_mut().find(|running| running.gate.name == name);
        running.is_some_and(|running| running.take(now, moment, judgement))
    }

    /// A person decided that a gate does not stop this rollout; it is not asked again.
    pub fn overrule(&mut self, gate: &GateName) {
        for running in self.running.iter_mut().filter(|running| running.gate.name == *gate) {
            (running.standing, running.next) = (Standing::Passed, None);
        }
    }

    /// How a gate stands, and its last judgement.
    pub fn standing(&self) -> impl Iterator<Item = (&Gate, Standing, Option<&Judgement>)> {
        self.running.iter().map(|running| (&running.gate, running.standing, running.last.as_ref()))
    }

    /// What follows; `None`: more is to be asked.
    pub fn decision(&self, now: Time) -> Option<Decision> {
        let enforced: Vec<&Running> = self.running.iter().filter(|r| r.gate.mode == Mode::Enforce).collect();
        let standing = |wanted: &[Standing]| -> Vec<&Running> {
            enforced.iter().copied().filter(|r| wanted.contains(&r.standing)).collect()
        };
        // A canary check reports on every gate, those that observe too, so it hears all of them out.
        let unheard = self.terms.moment == Moment::Canary && self.running.iter().any(|r| !r.heard());
        if unheard && now.ms_since(self.began) < self.terms.max_ms {
            return None;
        }
        let failed = standing(&[Standing::Failed]);
        if !failed.is_empty() {
            return Some(Decision::Failed(failed.into_iter().map(|r| r.gate.name.clone()).collect()));
        }
        let stuck = standing(&[Standing::Errored, Standing::Undecided]);
        if !stuck.is_empty() {
            return Some(Decision::Paused(stuck.into_iter().map(Running::why_not).collect()));
        }
        let open = standing(&[Standing::Open]);
        let soaked = now.ms_since(self.began);
        match open.is_empty() {
            true if soaked >= self.terms.least_ms => Some(Decision::GoOn),
            false if soaked >= self.terms.max_ms.max(self.terms.least_ms) => {
                Some(Decision::Paused(open.into_iter().map(Running::why_not).collect()))
            }
            _ => None,
        }
    }

    /// When something is to be done next, if no answer comes before.
    pub fn wake(&self) -> Time {
        let open = self.running.iter().any(|r| r.gate.mode == Mode::Enforce && r.standing == Standing::Open);
        let end = if open { self.terms.max_ms.max(self.terms.least_ms) } else { self.terms.least_ms };
        let next = self.running.iter().filter_map(|running| running.next).min();
        next.map_or(after(self.began, end), |next| next.min(after(self.began, end)))
    }
}

fn after(time: Time, ms: u64) -> Time {
    Time(time.0.saturating_add(ms))
}

impl Running {
    fn new(gate: Gate, now: Time) -> Self {
        let first = after(now, gate.counters.initial_delay_ms);
        Self {
            gate,
            passes: 0,
            failures: 0,
            inconclusive: 0,
            passes_in_row: 0,
            errors_in_row: 0,
            asked: 0,
            next: Some(first),
            standing: Standing::Open,
            last: None,
        }
    }

    fn take(&mut self, now: Time, moment: Moment, judgement: Judgement) -> bool {
        let is = |verdict| u32::from(judgement.verdict == verdict);
        self.passes += is(Verdict::Pass);
        self.failures += is(Verdict::Fail);
        self.inconclusive += is(Verdict::Inconclusive);
        self.passes_in_row = (self.passes_in_row + 1) * is(Verdict::Pass);
        self.errors_in_row = (self.errors_in_row + 1) * is(Verdict::Error);
        self.asked += 1;
        let once = moment == Moment::Canary;
        let can_wait = match moment {
            // Before a promotion nothing grows by waiting, but a person's answer.
            Moment::Before => self.gate.kind == Kind::Approval,
            Moment::Canary => self.asked < self.gate.counters.count,
            Moment::Wave | Moment::Group | Moment::Watch => true,
        };
        // A second look at a gate that failed takes nothing back, and it goes on saying why it failed.
        let counts = self.standing != Standing::Failed || judgement.verdict == Verdict::Fail;
        if counts {
            self.last = Some(judgement);
        }
        self.standing = self.stands(can_wait, once);
        let enough = self.gate.counters.consecutive_success_limit;
        let ended = match self.standing {
            Standing::Failed | Standing::Errored | Standing::Undecided => true,
            // Unless a limit says that it is enough, a gate is asked as long as there is soaking.
            Standing::Passed => once || self.gate.kind == Kind::Approval || enough > 0 && self.passes_in_row >= enough,
            Standing::Open => false,
        };
        // A person who answered does not want to wait for the machine.
        let interval_ms = match self.gate.kind {
            Kind::Approval => self.gate.counters.interval_ms.min(APPROVAL_MS_MAX),
            _ => self.gate.counters.interval_ms,
        };
        self.next = (!ended).then(|| after(now, interval_ms));
        counts
    }

    /// `once`: after so many verdicts as make a whole it stands as it does.
    fn stands(&self, can_wait: bool, once: bool) -> Standing {
        let Counters { failure_limit, inconclusive_limit, consecutive_error_limit, .. } = self.gate.counters;
        let enough = self.gate.counters.consecutive_success_limit;
        let counted = self.passes + self.failures.min(failure_limit) + self.inconclusive.min(inconclusive_limit);
        match () {
            () if self.failures > failure_limit => Standing::Failed,
            () if self.errors_in_row > consecutive_error_limit => Standing::Errored,
            () if self.passes > 0 && counted >= self.gate.counters.count => Standing::Passed,
            () if enough > 0 && self.passes_in_row >= enough => Standing::Passed,
            () if !can_wait && once => Standing::Undecided,
            () if !can_wait && self.inconclusive > inconclusive_limit => Standing::Undecided,
            () => Standing::Open,
        }
    }

    /// Whether it is not asked again.
    fn heard(&self) -> bool {
        self.standing != Standing::Open
    }

    fn why_not(&self) -> String {
        let last = self.last.as_ref().map_or("it was not asked yet".to_owned(), |last| last.sentence.clone());
        match self.standing {
            Standing::Errored => {
                format!("{}: {} in a row: {last}", self.gate.name, count(self.errors_in_row as usize, "error"))
            }
            _ => format!("{}: {last}", self.gate.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::spec::people::Blockers;

    const MOMENT: Moment = Moment::Wave;

    fn gate(name: &str, counters: Counters) -> Gate {
        let kind = Kind::Blockers(Blockers { argv: Vec::new(), deadline_ms: 1 });
        Gate { counters, ..Gate::new(name.parse().expect("a name"), [Moment::Wave, Moment::Before], kind) }
    }

    fn said(gate: &str, letter: char) -> Judgement {
        let verdict = match letter {
            'p' => Verdict::Pass,
            'f' => Verdict::Fail,
            'i' => Verdict::Inconclusive,
            _ => Verdict::Error,
        };
        Judgement {
            gate: gate.parse().expect("a name"),
            verdict,
            at: Time(0),
            value: None,
            limit: String::new(),
            n: 0,
            window_ms: 0,
            query: String::new(),
            sentence: format!("it said {verdict}"),
            samples: Vec::new(),
            against: Default::default(),
        }
    }

    /// Asks a gate every second and says a letter each time; what was decided, and after how many.
    fn told(counters: Counters, moment: Moment, letters: &str) -> (usize, Option<Decision>) {
        let terms = Terms { moment, least_ms: 2_000, max_ms: 9_000 };
        let mut soak = Soak::new([gate("g", Counters { interval_ms: 1_000, ..counters })], terms, Time(0));
        for (n, letter) in letters.chars().enumerate() {
            let now = Time(n as u64 * 1_000);
            if soak.due(now).len() == 1 {
                soak.take(now, said("g", letter));
            }
            if let Some(decision) = soak.decision(now) {
                return (n + 1, Some(decision));
            }
        }
        (letters.len(), None)
    }

    fn failed() -> Option<Decision> {
        Some(Decision::Failed(vec!["g".parse().expect("a name")]))
    }

    fn paused(why: &str) -> Option<Decision> {
        Some(Decision::Paused(vec![format!("g: {why}")]))
    }

    #[test]
    fn the_counters_are_strict() {
        let c = Counters::default();
        let go = || Some(Decision::GoOn);
        for (counters, letters, after, decision) in [
            (c, "ppp", 3, go()),
            (c, "pf", 2, failed()),
            (c, "iip", 3, go()),
            (c, "iiiiiiiiiip", 10, paused("it said inconclusive")),
            (c, "eeeep", 5, go()),
            (c, "eeeeep", 5, paused("5 errors in a row: it said error")),
            (c, "eeepeeee", 4, go()),
            (Counters { count: 4, ..c }, "pppp", 4, go()),
            (Counters { count: 4, ..c }, "ppipp", 5, go()),
            (Counters { count: 4, inconclusive_limit: 1, ..c }, "ppip", 4, go()),
            (Counters { failure_limit: 1, count: 3, ..c }, "fpp", 3, go()),
            (Counters { failure_limit: 1, count: 3, ..c }, "fpf", 3, failed()),
            (Counters { count: 99, consecutive_success_limit: 2, ..c }, "pipp", 4, go()),
            (Counters { failure_limit: 1, ..c }, "fiip", 4, go()),
            (Counters { initial_delay_ms: 3_000, ..c }, "ffffp", 4, failed()),
        ] {
            assert_eq!(told(counters, MOMENT, letters), (after, decision), "{letters} {counters:?}");
        }
    }

    #[test]
    fn who_waits_is_woken_at_the_latest_when_it_is_decided_without_any_answer() {
        let terms = Terms { moment: MOMENT, least_ms: 5, max_ms: 10 };
        let enough = Counters { consecutive_success_limit: 2, interval_ms: 1, ..Counters::default() };
        let mut soak = Soak::new([gate("g", enough)], terms, Time(0));
        assert_eq!(soak.due(Time(0)).len(), 1);
        assert_eq!(soak.wake(), Time(10), "it has not answered");
        soak.take(Time(1), said("g", 'p'));
        assert_eq!((soak.wake(), soak.due(Time(2)).len()), (Time(2), 1), "once is not enough");
        soak.take(Time(3), said("g", 'p'));
        assert_eq!((soak.wake(), soak.due(Time(99)).len()), (Time(5), 0), "twice is");
        let observing = Gate { mode: Mode::Observe, ..gate("o", Counters::default()) };
        let mut soak = Soak::new([observing], terms, Time(0));
        assert_eq!((soak.due(Time(0)).len(), soak.wake()), (1, Time(5)), "nobody waits for what observes");
    }

    #[test]
    fn before_a_promotion_what_is_not_known_is_not_waited_for() {
        assert_eq!(told(Counters::default(), Moment::Before, "ip"), (1, paused("it said inconclusive")));
        assert_eq!(told(Counters::default(), Moment::Before, "eep"), (3, Some(Decision::GoOn)));
        let mut approval = gate("g", Counters::default());
        approval.kind = Kind::Approval;
        let mut soak = Soak::new([approval], Terms { moment: Moment::Before, least_ms: 0, max_ms: 60_000 }, Time(0));
        soak.take(Time(0), said("g", 'i'));
        assert_eq!(soak.decision(Time(0)), None);
        assert_eq!(soak.wake(), Time(APPROVAL_MS_MAX), "a person who answered is heard within a second");
        soak.take(Time(1), said("g", 'p'));
        assert_eq!(soak.decision(Time(1)), Some(Decision::GoOn));
    }

    #[test]
    fn a_gate_that_observes_decides_nothing_and_one_of_another_moment_is_not_asked() {
        let terms = Terms { moment: MOMENT, least_ms: 0, max_ms: 10 };
        let observing = Gate { mode: Mode::Observe, ..gate("o", Counters::default()) };
        let other = Gate { at: [Moment::Watch].into(), ..gate("w", Counters::default()) };
        let mut soak = Soak::new([observing, other, gate("g", Counters::default())], terms, Time(0));
        let due: Vec<String> = soak.due(Time(0)).iter().map(|gate| gate.name.to_string()).collect();
        assert_eq!(due, ["o", "g"]);
        soak.take(Time(0), said("o", 'f'));
        assert_eq!(soak.decision(Time(0)), None, "the gate that enforces was not heard");
        soak.take(Time(0), said("g", 'p'));
        assert_eq!(soak.decision(Time(0)), Some(Decision::GoOn));
        let stands: Vec<Standing> = soak.standing().map(|(_, standing, _)| standing).collect();
        assert_eq!(stands, [Standing::Failed, Standing::Passed], "what it would have done is still said");
    }

    #[test]
    fn a_canary_check_asks_as_often_as_count_says_and_hears_every_gate() {
        let c = Counters::default();
        let stands = |counters: Counters, letters: &str| {
            let terms = Terms { moment: Moment::Canary, least_ms: 0, max_ms: 60_000 };
            let asked = Gate { at: [Moment::Canary].into(), ..gate("g", Counters { interval_ms: 1_000, ..counters }) };
            let mut soak = Soak::new([asked], terms, Time(0));
            let mut after = 0;
            for (n, letter) in letters.chars().enumerate() {
                if soak.due(Time(n as u64 * 1_000)).len() == 1 {
                    soak.take(Time(n as u64 * 1_000), said("g", letter));
                    after += 1;
                }
            }
            (after, soak.standing().next().expect("there is one").1)
        };
        let three = Counters { count: 3, ..c };
        for (counters, letters, expected) in [
            (c, "ppp", (1, Standing::Passed)),
            (c, "fpp", (1, Standing::Failed)),
            (c, "ipp", (1, Standing::Undecided)),
            (c, "epp", (1, Standing::Undecided)),
            (three, "pppp", (3, Standing::Passed)),
            (three, "pip", (3, Standing::Undecided)),
            (Counters { inconclusive_limit: 1, ..three }, "pipp", (3, Standing::Passed)),
            (Counters { failure_limit: 1, ..three }, "fppp", (3, Standing::Passed)),
            (Counters { failure_limit: 1, ..three }, "fpfp", (3, Standing::Failed)),
        ] {
            assert_eq!(stands(counters, letters), expected, "{letters} {counters:?}");
        }
        let terms = Terms { moment: Moment::Canary, least_ms: 0, max_ms: 10 };
        let at = |name| Gate { at: [Moment::Canary].into(), ..gate(name, c) };
        let mut soak = Soak::new([at("a"), at("b")], terms, Time(0));
        soak.take(Time(0), said("a", 'f'));
        assert_eq!(soak.decision(Time(0)), None, "the other one was not heard");
        assert!(soak.decision(Time(10)).is_some(), "but not for ever");
        soak.take(Time(1), said("b", 'p'));
        assert_eq!(soak.decision(Time(1)), Some(Decision::Failed(vec!["a".parse().expect("a name")])));
    }

    #[test]
    fn no_gate_at_all_goes_on_after_the_least_time_and_an_overruled_one_does_not_stop() {
        let terms = Terms { moment: MOMENT, least_ms: 5, max_ms: 10 };
        let mut soak = Soak::new([], terms, Time(0));
        assert_eq!((soak.decision(Time(4)), soak.wake()), (None, Time(5)));
        assert_eq!(soak.decision(Time(5)), Some(Decision::GoOn));
        assert!(soak.due(Time(5)).is_empty());
        let mut soak = Soak::new([gate("g", Counters::default())], terms, Time(0));
        soak.take(Time(0), said("g", 'f'));
        assert_eq!(soak.decision(Time(0)), failed());
        soak.overrule(&"g".parse().expect("a name"));
        assert_eq!(soak.decision(Time(5)), Some(Decision::GoOn));
    }
}
