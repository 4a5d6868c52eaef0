//! Answers to questions: numbers of the machine, what was written to log files, what plugins say.
//!
//! Invariant: nothing on the host changes, and an answer is bounded whatever lies on the disk. Lines are given once: a
//! cursor stands after a line's end, or in the middle of a line that was too long, whose rest is skipped.
//!
//! Deliberately absent: files that were rotated more than once since the last reading, and compressed ones: `lost` says
//! that lines are missing.

use super::hostfs::{HostFs, OpenLog};
use crate::model::limits::{LOG_FILES_MAX, LOG_LINE_BYTES_MAX, PLUGIN_MS_MAX, TAIL_BEHIND_BYTES_MAX, TAIL_BYTES_MAX};
use crate::model::question::{Answer, Cursor, MachineFacts, Question, Tail};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Answers; an error is the system's.
pub(super) fn answer(fs: &impl HostFs, question: &Question) -> io::Result<Answer> {
    match question {
        Question::Facts { logs } => facts(fs, logs).map(Answer::Facts),
        Question::Tail { file, from, bytes_max } => {
            // A line that is too long is known by more bytes than a line may have.
            let bytes_max = (*bytes_max).clamp(LOG_LINE_BYTES_MAX as u64 + 1, TAIL_BYTES_MAX);
            tail(fs, file, *from, bytes_max).map(Answer::Tail)
        }
        Question::Plugin { argv, deadline_ms } => {
            if !argv.first().is_some_and(|program| program.starts_with('/')) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a plugin is named by an absolute path"));
            }
            fs.plugin(argv, (*deadline_ms).min(PLUGIN_MS_MAX)).map(Answer::Plugin)
        }
    }
}

fn facts(fs: &impl HostFs, logs: &[PathBuf]) -> io::Result<MachineFacts> {
    let mut facts = fs.machine()?;
    for file in logs.iter().take(LOG_FILES_MAX) {
        facts.logs.push((file.clone(), fs.log(file)?.map(|log| log.size)));
    }
    Ok(facts)
}

/// What was written to `file` since `from`, and to what it was called before it was rotated to `file.1`.
fn tail(fs: &impl HostFs, file: &Path, from: Option<Cursor>, bytes_max: u64) -> io::Result<Tail> {
    let log = fs.log(file)?;
    let age_ms = log.as_ref().map_or(0, |log| fs.clock_ms().saturating_sub(log.mtime_ms));
    let mut tail = Tail { age_ms, ..Tail::default() };
    let Some(from) = from else {
        tail.next = log.map(|log| Cursor { inode: log.inode, offset: log.size });
        return Ok(tail);
    };
    let Some(mut log) = log else { return Ok(tail) };
    if log.inode == from.inode {
        read(&mut log, from.offset, bytes_max, false, &mut tail)?;
        return Ok(tail);
    }
    let older = match from.inode {
        0 => None,
        inode => fs.log(&rotated(file))?.filter(|older| older.inode == inode),
    };
    match older {
        None => tail.lost = from.inode != 0,
        Some(mut older) => {
            let taken = read(&mut older, from.offset, bytes_max, true, &mut tail)?;
            if tail.left_bytes > 0 {
                tail.left_bytes += log.size;
                return Ok(tail);
            }
            read(&mut log, 0, bytes_max - taken, false, &mut tail)?;
            return Ok(tail);
        }
    }
    read(&mut log, 0, bytes_max, false, &mut tail)?;
    Ok(tail)
}

/// `FILE.1`, as logrotate names it.
fn rotated(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Adds the lines from `offset` on and sets the cursor; `over`: nobody writes to it any more, so its last line is whole.
/// Gives how many bytes were read.
fn read(log: &mut OpenLog, offset: u64, bytes_max: u64, over: bool, tail: &mut Tail) -> io::Result<u64> {
    let mut offset = offset;
    if offset > log.size {
        // It was cut to begin anew, as with logrotate's copytruncate.
        tail.lost = true;
        offset = 0;
    }
    let behind = (log.size - offset).saturating_sub(TAIL_BEHIND_BYTES_MAX);
    tail.skipped_bytes += behind;
    offset += behind;
    let within = offset > 0 && !ends_a_line(log, offset)?;
    let mut bytes = Vec::new();
    log.content.seek(SeekFrom::Start(offset))?;
    let wanted = bytes_max.min(log.size - offset);
    log.content.by_ref().take(wanted).read_to_end(&mut bytes)?;
    let at_end = offset + bytes.len() as u64 >= log.size;
    let whole = match bytes.iter().rposition(|b| *b == b'\n') {
        _ if over && at_end => bytes.len(),
        Some(last) => last + 1,
        // Too long: what is there is taken, and the rest is skipped when it comes.
        None if bytes.len() > LOG_LINE_BYTES_MAX => bytes.len(),
        None => 0,
    };
    let mut lines = &bytes[..whole];
    if within {
        let rest = lines.iter().position(|b| *b == b'\n').map_or(lines.len(), |end| end + 1);
        tail.skipped_bytes += rest as u64;
        lines = &lines[rest..];
    }
    split(lines, tail);
    offset += whole as u64;
    tail.left_bytes = log.size.saturating_sub(offset);
    tail.next = Some(Cursor { inode: log.inode, offset });
    Ok(bytes.len() as u64)
}

fn ends_a_line(log: &mut OpenLog, offset: u64) -> io::Result<bool> {
    let mut before = [0];
    log.content.seek(SeekFrom::Start(offset - 1))?;
    Ok(log.content.read(&mut before)? == 1 && before == *b"\n")
}

/// Adds each line, of one that is too long the beginning.
fn split(bytes: &[u8], tail: &mut Tail) {
    let Some(bytes) = bytes.strip_suffix(b"\n").or((!bytes.is_empty()).then_some(bytes)) else { return };
    for line in bytes.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let kept = &line[..line.len().min(LOG_LINE_BYTES_MAX)];
        tail.skipped_bytes += (line.len() - kept.len()) as u64;
        tail.lines.push(String::from_utf8_lossy(kept).into_owned());
    }
}
