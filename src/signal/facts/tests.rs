//! Values and rates.

use super::super::testworld::{Memory, block_on, name, scope};
use super::*;
use crate::gate::spec::hosts::FACTS;
use crate::gate::spec::numbers::{Condition, Op};

const LOG: &str = "/var/log/session.log";

#[test]
fn rates_need_two_readings_and_a_restart_begins_anew() {
    let world = Memory::new(&["a"]);
    let facts = FACTS.iter().map(|(_, fact)| fact.clone()).chain([Fact::LogBytesPerSecond(LOG.into())]);
    let conditions = facts.map(|fact| (fact, Condition { op: Op::Above, limit: 0.0 })).collect();
    let mut provider = Facts::new(&Host { conditions });
    let mut read = |free: u64, monotonic_ms: u64| {
        world.on("a", |fs| {
            fs.host.machine = MachineFacts {
                disk_free_bytes: free,
                disk_bytes: 1 << 40,
                inodes_free: 30,
                inodes: 40,
                load1_milli: Some(1500),
                processors: Some(2),
                memory_available_bytes: Some(1),
                memory_bytes: Some(4),
                uptime_s: Some(monotonic_ms / 1000),
                monotonic_ms,
                logs: Vec::new(),
            };
        });
        let reading = block_on(provider.read(&scope(&["a"], &["gone"], 0), &world)).expect("a answers");
        let What::Facts(hosts) = reading.what else { panic!("facts give facts") };
        assert_eq!(hosts[&name("gone")], Err("connection refused".to_owned()));
        hosts[&name("a")].clone().expect("it answers")
    };
    let percent = Some(50.0);
    let first = read(1 << 39, 1_000_000);
    assert_eq!(first, [percent, None, Some(75.0), Some(0.75), Some(25.0), Some(1000.0), None]);
    world.write("a", LOG, &["0123456"]);
    let second = read((1 << 39) - (1 << 30), 1_004_000);
    // 511 GiB are left, 1 GiB was filled in 4 s.
    assert_eq!(second[1], Some(511.0 * 4.0 / 3600.0));
    assert_eq!(second[6], Some(2.0), "8 bytes in 4 s");
    assert_eq!(read(1 << 39, 1_005_000)[1], Some(f64::INFINITY), "it does not fill");
    let rebooted = read(1, 5_000);
    assert_eq!((rebooted[1], rebooted[6]), (None, None));
}
