//! Commands as words that the program reads again: what a saved plan keeps of a command.
//!
//! Invariant: every argument of a command is in its words but those of [`super::acting::Acting`], which are for the moment
//! at which it is typed. Structs are taken apart whole, so that an argument that is added is not forgotten here.

use super::Command;
use super::acting::Acting;
use std::fmt::Display;

/// The words of a command, one after the other.
pub struct Words(Vec<String>);

impl Words {
    /// Of the command `name`.
    pub fn new(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// An argument without a name, whose grammar allows no leading `-`.
    pub fn plain(mut self, value: Option<impl Display>) -> Self {
        self.0.extend(value.map(|value| value.to_string()));
        self
    }

    /// `--name=value`, for each value.
    pub fn options<T: Display>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        self.0.extend(values.into_iter().map(|value| format!("--{name}={value}")));
        self
    }

    /// `--name`, when it is set.
    pub fn flag(mut self, name: &str, set: bool) -> Self {
        self.0.extend(set.then(|| format!("--{name}")));
        self
    }

    /// Arguments without a name that may look like anything; they come last.
    pub fn last<T: Display>(mut self, values: impl IntoIterator<Item = T>) -> Vec<String> {
        let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        self.0.extend((!values.is_empty()).then(|| "--".to_owned()));
        self.0.extend(values);
        self.0
    }
}

impl Command {
    /// The command as words; `None`: its plans can't be saved.
    pub fn words(&self) -> Option<Vec<String>> {
        match self {
            Self::Promote(command) => Some(command.words()),
            Self::Rollback(command) => Some(command.words()),
            Self::SyncCommon(command) => Some(command.words()),
            Self::SyncFile(command) => Some(command.words()),
            Self::Run(command) => Some(command.words()),
            _ => None,
        }
    }

    /// The options that all commands have that act by an order.
    pub fn acting(&mut self) -> Option<&mut Acting> {
        match self {
            Self::Promote(command) => Some(&mut command.acting),
            Self::Rollback(command) => Some(&mut command.acting),
            Self::Converge(command) => Some(&mut command.acting),
            Self::SyncCommon(command) => Some(&mut command.acting),
            Self::SyncFile(command) => Some(&mut command.acting),
            Self::Undo(command) => Some(&mut command.acting),
            Self::Pin(command) => Some(&mut command.acting),
            Self::Unpin(command) => Some(&mut command.acting),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::playbook::command;

    #[test]
    fn every_argument_is_read_back() {
        for line in [
            "promote group1 1.27.0-wmf.11 --message=train",
            "promote group1 1.27.0-wmf.11 --message=-x --again --reason=mended --soak=500ms --watch=60000ms \
             --override=new-errors=known --override=pages=slow --accept=T1=small",
            "promote group1 1.27.0-wmf.11 --message=m --detach",
            "rollback --message=rollback",
            "rollback group1 --repair-budget=5 --message=5xx",
            "rollback --to=s12 --message=Monday",
            "rollback --from-fleet --message=lost",
            "sync-common --message=m -- mw[2016-2020].codfw.wmnet",
            "sync-common --from-staging --delete --message=cut",
            "sync-file --hosts=role:canary --message=m --delete -- wmf-config/a.php -b/c",
            "run --var=version=1 --var=soak=1h --override-freeze=why -- train",
        ] {
            let line: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let read = command(&line).unwrap_or_else(|why| panic!("{line:?}: {why}"));
            assert_eq!(read.words(), Some(line));
        }
    }
}
