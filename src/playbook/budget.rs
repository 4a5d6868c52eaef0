//! How much failure a stage bears.

use crate::config::playbook::spec::Budget;
use crate::model::words::count;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Broken {
    /// Hosts or items that failed.
    pub failed: usize,
    /// Hosts that could not be reached; not among the failed.
    pub unreachable: usize,
}

/// Whether `broken` of `targets` exceeds the budget, in words. No budget bears nothing.
pub fn exceeded(budget: Option<Budget>, broken: Broken, targets: usize) -> Option<String> {
    let budget = budget.unwrap_or(Budget { hosts: Some(0), ..Budget::default() });
    let failed = broken.failed as u64;
    let share = |percent: u64| targets as u64 * percent;
    if budget.hosts.is_some_and(|most| failed > most) || (budget.hosts.or(budget.percent).is_none() && failed > 0) {
        let most = budget.hosts.unwrap_or(0);
        return Some(format!("{} of {targets} failed, {most} may", count(broken.failed, "target")));
    }
    if let Some(percent) = budget.percent.filter(|percent| failed * 100 > share(*percent)) {
        return Some(format!("{} of {targets} failed, {percent} % may", count(broken.failed, "target")));
    }
    if broken.unreachable as u64 > budget.unreachable {
        let (n, most) = (count(broken.unreachable, "target"), budget.unreachable);
        return Some(format!("{n} of {targets} could not be reached, {most} may"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_holds_and_unreachable_is_counted_apart() {
        let budget = |hosts, percent, unreachable| Some(Budget { hosts, percent, unreachable });
        let broken = |failed, unreachable| Broken { failed, unreachable };
        let within = |budget, broken| exceeded(budget, broken, 100).is_none();
        assert!(within(None, broken(0, 0)) && !within(None, broken(1, 0)) && !within(None, broken(0, 1)));
        assert!(within(budget(Some(2), None, 0), broken(2, 0)) && !within(budget(Some(2), None, 0), broken(3, 0)));
        assert!(!within(budget(Some(9), Some(1), 0), broken(2, 0)), "both bounds hold");
        assert!(!within(budget(Some(9), None, 1), broken(0, 2)), "failures left over do not help the unreachable");
        assert!(within(budget(None, None, 5), broken(0, 5)) && !within(budget(None, None, 5), broken(1, 0)));
        let small = exceeded(budget(None, Some(10), 0), broken(1, 0), 9).expect("1 of 9 is more than 10 %");
        assert_eq!(small, "1 target of 9 failed, 10 % may");
    }
}
