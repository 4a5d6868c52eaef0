//! A real fleet: sshd processes on loopback addresses, each a host with files of its own. Nothing here passes without
//! ssh: tests read each sshd's own log and the hosts' files from outside.

mod broken;
mod conversation;
mod faults;
mod hard;
mod harness;
mod kept;
mod late;
mod local;
mod locked;
mod proxies;
mod races;
mod site;
mod sshd;
mod story;
mod transfer;
