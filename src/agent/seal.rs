//! What is known of an index beyond its lines: that it fits the marker, and since when its stats can be trusted.
//!
//! Invariant: a seal speaks of one index file and one marker file, by the digests of their bytes. When either is another
//! one, when the seal is damaged or there is none, as on a host that an older agent prepared, nothing of it is believed:
//! ids are computed again, and every file is too young. A look at L3 never relies on it.

use super::hostfs::HostFs;
use super::index::Index;
use super::state::{self, Ready};
use crate::model::component::{ArtefactRule, Component};
use crate::model::digest::Digest;
use serde::{Deserialize, Serialize};
use std::io;

/// The seal of a component's index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal {
    /// The digest at the end of the index.
    pub index: Digest,
    /// The digest of the marker's bytes, with which the index was compared.
    pub marker: Digest,
    /// When the stats began to be taken, by the clock that gives files their times, ns since 1970. A file that was not
    /// older than that may have been changed since without another time.
    pub taken_ns: i64,
    /// The ids of what the artefact rules read.
    pub inputs: Vec<Input>,
}

/// What a rule reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub prefixes: Vec<String>,
    pub id: Digest,
}

impl Seal {
    /// The seal of this index, whose own digest is `seal`, and of the marker with these bytes; `None` when the two do
    /// not fit.
    pub fn of(index: &Index, seal: Digest, marker: &[u8], taken_ns: i64, rules: &[ArtefactRule]) -> Option<Self> {
        let ready: Ready = state::decode(marker)?;
        let content = index.content().filter(|_| index.fits(&ready))?;
        let input =
            |rule: &ArtefactRule| Input { prefixes: rule.inputs.clone(), id: content.subset(&rule.inputs).id() };
        let inputs = rules.iter().map(input).collect();
        Some(Self { index: seal, marker: Digest::of(marker), taken_ns, inputs })
    }

    /// The one on disk, whatever it speaks of.
    pub fn load(fs: &impl HostFs, component: &Component) -> io::Result<Option<Self>> {
        state::load(fs, &state::seal_place(component))
    }

    /// Writes it down. It may be lost or torn: then it is none, so a power cut is not waited for.
    pub fn store(&self, fs: &mut impl HostFs, component: &Component) -> io::Result<()> {
        let at = state::seal_place(component);
        fs.make_dir(&at.split().0)?;
        let bytes = state::encode(self)?;
        fs.receive(&at, false, bytes.len() as u64, &mut bytes.as_slice()).map(drop)
    }

    /// The id of what a rule with these inputs reads, if it was computed.
    pub fn input(&self, prefixes: &[String]) -> Option<Digest> {
        self.inputs.iter().find(|input| input.prefixes == prefixes).map(|input| input.id)
    }
}
