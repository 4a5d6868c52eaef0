//! What a command wants otherwise than groups.yaml says.

use crate::config::policy::Policy;

/// How one command differs from the others.
#[derive(Default)]
pub struct Wishes {
    /// Another time for repairs than groups.yaml gives, ms.
    pub repair_budget_ms: Option<u64>,
    /// Another time for the gates after each wave and after the last one, ms.
    pub soak_ms: Option<u64>,
    /// Another time for the watch after a promotion, ms.
    pub watch_ms: Option<u64>,
    /// Whether the watch is left to `pointsman watch`.
    pub detach: bool,
}

impl Wishes {
    /// Whether gates are to decide by less than groups.yaml demands.
    pub fn hurry(&self, policy: &Policy) -> bool {
        let least = policy.soak.wave_ms.max(policy.soak.group_ms);
        self.soak_ms.is_some_and(|ms| ms < least)
    }

    /// What groups.yaml says, with these wishes.
    pub fn heed(&self, policy: &mut Policy) {
        let limits = &mut policy.limits;
        limits.repair_budget_ms_max = self.repair_budget_ms.unwrap_or(limits.repair_budget_ms_max);
        let soak = &mut policy.soak;
        soak.wave_ms = self.soak_ms.unwrap_or(soak.wave_ms);
        soak.group_ms = self.soak_ms.unwrap_or(soak.group_ms);
        soak.watch_ms = self.watch_ms.unwrap_or(soak.watch_ms);
    }
}
