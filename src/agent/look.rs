//! Whether a component is there as wanted: the proof that every switch rests on.
//!
//! Invariant: a look changes nothing. Nothing is called ready without its marker, an index that fits the marker, every
//! file of the index unchanged, no file that nobody sent, and every wanted artefact complete and built from the wanted
//! input. A file whose stat says nothing (another boot, a touched time) is hashed, whatever the level, and the level
//! that is named is never above what was done. A note of an earlier proof spares reading directories, and at L3 nothing.

use super::compare::{Compared, Doubt, Spot, With};
use super::hashing;
use super::hostfs::{HostFs, Kind, Place, Stat};
use super::index::{Here, Index, Indexed, Sealed};
use super::proven::{self, Directory, Proven, Recalled};
use super::seal::Seal;
use super::state::{self, Ready};
use super::walk::walk;
use crate::model::component::{ArtefactRule, Component, Want};
use crate::model::digest::Digest;
use crate::model::limits::{INDEX_BYTES_MAX, SAMPLE_FILES, STATE_BYTES_MAX};
use crate::model::protocol::{ArtefactCount, Level, Peek, Readiness};
use crate::tree::path;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// How thoroughly to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    level: Level,
    /// Chooses the sample of L2.
    nonce: Option<u64>,
    /// Whether the web server's work goes before.
    in_background: bool,
    /// How old a proof may be that was written down, ms; `None`: none will do. At L3 none does.
    age_ms_max: Option<u64>,
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Look {
    pub readiness: Readiness,
    /// What is to be written down.
    pub notes: Notes,
}

/// What a look leaves behind for the next one.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// A better index, when that on disk is not as good.
    pub renewed: Option<Renewed>,
    /// A proof for those who need no new one.
    pub proven: Option<Proven>,
}

/// An index with the stats of now; or one that holds under no circumstances, because a file was another one though its
/// stat was that of the index.
#[derive(Debug)]
pub(super) struct Renewed {
    pub index: Index,
    /// As [`Seal::taken_ns`].
    pub taken_ns: i64,
}

impl Depth {
    /// What a proof right before an effect needs: every file that is too young to trust, and no sample.
    pub const YOUNG: Self = Self { level: Level::L2, nonce: None, in_background: false, age_ms_max: None };

    /// As it is asked for. Nobody is thought to wait for an L3.
    pub fn of(peek: &Peek) -> Self {
        let level = if peek.nonce.is_some() { peek.level.max(Level::L2) } else { peek.level };
        Self { level, nonce: peek.nonce, in_background: level == Level::L3, age_ms_max: peek.proof_age_ms_max }
    }

    /// The same for somebody who waits for it.
    pub fn awaited(self) -> Self {
        Self { in_background: false, ..self }
    }

    /// The same for somebody whom a proof will do that was written down so long ago.
    pub fn aged(self, age_ms_max: Option<u64>) -> Self {
        Self { age_ms_max, ..self }
    }

    /// Whether it asks what the clock says, so that files that were too young can be called old.
    pub fn ages(&self) -> bool {
        self.level > Level::L1
    }

    /// What it is called when not all was hashed. An L2 without its sample is an L1, which older controllers know.
    fn named(&self) -> Level {
        match self.nonce {
            Some(_) => self.level,
            None => Level::L1,
        }
    }
}

/// The circumstances of now.
pub(super) fn here(fs: &impl HostFs) -> io::Result<Here> {
    Ok(Here { boot_id: fs.boot_id()?, incarnation: state::load_incarnation(fs)? })
}

/// The index of a component; `None` when absent or damaged.
pub(super) fn load_index(fs: &impl HostFs, component: &Component) -> io::Result<Option<Index>> {
    let bytes = state::load_bytes(fs, &state::index_place(component), INDEX_BYTES_MAX)?;
    Ok(bytes.and_then(|bytes| Index::from_bytes(&bytes)))
}

