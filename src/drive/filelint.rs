//! Syntax checks before a file is synced: PHP by `php -l` where PHP is installed, JSON and YAML by their readers.

use crate::model::limits::LINT_MS_MAX;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What a lint found: nothing, or what is wrong with which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Which file.
    pub file: PathBuf,
    /// What, in the checker's words.
    pub why: String,
}

/// Every file at or below `path` that a checker knows and refuses, in order of their names.
pub async fn lint(path: &Path) -> std::io::Result<Vec<Wrong>> {
    let mut wrong = Vec::new();
    for file in files(path)? {
        let why = match file.extension().and_then(|e| e.to_str()) {
            Some("php") => php(&file).await,
            Some("json") => json(&file),
            Some("yaml" | "yml") => yaml(&file),
            _ => None,
        };
        wrong.extend(why.map(|why| Wrong { file, why }));
    }
    Ok(wrong)
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta.file_type(),
        // What is gone from staging is removed by the sync; there is nothing to check.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if !kind.is_dir() {
        return Ok(if kind.is_file() { vec![path.to_owned()] } else { Vec::new() });
    }
    let mut names: Vec<PathBuf> = std::fs::read_dir(path)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    names.sort();
    let mut found = Vec::new();
    for name in names {
        found.extend(files(&name)?);
    }
    Ok(found)
}

/// `None` when it is fine, and when there is no PHP here to ask.
async fn php(file: &Path) -> Option<String> {
    let mut command = Command::new("php");
    // Without `--`, after which php would read its own standard input; the path is absolute, so it is never an option.
    command.args(["-n", "-d", "display_errors=1", "-l"]).arg(file);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(Duration::from_millis(LINT_MS_MAX), command.output()).await {
        Err(_) => Some(format!("php -l took longer than {LINT_MS_MAX} ms")),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => None,
        Ok(Err(error)) => Some(format!("php: {error}")),
        Ok(Ok(output)) if output.status.success() => None,
        Ok(Ok(output)) => {
            let words = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("php -l failed");
            Some(line.trim().to_owned())
        }
    }
}

fn json(file: &Path) -> Option<String> {
    let read = std::fs::read(file).map_err(|e| e.to_string());
    let parsed =
        read.and_then(|bytes| serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).map_err(|e| e.to_string()));
    parsed.err()
}

fn yaml(file: &Path) -> Option<String> {
    let read = std::fs::read_to_string(file).map_err(|e| e.to_string());
    let parsed = read.and_then(|text| serde_saphyr::from_str::<serde_json::Value>(&text).map_err(|e| e.to_string()));
    parsed.err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_files_are_named_and_good_ones_are_not() {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in [
            ("good.json", "{\"a\": 1}"),
            ("bad.json", "{\"a\": 1"),
            ("good.yaml", "a: [1, 2]\n"),
            ("bad.yaml", "a: [1, 2\n"),
            ("notes.txt", "{{{"),
        ] {
            std::fs::write(dir.path().join(name), text).expect("it is written");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let wrong = runtime.block_on(lint(dir.path())).expect("the directory is read");
        let names: Vec<_> = wrong.iter().filter_map(|w| w.file.file_name()?.to_str()).collect();
        assert_eq!(names, ["bad.json", "bad.yaml"]);
    }
}
