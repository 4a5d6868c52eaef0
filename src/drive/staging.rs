//! Taking content from staging into the deploy host's store, where the books can want it.

use crate::config::policy::Policy;
use crate::model::books::Snapshot;
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::map::{MapError, VersionMap};
use crate::model::names::Version;
use crate::tree::content::{ContentError, ContentStore};
use crate::tree::diff::{TreeDiff, diff};
use crate::tree::manifest::Manifest;
use crate::tree::path::RelPath;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Why staging can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// It can't be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A tree can't be taken.
    #[error("failed to take {component} from staging")]
    Tree {
        /// Which.
        component: Component,
        /// Why.
        #[source]
        source: ContentError,
    },
    /// The map in staging is damaged.
    #[error("staging's wikiversions.json")]
    Map(#[source] MapError),
    /// A path is not of a component.
    #[error("{0}")]
    Path(String),
}

/// A component as staging has it, against what the books want.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Which.
    pub component: Component,
    /// Its content id.
    pub id: Digest,
    /// Its content.
    pub manifest: Manifest,
    /// Against the wanted content; everything is added when there is none.
    pub diff: TreeDiff,
    /// How many files and links the wanted content has.
    pub files_before: usize,
}

/// Components that staging holds: the configured directories and every version tree.
pub fn components(policy: &Policy) -> Result<Vec<Component>, StagingError> {
    let failed = |source| StagingError::Read { path: policy.staging.clone(), source };
    let mut found: BTreeSet<Component> = policy.configuration.iter().cloned().collect();
    for entry in std::fs::read_dir(&policy.staging).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let component = name.to_str().and_then(|name| name.parse().ok());
        found.extend(component.filter(|component| matches!(component, Component::Version(_))));
    }
    Ok(found.into_iter().collect())
}

/// Versions of which staging holds a tree.
pub fn versions(policy: &Policy) -> Result<Vec<Version>, StagingError> {
    let version = |component| match component {
        Component::Version(version) => Some(version),
        Component::Config(_) => None,
    };
    Ok(components(policy)?.into_iter().filter_map(version).collect())
}

/// Takes whole components. With `keep` false nothing is written, only looked at.
pub fn take(
    (policy, store): (&Policy, &ContentStore),
    wanted: Option<&Snapshot>,
    components: &[Component],
    keep: bool,
) -> Result<Vec<Taken>, StagingError> {
    let one = |component: &Component| {
        let source = policy.staging.join(component.to_string());
        let excluded = excluded(policy, component);
        let manifest = match keep {
            true => store.import(&source, &excluded),
            false => store.look(&source, &excluded),
        };
        let failed = |source| StagingError::Tree { component: component.clone(), source };
        let manifest = manifest.map_err(failed)?;
        taken(store, wanted, component, manifest).map_err(failed)
    };
    components.iter().map(one).collect()
}

/// Takes single files or directories into a component whose other content stays as the books want it. With `keep` false
/// nothing is written, only looked at.
pub fn take_paths(
    (policy, store): (&Policy, &ContentStore),
    wanted: &Snapshot,
    component: &Component,
    paths: &[RelPath],
    keep: bool,
) -> Result<Taken, StagingError> {
    let failed = |source| StagingError::Tree { component: component.clone(), source };
    let none = || StagingError::Path(format!("{component} was never synced: pointsman sync-common --from-staging"));
    let id = wanted.wanted.get(component).ok_or_else(none)?;
    let base = store.manifest(*id).map_err(failed)?.ok_or_else(none)?;
    let source = policy.staging.join(component.to_string());
    let excluded = excluded(policy, component);
    let manifest = match keep {
        true => store.import_paths(&base, &source, paths, &excluded),
        false => store.look_paths(&base, &source, paths, &excluded),
    };
    taken(store, Some(wanted), component, manifest.map_err(failed)?).map_err(failed)
}

fn taken(
    content: &ContentStore,
    wanted: Option<&Snapshot>,
    component: &Component,
    manifest: Manifest,
) -> Result<Taken, ContentError> {
    let before = match wanted.and_then(|wanted| wanted.wanted.get(component)) {
        Some(id) => content.manifest(*id)?,
        None => None,
    };
    let files_before = before.as_ref().map_or(0, |before| before.entries().len());
    let diff = match before {
        Some(before) => diff(&before, &manifest),
        None => {
            let all = manifest.entries().iter().map(|entry| entry.path.clone());
            TreeDiff { added: all.collect(), changed: Vec::new(), removed: Vec::new() }
        }
    };
    Ok(Taken { component: component.clone(), id: manifest.id(), manifest, diff, files_before })
}

/// What a version's tree in staging does not bring: hosts build it.
fn excluded(policy: &Policy, component: &Component) -> Vec<String> {
    match component {
        Component::Version(_) => policy.artefacts.iter().map(|rule| rule.path.clone()).collect(),
        Component::Config(_) => Vec::new(),
    }
}

/// The map that staging holds; `None` when there is none.
pub fn map(policy: &Policy) -> Result<Option<VersionMap>, StagingError> {
    let path = policy.staging.join("wikiversions.json");
    match std::fs::read(&path) {
        Ok(bytes) => VersionMap::from_json(&bytes).map(Some).map_err(StagingError::Map),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StagingError::Read { path, source }),
    }
}

/// Sorts paths that a person typed by component. A path is relative to staging, or absolute and inside it.
pub fn by_component(policy: &Policy, typed: &[PathBuf]) -> Result<BTreeMap<Component, Vec<RelPath>>, StagingError> {
    let mut sorted: BTreeMap<Component, Vec<RelPath>> = BTreeMap::new();
    for path in typed {
        let (component, inner) = split(policy, path)?;
        sorted.entry(component).or_default().push(inner);
    }
    Ok(sorted)
}

fn split(policy: &Policy, typed: &Path) -> Result<(Component, RelPath), StagingError> {
    let refused = |why: &str| StagingError::Path(format!("`{}` {why}", typed.display().to_string().escape_debug()));
    let inside = match typed.is_absolute() {
        true => typed.strip_prefix(&policy.staging).map_err(|_| refused("leaves staging"))?,
        false => typed,
    };
    let text = inside.to_str().ok_or_else(|| refused("is not UTF-8"))?;
    let path: RelPath = text.trim_end_matches('/').parse().map_err(|e| refused(&format!("can't be synced: {e}")))?;
    let (first, rest) = path
        .as_str()
        .split_once('/')
        .ok_or_else(|| refused("is not a path inside a version tree or configuration directory"))?;
    let component: Component = first.parse().map_err(|e| refused(&format!("is in no component: {e}")))?;
    let known = matches!(component, Component::Version(_)) || policy.configuration.contains(&component);
    match known {
        true => Ok((component, rest.parse().map_err(|e| refused(&format!("can't be synced: {e}")))?)),
        false => Err(refused("is in a directory that groups.yaml does not name under `configuration`")),
    }
}