/// Looks at one component. `now_ns` is what the clock of its files said before; without it no file grows old.
pub(super) fn look(fs: &impl HostFs, want: &Want, depth: Depth, here: &Here, now_ns: Option<i64>) -> io::Result<Look> {
    let found = |readiness| Ok(Look { readiness, notes: Notes::default() });
    let component = &want.component;
    let top = state::component_place(component);
    let top_stat = match fs.lstat(&top)? {
        None => return found(Readiness::Absent),
        Some(stat) if stat.kind != Kind::Directory => return found(Readiness::Unproven { artefacts: Vec::new() }),
        Some(stat) => stat,
    };
    let marker = state::load_bytes(fs, &state::ready_place(component), STATE_BYTES_MAX)?;
    let marker = marker.and_then(|bytes| Some((Digest::of(&bytes), state::decode::<Ready>(&bytes)?)));
    let Some((marker, ready)) = marker else { return found(unproven(fs, want)?) };
    if ready.id != want.id {
        return found(Readiness::Differs { have: ready.id });
    }
    let recalled = if depth.level < Level::L3 { proven::recall(fs, want, marker, here)? } else { None };
    if let Some(Recalled { proven, age_ms }) = &recalled
        && depth.age_ms_max.is_some_and(|age_ms_max| *age_ms <= age_ms_max)
    {
        let Ready { files, bytes, .. } = ready;
        return found(Readiness::Ready { files, bytes, level: proven.level, age_ms: *age_ms });
    }
    let bytes = state::load_bytes(fs, &state::index_place(component), INDEX_BYTES_MAX)?.unwrap_or_default();
    let Some(sealed) = Sealed::open(&bytes) else { return found(unproven(fs, want)?) };
    let seal = Seal::load(fs, component)?.filter(|seal| seal.index == sealed.seal);
    let trusted = sealed.here == *here && here.incarnation.is_some();
    let hash_all = !trusted || depth.level == Level::L3;
    let vouched = !hash_all && seal.as_ref().is_some_and(|seal| seal.marker == marker);
    if !vouched && !sealed.index().is_some_and(|index| index.fits(&ready)) {
        return found(unproven(fs, want)?);
    }
    let uptime_ms = fs.uptime_ms();
    let proof = Proof {
        fs,
        want,
        ready,
        marker,
        sealed: &sealed,
        seal,
        here,
        depth,
        hash_all,
        now_ns,
        uptime_ms,
        top,
        top_stat,
        directories: recalled.filter(|_| !hash_all).map(|recalled| recalled.proven.directories),
    };
    match proof.run(!trusted)? {
        Some(look) => Ok(look),
        None => found(unproven(fs, want)?),
    }
}

fn unproven(fs: &impl HostFs, want: &Want) -> io::Result<Readiness> {
    let walk = walk(fs, &state::component_place(&want.component))?;
    let count = |rule: &ArtefactRule| ArtefactCount {
        path: rule.path.clone(),
        have: walk.files.keys().filter(|path| path.is_within(&rule.path)).count() as u64,
        want: rule.files,
    };
    Ok(Readiness::Unproven { artefacts: want.artefacts.iter().map(count).collect() })
}

/// Numbers of files that nobody could know before: chosen by the controller's number.
fn sample(nonce: u64, files: u64) -> BTreeSet<u64> {
    let mut state = nonce;
    let mut next = || {
        // SplitMix64: https://prng.di.unimi.it/splitmix64.c
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    // One that is drawn twice is one file less.
    (0..SAMPLE_FILES).filter_map(|_| next().checked_rem(files)).collect()
}

/// A component with a marker of the wanted id and an index that fits it.
struct Proof<'a, F> {
    fs: &'a F,
    want: &'a Want,
    ready: Ready,
    /// The digest of its bytes.
    marker: Digest,
    sealed: &'a Sealed<'a>,
    /// If it is of this index.
    seal: Option<Seal>,
    here: &'a Here,
    depth: Depth,
    hash_all: bool,
    now_ns: Option<i64>,
    uptime_ms: u64,
    top: Place,
    top_stat: Stat,
    /// All directories, if a note says that they are as they were when all was proven.
    directories: Option<Vec<Directory>>,
}

/// What differs from the index.
#[derive(Debug, Default)]
struct Damage {
    missing: u64,
    changed: u64,
    extra: u64,
    first: Option<String>,
}

