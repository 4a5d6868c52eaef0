//! `sign`: the text that says what a release is, for `ssh-keygen` to sign, and keeping what it signed.

use super::exit::Exit;
use super::seat::Seat;
use super::staged;
use super::usage::Usage;
use crate::drive::{signing, staging};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::limits::SIGNED_BYTES_MAX;
use crate::model::signed::{self, RELEASE_NAMESPACE, Signed, release_text};
use crate::store::Store;
use anyhow::Context;
use clap::Args;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Say what there is to sign, or keep a signature that ssh-keygen made of it
///
/// The text names each component of staging with the id of its content, and nothing that another rollout would change. It
/// is signed with `ssh-keygen -Y sign -n pointsman-release`, by hand, by a token or by CI; no key is seen here. Whoever
/// brings the content to hosts sends the signature along, and hosts with /etc/pointsman/allowed_signers verify it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman sign > release &&\n    ssh-keygen -Y sign -n pointsman-release -f ~/.ssh/id_ed25519 release\n  pointsman sign --keep release"
)]
pub struct Sign {
    /// Only these: php-1.27.0-wmf.11, wmf-config
    components: Vec<Component>,
    /// What the books want, instead of what staging has
    #[arg(long)]
    wanted: bool,
    /// Keep the signature FILE.sig of the text in FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["components", "wanted"])]
    keep: Option<PathBuf>,
}

impl Sign {
    /// Whether nothing is kept.
    pub(super) fn looks(&self) -> bool {
        self.keep.is_none()
    }

    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if let Some(file) = &self.keep {
            return keep(seat, file);
        }
        let contents = if self.wanted { wanted(seat)? } else { self.staged(seat)? };
        let missing = self.components.iter().find(|component| !contents.contains_key(*component));
        if let Some(missing) = missing {
            let held = contents.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(Usage(format!("there is no {missing} among {held}")).into());
        }
        let chosen = |component: &Component| self.components.is_empty() || self.components.contains(component);
        let contents = contents.into_iter().filter(|(component, _)| chosen(component)).collect();
        let text = release_text(&contents);
        seat.printer.data(text.trim_end());
        Ok(Exit::Done)
    }

    /// What staging has, looked at only.
    fn staged(&self, seat: &Seat) -> anyhow::Result<BTreeMap<Component, Digest>> {
        let policy = seat.policy()?;
        let mut components = staging::components(&policy)?;
        components.retain(|component| self.components.is_empty() || self.components.contains(component));
        Ok(staged::ids(&staging::take((&policy, &seat.content(&policy)?), None, &components, false)?))
    }
}

fn wanted(seat: &Seat) -> anyhow::Result<BTreeMap<Component, Digest>> {
    let books = seat.read_books(&seat.policy()?)?.load()?;
    Ok(books.wanted().map(|snapshot| snapshot.wanted.clone()).unwrap_or_default())
}

fn keep(seat: &Seat, file: &Path) -> anyhow::Result<Exit> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".sig");
    let signature = PathBuf::from(beside);
    let written =
        |path: &Path, how: String| read(path).with_context(|| format!("nothing is kept without what `{how}` makes"));
    let text = written(file, format!("pointsman sign > {}", file.display()))?;
    let how = format!("ssh-keygen -Y sign -n {RELEASE_NAMESPACE} -f KEY {}", file.display());
    let signed = Signed { text, signature: written(&signature, how)? };
    let contents = signed::contents(&signed.text)
        .with_context(|| format!("{} is not what pointsman sign says", file.display()))?;
    signing::is_of(&signed.text, &signature, RELEASE_NAMESPACE)?;
    seat.content(&seat.policy()?)?.keep_signed(&contents, &signed)?;
    for (component, id) in &contents {
        seat.printer.talk(&format!("kept: the signature of {component} ({})", id.short()));
    }
    Ok(Exit::Done)
}

/// A small file as text.
pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    let failed = || format!("failed to read {}", file.display());
    let mut text = String::new();
    let bytes = SIGNED_BYTES_MAX as u64 + 1;
    File::open(file).and_then(|file| file.take(bytes).read_to_string(&mut text)).with_context(failed)?;
    anyhow::ensure!(text.len() <= SIGNED_BYTES_MAX, "{} has more than {SIGNED_BYTES_MAX} bytes", file.display());
    Ok(text)
}
