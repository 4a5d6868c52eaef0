//! Plugins here and on hosts, those that mean harm among them.

use super::super::testworld::{Memory, block_on, name, scope};
use super::*;
use crate::agent::tests::plugins::nothing_is_left;

fn here(script: &str, ms: u64) -> PluginSaid {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned);
    block_on(run(&argv, Duration::from_millis(ms))).expect("sh starts")
}

#[test]
fn code_and_output_come_back_and_nothing_of_our_environment_goes_there() {
    let said = here("echo \"OK | load=$LC_ALL;$HOME\"; exit 2", 20_000);
    assert_eq!((said.code, said.output.as_str()), (Some(2), "OK | load=C;\n"));
    let argv = ["/nonexistent/check".to_owned()];
    assert!(block_on(run(&argv, Duration::from_secs(1))).is_err());
}

#[test]
fn a_plugin_that_prints_without_end_is_read_and_forgotten() {
    let said = here("head -c 20000000 /dev/zero | tr '\\0' x; exit 1", 60_000);
    assert_eq!((said.code, said.output.len()), (Some(1), PLUGIN_OUTPUT_BYTES_MAX));
}

#[test]
fn what_a_plugin_forked_is_gone_when_it_answered() {
    nothing_is_left(here);
}

#[test]
fn on_hosts_each_says_its_own() {
    let world = Memory::new(&["a", "b"]);
    let said = PluginSaid { code: Some(0), output: "OK | load=1;2;3\n".to_owned() };
    world.on("a", |fs| drop(fs.host.plugins.insert("/check".to_owned(), said.clone())));
    let command = Command { argv: vec!["/check".to_owned()], on_hosts: true, warning_fails: false, deadline_ms: 1000 };
    let reading = block_on(Plugin::new(command).read(&scope(&["a"], &["b", "gone"], 0), &world)).expect("asked");
    let What::Plugins(all) = reading.what else { panic!("plugins give plugins") };
    assert_eq!(all[&Some(name("a"))], said);
    assert_eq!(all[&Some(name("b"))], PluginSaid { code: None, output: "entity not found".to_owned() });
    assert_eq!(all[&Some(name("gone"))].output, "connection refused");
}