impl Damage {
    fn readiness(self) -> Option<Readiness> {
        let Self { missing, changed, extra, first } = self;
        first.map(|first| Readiness::Damaged { missing, changed, extra, first })
    }
}

impl<'a, F: HostFs> Proof<'a, F> {
    /// `None` when the index cannot be read after all. `renews`: whether all stats are taken anew.
    fn run(&self, renews: bool) -> io::Result<Option<Look>> {
        // An index without a seal is one of an older agent: how old its stats were is not known.
        let taken_ns = self.seal.as_ref().map_or(i64::MIN, |seal| seal.taken_ns);
        let mut compared = self.compare(taken_ns)?;
        if compared.unreadable {
            return Ok(None);
        }
        let changed = hashing::changed(self.fs, &self.top, &compared.doubts, self.depth.in_background)?;
        let differing: BTreeSet<usize> = changed.iter().map(|spot| spot.number).collect();
        compared.changed.extend(changed);
        let unseen = |doubt: &Doubt<'_>| doubt.spot.line.same_stat(&doubt.stat);
        let lied = compared.doubts.iter().any(|doubt| unseen(doubt) && differing.contains(&doubt.spot.number));
        compared.doubts.retain(|doubt| !differing.contains(&doubt.spot.number));
        let readiness = self.verdict(&compared);
        // What was hashed because it was young, and is so no more, need not be hashed the next time.
        let now_ns = self.now_ns.filter(|now| self.hash_all || self.depth.ages() && *now > taken_ns);
        let news = |doubt: &Doubt<'_>| {
            let grown = now_ns.is_some_and(|now| doubt.spot.line.is_young(taken_ns) && !doubt.spot.line.is_young(now));
            grown || !doubt.spot.line.same_stat(&doubt.stat)
        };
        let worth = (renews || compared.doubts.iter().any(news)) && readiness.is_ready();
        let renewed = match (worth, lied && !renews) {
            (true, _) => self.renewed(&compared, now_ns.unwrap_or(taken_ns), self.here.clone()),
            // Without this the next look, which may be one before a repair, would believe the stat again.
            (_, true) => {
                self.renewed(&Compared::default(), taken_ns, Here { boot_id: String::new(), incarnation: None })
            }
            _ => None,
        };
        let proven = self.proven(&readiness, compared.directories);
        Ok(Some(Look { readiness, notes: Notes { renewed, proven } }))
    }

    fn compare(&self, taken_ns: i64) -> io::Result<Compared<'a>> {
        let built = self.ready.artefacts.iter();
        let files = built.clone().fold(self.ready.files, |files, built| files.saturating_add(built.files));
        let sampled = self.depth.nonce.map(|nonce| sample(nonce, files)).unwrap_or_default();
        let (hash_all, finds_young) = (self.hash_all, self.depth.level >= Level::L2);
        let doubtful = |spot: &Spot<'_>| {
            hash_all || finds_young && spot.line.is_young(taken_ns) || sampled.contains(&(spot.number as u64))
        };
        let wanted = self.want.artefacts.iter().map(|rule| rule.path.as_str());
        let may_be_built = wanted.chain(built.map(|built| built.path.as_str())).collect();
        let notes_directories = self.now_ns.is_some();
        let (names_known, rules) = (self.directories.is_some(), self.want.artefacts.as_slice());
        With { sealed: self.sealed, rules, may_be_built, notes_directories, names_known }
            .compare(self.fs, &self.top, doubtful)
    }

    fn verdict(&self, compared: &Compared<'_>) -> Readiness {
        if let Some(damaged) = damage(compared, |spot| !spot.line.built).readiness() {
            return damaged;
        }
        for (rule, have) in self.want.artefacts.iter().zip(&compared.built) {
            if let Some(problem) = self.artefact_problem(rule, *have, compared) {
                return problem;
            }
        }
        let level = if self.hash_all { Level::L3 } else { self.depth.named() };
        Readiness::Ready { files: self.ready.files, bytes: self.ready.bytes, level, age_ms: 0 }
    }

    /// The note of a proof of L2 or above, unless a directory may still change without another time.
    fn proven(&self, readiness: &Readiness, below: Vec<Directory>) -> Option<Proven> {
        let Readiness::Ready { level, .. } = *readiness else { return None };
        let now_ns = self.now_ns.filter(|_| level >= Level::L2)?;
        let seen = || [Directory::new("", &self.top_stat)].into_iter().chain(below).collect();
        let directories = self.directories.clone().unwrap_or_else(seen);
        let (here, want) = (self.here.clone(), self.want.clone());
        let (boot_id, incarnation) = (here.boot_id, here.incarnation);
        let (marker, uptime_ms) = (self.marker, self.uptime_ms);
        let proven = Proven { want, marker, level, uptime_ms, boot_id, incarnation, directories };
        proven.is_settled(now_ns).then_some(proven)
    }

    fn artefact_problem(&self, rule: &ArtefactRule, have: u64, compared: &Compared<'_>) -> Option<Readiness> {
        if have != rule.files {
            let count = ArtefactCount { path: rule.path.clone(), have, want: rule.files };
            return Some(Readiness::ArtefactsMissing(count));
        }
        let input = self.input(rule);
        let built = self.ready.artefacts.iter().find(|built| built.path == rule.path);
        if built.is_none_or(|built| Some(built.input) != input) {
            return Some(Readiness::ArtefactsStale { path: rule.path.clone() });
        }
        damage(compared, |spot| spot.line.built && path::is_within(spot.line.path, &rule.path)).readiness()
    }

    /// The id of what the rule reads now.
    fn input(&self, rule: &ArtefactRule) -> Option<Digest> {
        let known = self.seal.as_ref().filter(|_| !self.hash_all).and_then(|seal| seal.input(&rule.inputs));
        known.or_else(|| Some(self.sealed.index()?.content()?.subset(&rule.inputs).id()))
    }

    fn renewed(&self, compared: &Compared<'_>, taken_ns: i64, here: Here) -> Option<Renewed> {
        let mut index = self.sealed.index()?;
        index.here = here;
        let seen: BTreeMap<usize, &Stat> = compared.doubts.iter().map(|d| (d.spot.number, &d.stat)).collect();
        for (number, indexed) in index.entries.values_mut().enumerate() {
            if let Some(stat) = seen.get(&number) {
                *indexed = Indexed::new(indexed.kind.clone(), indexed.built, stat);
            }
        }
        Some(Renewed { index, taken_ns })
    }
}

