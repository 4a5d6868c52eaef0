//! The person at the terminal: sees the plan and the steps, and says yes or no.

use super::seat::Seat;
use crate::drive::run::Audience;
use crate::model::words::count;
use crate::plan::hosts::Plan;
use crate::report;
use crate::rollout::effect::Told;
use crate::ui::prompt;

/// Shows plans and steps through the printer.
pub struct Terminal<'a> {
    /// Where it sits.
    pub seat: &'a Seat,
    /// Whether the answer to every question is yes.
    pub yes: bool,
}

impl Audience for Terminal<'_> {
    fn ask(&mut self, plan: &Plan) -> bool {
        self.seat.printer.talk(report::plan::text(plan).trim_end());
        if self.yes {
            return true;
        }
        match prompt::confirm("Go on?") {
            Ok(answer) => answer,
            Err(error) => {
                self.seat.printer.talk(&format!("{error}"));
                false
            }
        }
    }

    fn tell(&mut self, told: &Told) {
        if self.seat.json {
            self.seat.printer.event("step", &report::plan::told_json(told));
            return;
        }
        let line = match told {
            Told::Wave { number, of, hosts } => format!("wave {number} of {of}: {}", count(*hosts, "host")),
            Told::Repairing { host, reason } => {
                format!("{host}: {}; repairing it", report::stale::reason(reason))
            }
            Told::Switched(host) => format!("{host}: switched"),
            Told::Fresh(host) => format!("{host}: proven"),
            Told::Left(host, reason) => report::stale::now_line(host, reason),
        };
        self.seat.printer.step(&line);
    }
}