/// The part of what was found that `chosen` picks; files that nobody sent count always.
fn damage(compared: &Compared<'_>, chosen: impl Fn(&Spot<'_>) -> bool) -> Damage {
    let of = |spots: &[Spot<'_>]| spots.iter().filter(|spot| chosen(spot)).count() as u64;
    let spots = compared.missing.iter().chain(&compared.changed).filter(|spot| chosen(spot));
    let first = spots.min_by_key(|spot| spot.number).map(|spot| spot.line.path.to_owned());
    let stranger = || compared.first_extra.clone().or_else(|| compared.first_odd.clone());
    Damage {
        missing: of(&compared.missing),
        changed: of(&compared.changed),
        extra: compared.extra,
        first: first.or_else(stranger),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_follows_the_number_and_stays_within_the_files() {
        assert_eq!(sample(1, 1_000_000), sample(1, 1_000_000));
        assert_ne!(sample(1, 1_000_000), sample(2, 1_000_000));
        assert_eq!(sample(1, 1_000_000).len(), SAMPLE_FILES);
        assert!(sample(3, 5).iter().all(|number| *number < 5));
        assert!(sample(3, 0).is_empty());
        let drawn: BTreeSet<u64> = (0..40).flat_map(|nonce| sample(nonce, 100)).collect();
        assert_eq!(drawn.len(), 100, "no file is out of reach");
    }

    /// The numbers that follow 1234567, see <https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64>.
    #[test]
    fn a_sample_is_drawn_by_split_mix_64() {
        let drawn = sample(1_234_567, u64::MAX);
        for number in [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431] {
            assert!(drawn.contains(&number), "{number}");
        }
    }
}
